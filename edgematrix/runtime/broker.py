"""A broker that a host starts for itself, watches, and takes down with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from edgematrix.errors import BrokerError
from edgematrix.runtime.broker_node import BrokerEvent, BrokerNode
from edgematrix.runtime.broker_program import choose

__all__ = ["BrokerEvent", "EmbeddedBroker"]

_PORTS_TRIED_MAX = 100
_PORT_MAX = 65_535


class EmbeddedBroker:
    """An MQTT broker on loopback: mosquitto if it is there, else nats-server. Used as `async with EmbeddedBroker(path) as broker`.

    It takes `port` or the next free one. If it dies it is started again on the same port, at most `restarts_max` times within
    a minute. What it writes goes to `log_path`.

    Args:
        directory: where it keeps its data, its configuration and its log; made if it is missing.
        port: the first port that is tried.
        kind: `mosquitto` or `nats`; None takes what is installed.
        start_timeout_s: how long it may take until it answers.
        restarts_max: how many deaths within a minute are mended.
        observer: is told what happens after the start, and if it begins without its database.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 1883,
        kind: str | None = None,
        start_timeout_s: float = 20.0,
        restarts_max: int = 5,
        observer: Callable[[BrokerEvent], None] | None = None,
    ) -> None:
        self._directory = directory
        self._first_port = port
        self._wanted = kind
        self._start_timeout_s = start_timeout_s
        self._restarts_max = restarts_max
        self._observer = observer
        self._node: BrokerNode | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._first_port if self._node is None else self._node.port

    @property
    def kind(self) -> str:
        """`mosquitto` or `nats`; empty before the start."""
        return "" if self._node is None else self._node.program.kind

    @property
    def pid(self) -> int | None:
        """The broker's process; None while there is none."""
        return None if self._node is None else self._node.pid

    @property
    def log_path(self) -> Path:
        """Where its log is."""
        return self._directory / f"{self.kind or 'broker'}.log"

    async def __aenter__(self) -> Self:
        """Start it, and wait until it takes MQTT connections.

        Raises:
            BrokerError: no broker is installed, it did not start, no port is free, or the directory cannot be written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            program, executable = choose(self._wanted)
            node = self._node = BrokerNode(
                program.kind,
                program,
                executable,
                self._directory,
                template=program.profile,
                values={},
                port=self._first_port,
                start_timeout_s=self._start_timeout_s,
                restarts_max=self._restarts_max,
                observer=self._observer,
            )
            await self._start_on_free_port(node)
        except OSError as error:
            raise BrokerError(f"the broker cannot be started: {error}", where=str(self._directory)) from error
        node.watch()
        if self._observer is not None:
            self._observer(BrokerEvent("started", f"{self.kind} on {self.url}, process {self.pid}"))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it within a second."""
        if self._node is not None:
            await self._node.stop()

    async def _start_on_free_port(self, node: BrokerNode) -> None:
        first = node.port
        for port in range(first, min(first + _PORTS_TRIED_MAX, _PORT_MAX + 1)):
            node.port = port
            if await node.start():
                try:
                    await node.until_it_answers(self._start_timeout_s)
                except BaseException:
                    await node.stop()
                    raise
                return
        raise BrokerError(
            f"no port is free from {first} to {node.port}",
            remedy="stop what listens there, or name another port",
            where=str(self._directory),
        )
