"""The page on boards, its sections on ESPHome, Tasmota and MQTT-SN: commands are run, and what is shown is what comes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from doc_page import BIN, Page, assert_shown, environment, started
from free_port import free_port

PAGE = Page("docs/firmware.md")
SECTIONS = ("ESPHome", "Tasmota", "MQTT-SN")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for section in SECTIONS:
        for kind, text in PAGE.blocks(section):
            if kind.startswith("yaml "):
                (tmp_path / kind.partition(" ")[2]).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("section", ["ESPHome", "Tasmota"])
def test_what_is_written_is_what_is_shown(folder: Path, section: str) -> None:
    said, compared = "", 0
    for kind, text in PAGE.blocks(section):
        if kind == "sh":
            done = subprocess.run(text, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, check=False)  # noqa: S602
            assert done.returncode == 0, done.stderr
            said = done.stdout
        elif kind == "text":
            assert_shown(text, said)
            compared += 1
    assert compared == 1


def test_the_matrices_have_no_errors(folder: Path) -> None:
    found = sorted(map(str, folder.glob("*.matrix.yaml")))
    assert len(found) == 2
    subprocess.run([str(BIN / "edgematrix"), "check", *found], check=True, capture_output=True)


def test_bridges_begin_as_they_are_shown(folder: Path, mosquitto: BrokerProcess) -> None:
    (gateway,) = [text for kind, text in PAGE.blocks("MQTT-SN") if kind == "sh gateway"]
    (shown,) = [text for kind, text in PAGE.blocks("MQTT-SN") if kind == "text gateway"]
    port = free_port()
    words = [*shlex.split(gateway.replace("mqtt://192.168.1.10", mosquitto.url)), "--listen", f"127.0.0.1:{port}"]
    with started([shutil.which(words[0], path=str(BIN)) or words[0], *words[1:]], folder, "may come to") as said:
        assert_shown(shown.replace("1884", str(port)), "".join(said))
    (bridge,) = [text for kind, text in PAGE.blocks("ESPHome") if kind == "sh bridge"]
    words = shlex.split(bridge.replace("mqtt://192.168.1.10", mosquitto.url).replace("=192.168.1.20", "=127.0.0.1:9"))
    with started([shutil.which(words[0], path=str(BIN)) or words[0], *words[1:]], folder, "cannot be reached at 127.0.0.1:9"):
        pass
