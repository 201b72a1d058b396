"""The real command line as a process, in the hands of a test."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt

WAIT_S = 60.0
SOON_S = 10.0
"""A command ends within two seconds of its signal, where others leave it the machine; without one none of these would end."""
CALM = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}


def call(*arguments: object, cwd: Path, timeout_s: float = WAIT_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edgematrix", *map(str, arguments)],
        cwd=cwd,
        env=CALM,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def check_ends_with_its_reader(*arguments: object, cwd: Path, then: Callable[[], None]) -> None:
    """Whoever reads what a command prints goes after a line; with what happens then the command has to end, quietly."""
    words = [sys.executable, "-m", "edgematrix", *map(str, arguments)]
    with subprocess.Popen(words, cwd=cwd, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        then()
        assert "Traceback" not in process.stderr.read()
        process.wait(WAIT_S)


def no_traceback(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stdout + done.stderr, done.stderr


class Running:
    """A command that goes on until it is stopped. What it prints goes to a file, which nothing has to drain."""

    def __init__(self, *arguments: object, cwd: Path, name: str = "running") -> None:
        self._log = cwd / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgematrix", *map(str, arguments)],
                cwd=cwd,
                env=CALM,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> str:
        self.wait_until(lambda: text in self.printed, f"{text!r} is not printed")
        return self.printed

    def wait_until(self, holds: Callable[[], bool], failure: str) -> None:
        until = time.monotonic() + WAIT_S
        while not holds():
            assert self.process.poll() is None, f"it has ended with {self.process.returncode}: {self.printed}"
            assert time.monotonic() < until, f"{failure}: {self.printed}"
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGINT) -> float:
        """Send a signal; returns how many seconds the process took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(WAIT_S)
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Ear:
    """Somebody else on the bus, who hears one filter and may speak."""

    def __init__(self, port: int, topic_filter: str, user: str = "") -> None:
        self._heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe(topic_filter, 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._heard.put((message.topic, message.payload))
        if user:
            self._client.username_pw_set(user, user)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(WAIT_S)

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(WAIT_S)

    def wait_for(self, accept: Callable[[str, bytes], bool]) -> tuple[str, bytes]:
        until = time.monotonic() + WAIT_S
        while True:
            found = self._heard.get(timeout=max(0.001, until - time.monotonic()))
            if accept(*found):
                return found

    def all(self) -> list[tuple[str, bytes]]:
        """All that has been heard and not been waited for."""
        return list(self._heard.queue)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_for_port(port: int) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, f"nothing listens on {port}"
            time.sleep(0.01)
        else:
            return
