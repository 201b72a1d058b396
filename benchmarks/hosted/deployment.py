"""Hosts as `edgematrix host` runs them, and a matrix that `edgematrix deploy` has given to them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.hosted.program import Program

__all__ = ["Observer", "deploy", "host"]

_PATIENCE_S = 30.0
_LOOK_S = 0.01


class Observer:
    """Hears what hosts say of themselves, and who holds a lease; within the block."""

    def __init__(self, port: int) -> None:
        self._newest: dict[str, Any] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe([("em/host/+", 1), ("em/lease/#", 1)])
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def until_online(self, name: str) -> None:
        """Wait until a host says that it is there.

        Raises:
            TimeoutError: it does not.
        """
        self._until(lambda: self._newest.get(f"em/host/{name}", {}).get("status") == "online", f"the host {name} does not come online")

    def until_held(self, path: str) -> str:
        """Wait until somebody holds a lease: the host's name.

        Raises:
            TimeoutError: nobody does.
        """
        self._until(lambda: bool(self._newest.get(f"em/lease/{path}", {}).get("holder")), f"nobody holds {path}")
        return str(self._newest[f"em/lease/{path}"]["holder"])

    def _heard(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._newest[message.topic] = json.loads(message.payload) if message.payload else {}

    def _until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        give_up_at_s = time.monotonic() + _PATIENCE_S
        while not is_so():
            if time.monotonic() > give_up_at_s:
                raise TimeoutError(otherwise)
            time.sleep(_LOOK_S)


def host(place: Path, name: str, port: int) -> Program:
    """A host that waits for what it is given."""
    words = ["--name", name, "--broker", f"mqtt://127.0.0.1:{port}", "--state", str(place / name)]
    return Program(name, [sys.executable, "-m", "edgematrix", "host", *words], place)


@contextmanager
def deploy(place: Path, definition: str, ports: Iterable[tuple[str, int]], broker_port: int) -> Iterator[tuple[list[Program], Observer]]:
    """Start a host for each name, at the port through which it reaches the broker, and give a matrix to them.

    Raises:
        CalledProcessError: it is refused.
    """
    matrix = place / "deployed.yaml"
    matrix.write_text(definition)
    with ExitStack() as stack:
        observer = stack.enter_context(Observer(broker_port))
        programs = [stack.enter_context(host(place, name, port)) for name, port in ports]
        for program in programs:
            observer.until_online(program.name)
        command = [sys.executable, "-m", "edgematrix", "deploy", str(matrix), "--broker", f"mqtt://127.0.0.1:{broker_port}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield programs, observer
