"""The section on serial lines: its commands go on in their terminals, and what is shown of them comes; its firmware is built and runs."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from doc_page import ROOT, WAIT_S, Page, Reader, assert_shown, started
from free_port import free_port

PAGE = Page("docs/firmware.md")
_UNTIL = {"run": "connected", "thermometer.py": "waiting for a bridge", "bridge": "is ready"}


def test_what_the_section_says_about_the_desk_is_so(tmp_path: Path) -> None:
    folder = tmp_path / "serial"
    shutil.copytree(ROOT / "examples" / "serial", folder)
    reader, said, outputs = Reader(folder), "", 0
    with ExitStack() as going_on:
        for kind, text in PAGE.blocks("Serial lines"):
            if kind == "sh run":
                words = shlex.split(text)
                lines = going_on.enter_context(started(words, folder, _UNTIL[words[1]]))
                said = "".join(lines)
            elif kind in ("sh", "sh fails"):
                said = reader.paste(text, fails=kind == "sh fails")
            elif kind == "text":
                assert_shown(text, re.sub(r"mqtt://127.0.0.1:\d+", "mqtt://127.0.0.1:1883", said))
                outputs += 1
    assert outputs == 2


def test_the_firmware_is_built_and_run_as_it_says(tmp_path: Path) -> None:
    for tool in ("avr-gcc", "make", "qemu-system-avr"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install gcc-avr avr-libc make qemu-system-misc")
    folder = tmp_path / "avr"
    shutil.copytree(ROOT / "firmware_bridge" / "avr", folder)
    commands = [(kind, text) for kind, text in PAGE.blocks("Serial lines") if kind.startswith("sh avr")]
    assert [kind for kind, _ in commands] == ["sh avr", "sh avr run"]
    subprocess.run(shlex.split(commands[0][1]), cwd=folder, check=True, capture_output=True)
    port = free_port()
    words = shlex.split(commands[1][1].replace(":4001", f":{port}"))
    chip = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        said = b""
        with connected(port) as line:
            while b"thermometer" not in said:
                said += line.recv(64)
    finally:
        chip.kill()
        chip.wait()


def connected(port: int) -> socket.socket:
    until_s = time.monotonic() + WAIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), WAIT_S)
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.02)


def test_links_lead_somewhere() -> None:
    assert PAGE.missing_links() == []
