"""Hosts as processes on a real broker, what is deployed to them, and a client that hears it all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from broker_process import BrokerProcess
from cli_process import WAIT_S, Running, call, no_traceback


class Ear:
    """A client that keeps what it hears."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._more = threading.Condition()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(user, password)
        self.client.on_message = self._message
        ready = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe([("em/#", 1), ("t/#", 1), ("zigbee/#", 1)])
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(WAIT_S)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        del client, userdata
        with self._more:
            self.heard.append((message.topic, message.payload, message.retain))
            self._more.notify_all()

    def say(self, topic: str, payload: object, *, retain: bool = False) -> None:
        data = payload if isinstance(payload, (bytes, str)) else json.dumps(payload)
        self.client.publish(topic, data, 1, retain).wait_for_publish(WAIT_S)

    def of(self, topic: str) -> list[Any]:
        return [_read(payload) for seen, payload, _ in list(self.heard) if seen == topic]

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + WAIT_S
        with self._more:
            while not holds():
                left = until - time.monotonic()
                assert left > 0, f"{what}: {[topic for topic, _, _ in self.heard][-20:]}"
                self._more.wait(left)

    def wait_for(self, topic: str, *payloads: object) -> None:
        self.wait(lambda: self.of(topic)[-len(payloads) :] == list(payloads), f"{topic} has {self.of(topic)}, expected {payloads}")

    def birth(self, name: str) -> dict[str, Any]:
        found = self.of(f"em/host/{name}")
        return found[-1] if found else {}

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def _read(payload: bytes) -> Any:
    if not payload:
        return None
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()


class Site:
    """A broker, and hosts on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = self.make_broker()
        self.broker.start()
        self.ear = self.make_ear()
        self.hosts: dict[str, Running] = {}

    def make_broker(self) -> BrokerProcess:
        return BrokerProcess("mosquitto", self.folder / "broker", persistent=True)

    def make_ear(self) -> Ear:
        return Ear(self.broker.port)

    def address(self, user: str) -> str:
        """Where the broker is, for a host or somebody at a command line."""
        del user
        return self.broker.url

    def host(self, name: str, *more: object) -> Running:
        arguments = ("host", "--name", name, "--broker", self.address(name), "--state", self.folder / name, *more)
        self.hosts[name] = found = Running(*arguments, cwd=self.folder, name=f"{name}-{time.monotonic_ns()}")
        return found

    def started(self, *names: str) -> None:
        for name in names:
            self.host(name)
        for name in names:
            self.ear.wait(lambda name=name: self.ear.birth(name).get("status") == "online", f"{name} is not online")  # type: ignore[misc]

    def file(self, agents: dict[str, Any], name: str = "home.yaml", **more: object) -> Path:
        place = self.folder / name
        place.write_text(json.dumps({"matrix": "home", "agents": agents, **more}))
        return place

    def deploy(self, agents: dict[str, Any], *options: object, code: int = 0, **more: object) -> str:
        done = call("deploy", self.file(agents, **more), "--broker", self.address("deployer"), *options, cwd=self.folder, timeout_s=60)
        no_traceback(done)
        assert done.returncode == code, (done.stdout, done.stderr, {name: host.printed for name, host in self.hosts.items()})
        return done.stdout + done.stderr

    def close(self) -> None:
        for host in self.hosts.values():
            host.kill()
        self.ear.close()
        self.broker.stop()
