"""A board's configuration: made from the matrix, written over a serial line or to a folder, and enough to come in by."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Board
from free_port import free_port

from edgematrix.errors import BusError
from firmware_bridge.board_line import write_files

Start = Callable[..., Board]

FIRMWARE = Path("/usr/share/firmware-microbit-micropython/firmware.hex")
MATRIX = """
matrix: home
agents:
  shed:
    agents:
      probe: {host: probe, inputs: {set: any}, outputs: {temperature: number}}
      warm:
        triggers: {hot: {on: {t: {from: probe.temperature, above: 27}}, do: [{publish: {topic: t/hot, payload: "${t.value}"}}]}}
"""


def edgematrix(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgematrix", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home.yaml").write_text(MATRIX)
    return tmp_path


@pytest.fixture
def microbit() -> Iterator[str]:
    """A micro:bit with MicroPython, emulated; its serial line."""
    if shutil.which("qemu-system-arm") is None or not FIRMWARE.exists():
        pytest.skip("qemu-system-arm or firmware-microbit-micropython is not installed")
    port = free_port()
    words = ["qemu-system-arm", "-M", "microbit", "-device", f"loader,file={FIRMWARE}", "-nographic", "-monitor", "none"]
    with subprocess.Popen([*words, "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"]) as process:
        try:
            wait_until_listening(port)
            yield f"socket://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_until_listening(port: int) -> None:
    until_s = time.monotonic() + WAIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.02)
        else:
            return


def test_a_folder_of_files_is_all_that_a_board_needs(home: Path, board: Start) -> None:
    port = free_port()
    done = edgematrix(
        home, "provision", "home.yaml", "--out", "access", "--server", "127.0.0.1", "--port", str(port), "--certificates",
        "--tls", "1.2", "--board", "home/shed/probe", "--to", "probe",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "home/shed/probe has device.json, ca.pem, cert.pem, key.pem in probe" in done.stdout
    config = json.loads((home / "probe" / "device.json").read_text())
    assert (config["path"], config["host"], config["tls"]["name"]) == ("home/shed/probe", "127.0.0.1", "127.0.0.1")
    assert config["rules"], "the threshold is judged by the board"
    assert {file.stat().st_mode & 0o77 for file in (home / "probe").iterdir()} == {0}
    (home / "main.py").write_text(
        "import sys\nfrom upy.agent import Agent\nfrom upy.device import load\n"
        "agent = Agent(keepalive_s=2, timeout_ms=2_000, retry_ms=50, retry_ms_max=100, **load(sys.argv[1]))\nagent.run()\n"
    )
    words = [sys.executable, "-m", "edgematrix", "broker", "up", "mosquitto", "--access", "access"]
    with subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL) as broker:
        try:
            process = board(home / "main.py", home / "probe" / "device.json")
            process.wait_for_line("connected as home:shed:probe")  # by TLS, and with a certificate of its own
        finally:
            broker.terminate()


def test_a_board_of_a_cluster_knows_all_its_brokers(home: Path) -> None:
    words = ["provision", "home.yaml", "--out", "access", "--server", "one.home", "--board", "home/shed/probe", "--to", "probe"]
    assert edgematrix(home, *words, "--other", "two.home", "--other", "three.home:9000").returncode == 0
    config = json.loads((home / "probe" / "device.json").read_text())
    assert (config["host"], config["port"], config["others"]) == ("one.home", 8883, [["two.home", 8883], ["three.home", 9000]])
    assert config["tls"] == {"ca": "ca.pem"}, "each proves its own name"
    assert edgematrix(home, *words, "--broker", "nats-cluster", "--other", "-").returncode == 0
    config = json.loads((home / "probe" / "device.json").read_text())
    assert config["others"] == [["one.home", 8884], ["one.home", 8885]]


def test_over_a_serial_line_into_a_real_micropython(home: Path, microbit: str) -> None:
    words = ["provision", "home.yaml", "--out", "access", "--server", "broker.home", "--board", "home/shed/probe", "--serial", microbit]
    for _ in range(5):  # an emulated line loses bytes while its emulator is kept waiting, and that is told
        done = edgematrix(home, *words)
        if "the board cannot be written to" not in done.stderr and "the board has something else" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert "home/shed/probe has device.json, ca.pem" in done.stdout
    assert "MicroPython speaks 1.2: --tls 1.2" in done.stderr
    read = "print(open('device.json').read()); print(len(open('ca.pem').read()))"
    words = [sys.executable, "-m", "mpremote", "connect", microbit, "exec", read]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert json.loads(told[0])["path"] == "home/shed/probe"
    assert int(told[1]) == len((home / "access" / "ca.pem").read_text())


def test_a_line_on_which_nobody_answers_is_said(tmp_path: Path) -> None:
    with pytest.raises(BusError) as caught:
        write_files(str(tmp_path / "nothing"), {"device.json": b"{}"})
    assert "cannot be written to" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("home/shed/prope", "there is no board home/shed/prope; did you mean home/shed/probe?"),
        ("home/shed/warm", "home/shed/warm is run by a host, and is no board"),
    ],
)
def test_who_is_no_board_is_said(home: Path, path: str, told: str) -> None:
    done = edgematrix(home, "provision", "home.yaml", "--out", "access", "--board", path, "--to", "probe")
    assert done.returncode == 2
    assert told in done.stderr


def test_a_damaged_file_is_said_on_the_board(board: Start, tmp_path: Path) -> None:
    program = tmp_path / "main.py"
    program.write_text("import sys\nfrom upy.device import load\nload(sys.argv[1])\n")
    for content in ("{", '{"v": 2}', "[]"):
        (tmp_path / "device.json").write_text(content)
        process = board(program, tmp_path / "device.json")
        assert process.process.wait(WAIT_S) != 0
        assert "provision the board anew" in process.said()


def test_what_the_flash_does_not_take_is_said(microbit: str) -> None:
    with pytest.raises(BusError):
        write_files(microbit, {"large": b"x" * 40_000})
