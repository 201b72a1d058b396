"""A host as the commands see it: its name, the states of its agents, and answers that the test makes up."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import paho.mqtt.client as mqtt

WAIT_S = 60.0
AGENTS = ("home/hall", "home/hall/lamp", "home/report", "home/report/editor")

Answer = Callable[[str, str, dict[str, Any]], "dict[str, Any] | None"]
"""From the verb, the path and the data to the data of the answer; None for silence."""


class FakeHost:
    """On the bus below `root`. `asked` has what was asked of it: topic and event."""

    def __init__(self, port: int, root: str, agents: Iterable[str], *, name: str = "pi", status: str = "ready") -> None:
        self.asked: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.answer: Answer = lambda *_: {"done": True, "revision": 4}
        self._name = name
        self._root = root
        self._retained: list[str] = []
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe(f"{root}/op/#", 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._received(message.topic, message.payload)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(WAIT_S)
        self._say(f"host/{name}", {"v": 1, "status": "online", "session": "s1"})
        for agent in agents:
            self.tell(agent, status)

    def tell(self, agent: str, status: str = "ready", revision: int = 0) -> None:
        """Say how an agent is."""
        self._say(f"state/{agent}", {"v": 1, "status": status, "host": self._name, "session": "s1", "revision": revision})

    def define(self, agent: str, definition: dict[str, Any]) -> None:
        """Say what an agent was changed to."""
        self._say(f"spec/{agent}", definition)

    def dead_letter(self, path: str, topic: str, reason: str) -> None:
        """Say that a message could not be handled."""
        event = {"specversion": "1.0", "id": "d", "source": f"/{path}", "type": "em.dead", "data": {"topic": topic, "reason": reason}}
        self._client.publish(f"{self._root}/dead/{path}", json.dumps(event), 1)

    def next_asked(self) -> tuple[str, dict[str, Any]]:
        """What was asked of it, in order."""
        return self.asked.get(timeout=WAIT_S)

    def close(self) -> None:
        """Leave nothing behind."""
        for topic in self._retained:
            self._client.publish(topic, b"", 1, retain=True).wait_for_publish(WAIT_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _say(self, topic: str, about: dict[str, Any]) -> None:
        full = f"{self._root}/{topic}"
        self._retained.append(full)
        self._client.publish(full, json.dumps(about), 1, retain=True).wait_for_publish(WAIT_S)

    def _received(self, topic: str, payload: bytes) -> None:
        event = json.loads(payload)
        self.asked.put((topic, event))
        user, verb, path = topic.removeprefix(f"{self._root}/op/").split("/", 2)
        found = self.answer(verb, path, event["data"])
        if found is not None:
            reply = {
                "specversion": "1.0",
                "id": "r",
                "source": f"/{path}",
                "type": "em.reply",
                "data": {"verb": verb, "path": path, **found},
            }
            self._client.publish(f"{self._root}/reply/{self._name}/{user}/{event['data']['session']}", json.dumps(reply), 1)


HostOf = Callable[..., FakeHost]
Steer = Callable[..., SimpleNamespace]
