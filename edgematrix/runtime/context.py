"""What an agent's code may do while it works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from edgematrix.errors import RunError
from edgematrix.protocol.path import AgentPath, check_name, resolve
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import check_topic
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.run import Run

__all__ = ["Context"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context:
    """One run's hands. After the run is over they do nothing but raise."""

    def __init__(self, engine: Engine, run: Run, clock: Clock) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock

    @property
    def path(self) -> AgentPath:
        """The agent's path."""
        return self._run.runner.agent

    @property
    def run_id(self) -> str:
        """The id of the run; constant over everything that it leads to."""
        return self._run.trail.runid

    def now(self) -> datetime:
        """The time, in UTC: virtual in a simulation."""
        return _EPOCH + timedelta(microseconds=self._clock.now_us())

    async def publish(self, topic: str, payload: object, *, qos: int = 0, retain: bool = False) -> None:
        """Publish a bare payload on a topic outside the matrix's root.

        Raises:
            TopicError: no message may be published on this topic.
            RunError: the topic is below the root or belongs to a device's agent, or the run is over.
        """
        self._check_alive()
        check_topic(topic)
        refusal = self._engine.refuses(topic)
        if refusal is not None:
            raise RunError(refusal, where=self.path)
        self._engine.publish(self.path, topic, _plain(payload), self._clock.now_us(), qos=qos, retain=retain)
        self._engine.settle(self._clock.now_us())

    async def emit(self, port: str, value: object) -> None:
        """Put a value out on one of the agent's own ports.

        Raises:
            PathError: the port's name breaks the grammar.
            RunError: the run is over.
        """
        self._check_alive()
        self._engine.emit(self.path, check_name(port, "port"), _plain(value), self._run.trail, self._clock.now_us())
        self._engine.settle(self._clock.now_us())

    async def send(self, to: str, value: object) -> None:
        """Send work to an agent's input port: `lamp.set` for a neighbour, `/home/hall/lamp.set` for any.

        Descendants may always be sent to; others need a wire that the agent's `sends` declares.

        Raises:
            PathError: the reference breaks the grammar.
            RunError: the run is over, or no such wire was granted.
        """
        self._check_alive()
        path, port = resolve(to, self.path, "in")
        if not self._engine.may_send(self.path, path, port):
            raise RunError(f"nothing grants {self.path} to send to {path}.{port}", where=self.path, remedy="name it in the agent's `sends`")
        self._engine.send(self.path, path, port, _plain(value), self._run.trail, self._clock.now_us())
        self._engine.settle(self._clock.now_us())

    def _check_alive(self) -> None:
        if self._run.over:
            raise RunError("the run is over", where=self.path)


def _plain(value: object) -> object:
    """A model as the JSON value that it is."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
