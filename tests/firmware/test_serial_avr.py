"""The firmware in C on the chip that it is for: an ATmega328P, in an emulator, on a socket in place of a line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_bench import Broker, Listener
from free_port import free_port
from serial_bench import AVR
from serial_line import BridgeProcess, event, is_offline, is_ready

PATH = "home/shed/thermometer"
STATE = f"em/state/{PATH}"
LAMP = f"em/in/{PATH}/lamp"
ACK = f"em/ack/{PATH}"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("avr-gcc") is None or shutil.which("make") is None:
        pytest.skip("gcc-avr is not installed: apt-get install gcc-avr avr-libc make")
    folder = tmp_path_factory.mktemp("avr")
    for file in AVR.iterdir():
        if file.suffix in (".c", ".h") or file.name == "Makefile":
            shutil.copy(file, folder)
    done = subprocess.run(["make", "-C", str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "thermometer.elf"


class Chip:
    """It runs from when it is made, and again after `reset`."""

    def __init__(self, program: Path) -> None:
        self.port = free_port()
        self._program = program
        self._process = self._started()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        serial = f"tcp:127.0.0.1:{self.port},server=on,wait=off"
        words = ["qemu-system-avr", "-machine", "uno", "-bios", str(self._program), "-nographic", "-monitor", "none", "-serial", serial]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.fixture
def chip(program: Path) -> Iterator[Chip]:
    if shutil.which("qemu-system-avr") is None:
        pytest.skip("qemu-system-avr is not installed: apt-get install qemu-system-misc")
    found = Chip(program)
    yield found
    found.kill()


def test_it_is_small(program: Path) -> None:
    """Of 32 KiB of flash and 2 KiB of memory."""
    said = subprocess.run(["avr-size", str(program)], check=True, capture_output=True, text=True).stdout
    text, data, bss, *_ = (int(word) for word in said.splitlines()[1].split()[:3])
    assert text + data < 3_072
    assert data + bss < 512


def test_a_chip_is_an_agent(chip: Chip, broker: Broker, listener: Listener, tmp_path: Path) -> None:
    words = ["--line", f"{PATH}=socket://127.0.0.1:{chip.port}", "--broker", f"mqtt://127.0.0.1:{broker.port}"]
    bridge = BridgeProcess(words, tmp_path / "bridge.log")
    try:
        listener.wait_for(STATE, is_ready)
        first = int(listener.wait_for(f"em/out/{PATH}/uptime"))
        assert int(listener.wait_for(f"em/out/{PATH}/uptime")) == first + 1
        for number in range(20):
            listener.send(LAMP, event(f"c{number}", "off" if number % 2 else "on"))
        listener.send(LAMP, event("full", "full"))
        listener.send(LAMP, event("bare", 7))
        lit, answers = [], []
        listener.wait_for(ACK, lambda payload: answers.append(json.loads(payload)) or len(answers) == 22)  # type: ignore[func-returns-value]
        assert answers[:20] == [{"id": f"c{number}"} for number in range(20)]
        assert [answer["error"] for answer in answers[20:]] == ["the device refuses the value"] * 2
        listener.publish(LAMP, "on")
        listener.wait_for(f"em/out/{PATH}/lit", lambda payload: lit.append(payload) or payload == b"on")  # type: ignore[func-returns-value]
        chip.kill()
        listener.wait_for(STATE, is_offline)
        chip.start()
        listener.wait_for(STATE, is_ready)
        assert int(listener.wait_for(f"em/out/{PATH}/uptime")) <= first + 1, "it began anew"
        assert bridge.end() == 0
    finally:
        bridge.kill()
