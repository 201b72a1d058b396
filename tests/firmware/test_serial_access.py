"""A bridge and the matrix that it belongs to: which devices it may speak for, and as whom each comes in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Board
from free_port import free_port
from serial_line import BridgeProcess, PtyLine

from edgematrix.cli import main

MATRIX = """
matrix: home
access: {operators: {anna: {}}}
agents:
  shed:
    agents:
      board: {host: arduino, inputs: {set: any}, outputs: {echo: any}}
      pump: {host: other-board, inputs: {set: any}}
      rule: {triggers: {all: {on: {e: {from: board.echo}}, do: [{publish: {topic: shed/heard, payload: "${e.value}"}}]}}}
"""
LINE = "home/shed/board=/dev/ttyS0"


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    found = tmp_path / "shed.yaml"
    found.write_text(MATRIX)
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["{}", "--line", "home/shed/lamp=/dev/ttyS0"],
            ["the matrix has no agent home/shed/lamp", "its boards are home/shed/board, home/shed/pump"],
        ),
        (["{}", "--line", "home/shed/rule=/dev/ttyS0"], ["home/shed/rule is no board"]),
        (["--line", LINE], ["the broker is missing"]),
        (["{}", "--line", LINE], ["nothing runs in this folder"]),
        (["{}", "--line", LINE, "--rate", "0"], ["0 values a second"]),
        (["{}", "--line", LINE, "--access", "access"], ["home/shed/board has no identity there", "edgematrix provision"]),
        (["{}", "--line", LINE, "--access", "access", "--broker", "mqtt://x"], ["each device's own address"]),
        (["--line", LINE, "--line", "home/shed/pump=/dev/ttyS1", "--broker", "mqtt://a:b@x"], ["several are named", "--access DIR"]),
        (["nowhere.yaml", "--line", LINE], ["nowhere.yaml"]),
    ],
)
def test_what_cannot_be_is_said(
    matrix: Path, words: list[str], said: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(matrix.parent)
    assert main.main(["bridge", "serial", *(str(matrix) if word == "{}" else word for word in words)]) in (1, 2)
    shown = capsys.readouterr().err
    for text in said:
        assert text in shown


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main.main(["bridge", "serial", "--line", LINE, "--broker", "mqtt://127.0.0.1:9"]) == 2
    assert "pip install 'edgematrix[serial]'" in capsys.readouterr().err


def test_help_loads_nothing_of_it() -> None:
    code = (
        "import sys; from edgematrix.cli.main import main; main(['bridge', 'serial', '--help']);"
        "assert not [name for name in sys.modules if name.startswith(('firmware_bridge', 'serial', 'paho'))]"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def edgematrix(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgematrix", *words], cwd=cwd, capture_output=True, text=True, timeout=WAIT_S * 2, check=False
    )


@pytest.mark.parametrize("interpreter", ["cpython"], indirect=True)
def test_each_device_comes_in_as_itself(matrix: Path, board: Callable[..., Board], tmp_path: Path) -> None:
    """On a broker with TLS, identities and the access list that follows from the tree; of two devices one has a line."""
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    pytest.importorskip("bcrypt", reason="the extra `access` is not installed")
    port = str(free_port())
    done = edgematrix("provision", "shed.yaml", "--out", "access", "--server", "127.0.0.1", "--port", port, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = [sys.executable, "-m", "edgematrix", "broker", "up", "mosquitto", "--access", "access", "--port", port]
    broker = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    line = PtyLine(tmp_path)
    process = board("serial_board.py", line.boards[0])
    lines = ["--line", f"home/shed/board={line.path}", "--line", "home/shed/pump=/dev/ttyNONE"]
    bridge = BridgeProcess([str(matrix), *lines, "--access", str(tmp_path / "access")], tmp_path / "bridge.log")
    try:
        bridge.wait_for_line("home/shed/board is ready")
        bridge.wait_for_line("there is no /dev/ttyNONE: is it plugged in?")
        anna = f"@{tmp_path / 'access' / 'operators' / 'anna' / 'broker.url'}"
        done = edgematrix("send", "home/shed/board.set", "7", "--wait", "0", "--url", anna, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        process.wait_for_line("did 7")
        assert "refuses" not in bridge.said()
    finally:
        bridge.kill()
        line.close()
        broker.terminate()
        broker.wait(WAIT_S)
