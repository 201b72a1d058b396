"""A serial line of pseudo-terminals between a bridge and its boards, that can be noisy, and be unplugged."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

from firmware_bench import WAIT_S
from serial_bench import Noise, Quiet

ROOT = Path(__file__).parents[2]


class PtyLine:
    """Everything that one side says reaches all on the other one.

    Args:
        folder: where the file stands that the bridge opens: a link, as a line that is plugged in again gets another number.
        boards: how many there are.
        noise: spoils what passes, in both directions.
        bytes_max: how many bytes pass at once.
    """

    def __init__(self, folder: Path, boards: int = 1, noise: Noise | None = None, bytes_max: int = 1_024) -> None:
        self.path = folder / "ttyTEST0"
        self.noise = noise or Quiet()
        self._bytes_max = bytes_max
        self._masters: list[int] = []
        self.boards = []
        for _ in range(boards):
            master, board = self._pair()
            self._masters.append(master)
            self.boards.append(board)
        self._bridge: int | None = None
        self._wake, self._waker = os.pipe()
        self._closed = False
        self.plug()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """Let the line be there."""
        self._bridge, path = self._pair()
        self.path.symlink_to(path)

    def unplug(self) -> None:
        """Let it be gone, with its file."""
        assert self._bridge is not None
        self.path.unlink()
        gone, self._bridge = self._bridge, None
        os.write(self._waker, b"x")
        os.close(gone)

    def say(self, data: bytes) -> None:
        """Say something to the bridge, as a board would."""
        assert self._bridge is not None
        at = 0
        while at < len(data):
            at += os.write(self._bridge, data[at : at + 1_024])

    def close(self) -> None:
        self._closed = True
        os.write(self._waker, b"x")
        self._thread.join(WAIT_S)

    def _pair(self) -> tuple[int, str]:
        master, other = pty.openpty()
        tty.setraw(other)
        # Kept open on this side too: a pseudo-terminal that nobody has open any more is gone for good.
        return master, os.ttyname(other)

    def _pump(self) -> None:
        while not self._closed:
            bridge = self._bridge
            there = [self._wake, *self._masters, *([] if bridge is None else [bridge])]
            try:
                ready, _, _ = select.select(there, [], [])
            except OSError:
                continue
            for source in ready:
                self._pass_on(source, bridge)

    def _pass_on(self, source: int, bridge: int | None) -> None:
        try:
            data = os.read(source, self._bytes_max)
            if source == self._wake:
                return
            for target in self._masters if source == bridge else [bridge]:
                if target is not None:
                    for at in range(0, len(data), self._bytes_max):
                        os.write(target, self.noise.spoil(data[at : at + self._bytes_max]))
        except OSError:
            return


class BridgeProcess:
    """`edgematrix bridge serial` as a process of its own."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._words = [sys.executable, "-m", "edgematrix", "bridge", "serial", *arguments]
        self._log = log
        self.process = self._started()

    def said(self) -> str:
        return self._log.read_text()

    def wait_for_line(self, text: str) -> None:
        until = time.monotonic() + WAIT_S
        while text not in self.said():
            assert time.monotonic() < until, f"the bridge did not say {text!r}, but {self.said()!r}"
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.process = self._started()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        assert "Traceback" not in self.said(), self.said()
        return code

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(self._words, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)


def event(found: str, data: object) -> str:
    return json.dumps({"specversion": "1.0", "id": found, "source": "/home/rule", "type": "em.in.set", "data": data})


def status(payload: bytes) -> str:
    return str(json.loads(payload)["status"])


def is_ready(payload: bytes) -> bool:
    return status(payload) == "ready"


def is_offline(payload: bytes) -> bool:
    return status(payload) == "offline"
