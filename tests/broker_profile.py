"""`edgematrix broker up`, in the hands of a test: started, its nodes killed, ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from free_port import free_ports

from edgematrix.runtime.broker_profile import load_profile

_PATIENCE_S = 60.0
_NODE = re.compile(r"^(\w+): \w+ on (mqtt://\S+), process (\d+)")
_URL = re.compile(r"^(\S+) is up: .* (mqtt://\S+)$")
_AGAIN = re.compile(r"^restarted: (\w+) on (mqtt://\S+), process (\d+)")


class ProfileProcess:
    """The command, what it says, and the addresses and processes that it names.

    Args:
        port: the first one's; without it, one of our own, or with 0 whatever the command finds.
    """

    def __init__(self, profile: str, folder: Path, *options: str, port: int | None = None) -> None:
        if port != 0 and not {"--port", "--access"} & set(options):
            options = (*options, "--port", str(port or free_ports(3)))
        self.nodes = [node.name for node in load_profile(profile).nodes]
        self.command = [sys.executable, "-m", "edgematrix", "broker", "up", profile, "--state", str(folder), *options]
        self.urls: dict[str, str] = {}
        """By the name of what is up: the profile, or each side of a bridge."""
        self.places: dict[str, str] = {}
        self.pids: dict[str, int] = {}
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._ear: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, up: int = 1) -> None:
        """Until so many addresses are said."""
        environment = os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
        )
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()
        self._until(lambda: len(self.urls) >= up)

    def wait_for(self, words: str) -> None:
        self._until(lambda: any(words in line for line in self.lines))

    def kill(self, node: str) -> None:
        """As a power cut does; it is started again."""
        os.kill(self.pids[node], signal.SIGKILL)

    def restart(self, node: str) -> None:
        """In order; wait until it is there again."""
        before = self.pids[node]
        os.kill(before, signal.SIGTERM)
        self.until_restarted(node, before)

    def until_restarted(self, node: str, before: int) -> None:
        self._until(lambda: self.pids[node] != before)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """As Ctrl-C does; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        try:
            code = self._process.wait(_PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
        assert self._ear is not None
        assert self._process.stdout is not None
        self._ear.join()
        self._process.stdout.close()
        self._process = None
        return code

    def _until(self, condition: object) -> None:
        assert callable(condition)
        give_up_at = time.monotonic() + _PATIENCE_S
        with self._changed:
            while not condition():
                assert self._process is not None
                assert self._process.poll() is None, "".join(self.lines)
                assert time.monotonic() < give_up_at, "".join(self.lines)
                self._changed.wait(0.1)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line)
                if told := _AGAIN.match(line) or _NODE.match(line):
                    self.places[told[1]] = told[2]
                    self.pids[told[1]] = int(told[3])
                elif told := _URL.match(line.strip()):
                    self.urls[told[1]] = told[2]
                self._changed.notify_all()
