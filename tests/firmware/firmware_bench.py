"""A broker that can be killed, a board that really runs, a listener, and a server that misbehaves as it is told."""

from __future__ import annotations

import getpass
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from free_port import free_port

from firmware_bridge import micropython

WAIT_S = 60.0


class Broker:
    """mosquitto on a free port, with nothing kept on disk: a restart forgets retained messages and sessions."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: list[int] = []
        """Of further listeners."""

    def add_listener(self, settings: str) -> None:
        """Listen on a port more, with these lines of configuration. Call it before `start`."""
        self.ports.append(free_port())
        head = f"user {getpass.getuser()}\nper_listener_settings true\n{self._config.read_text()}"
        self._config.write_text(f"{head}listener {self.ports[-1]} 127.0.0.1\nallow_anonymous true\n{settings}")

    def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < until, "mosquitto does not come up"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Listener:
    """Somebody else on the bus, who hears everything."""

    def __init__(self, port: int) -> None:
        self._heard: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self._ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self._heard.put((message.topic, message.payload, message.retain))
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(WAIT_S)

    def wait_for(self, topic: str, accept: Callable[[bytes], bool] = lambda _: True) -> bytes:
        """The next payload on a topic that is accepted; whatever comes before it is forgotten."""
        until = time.monotonic() + WAIT_S
        seen = []
        while True:
            try:
                found, payload, _ = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"nothing on {topic}; heard {seen[-20:]}")
            if found == topic and accept(payload):
                return payload
            seen.append((found, payload[:80]))

    def topics_until(self, topic: str) -> list[str]:
        """On which topics something comes before this one."""
        found: list[str] = []
        while True:
            heard = self._heard.get(timeout=WAIT_S)[0]
            if heard == topic:
                return found
            found.append(heard)

    def drain(self, quiet_s: float) -> list[tuple[str, bytes]]:
        """What has come and was not asked for, until nothing comes for so long."""
        found: list[tuple[str, bytes]] = []
        while True:
            try:
                topic, payload, _ = self._heard.get(timeout=quiet_s)
            except queue.Empty:
                return found
            found.append((topic, payload))

    def publish(self, topic: str, payload: str | bytes, qos: int = 1, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def send(self, topic: str, payload: str) -> None:
        """Publish with QoS 1 and do not wait."""
        self._client.publish(topic, payload, 1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Board:
    """A program under an interpreter, as a process of its own."""

    def __init__(self, words: list[str], log: Path, **variables: str) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(words, env=micropython.environment() | variables, stdout=out, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return self._log.read_text()

    def wait_for_line(self, text: str, times: int = 1) -> None:
        until = time.monotonic() + WAIT_S
        while self.said().count(text) < times:
            assert time.monotonic() < until, f"the board did not say {text!r} {times} times, but {self.said()!r}"
            assert self.process.poll() is None, f"the board ended: {self.said()!r}"
            time.sleep(0.02)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Server:
    """A TCP server that does to each connection what `script(connection, number)` says, one after another."""

    def __init__(self, script: Callable[[socket.socket, int], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        self._script = script
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(WAIT_S)
            self.accepted += 1
            with connection:
                try:
                    self._script(connection, self.accepted)
                except OSError:
                    continue

    def close(self) -> None:
        self._closed = True
        self._listener.close()
