"""What an operator wants done in a running matrix, and what its hosts answer (docs/spec/topics.md, `op` and `reply`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.display import json_text, value_text
from edgematrix.cli.operator import ANSWER_S_MAX, Operator
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.target import Target
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.topic import Kind

__all__ = ["Order", "Reply", "ask", "carry_out"]

_OWN_KEYS = frozenset({"verb", "path", "done", "revision"})
"""What every answer has; the rest is shown below it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A verb, the path that it is about (empty: the one matrix there is), and what it needs to be told besides.

    `of_all` tells that each host has a part of the answer; else one of them carries it out. `words` are those of the command
    line that a path would follow.
    """

    verb: str
    path: str
    data: Mapping[str, object] = field(default_factory=dict)
    of_all: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one host answers."""

    host: str
    data: dict[str, object]

    @property
    def refusal(self) -> BusError | None:
        """Why it was not done; None if it was."""
        if "refused" not in self.data:
            return None
        return BusError(str(self.data["refused"]), where=str(self.data.get("path") or ""), remedy=str(self.data.get("remedy") or ""))

    def lines(self) -> Iterator[str]:
        """What it tells besides."""
        for name, value in self.data.items():
            if name not in _OWN_KEYS:
                yield f"  {plain(name)}: {plain(value) if isinstance(value, str) else value_text(value)}"


def carry_out(target: Target, order: Order, done: str, *, as_json: bool) -> None:
    """Give an order and tell what came of it; `done` is how a person would say that it was done.

    Raises:
        BusError: it was refused, or nobody answered.
        UsageError: there are several matrices, and none is named.
    """
    replies = asyncio.run(ask(target, order))
    if as_json:
        for reply in replies:
            say(json_text({"host": reply.host, **reply.data}))
    for reply in replies:
        if reply.refusal is not None:
            raise reply.refusal
    if not as_json:
        revision = replies[0].data.get("revision")
        told = style(f"  (revision {revision})", dim=True) if isinstance(revision, int) else ""
        say(f"{style('✓', fg='green')} {plain(done)}{told}")
        for reply in replies:
            for line in reply.lines():
                say(line)


async def ask(target: Target, order: Order) -> list[Reply]:
    """What the hosts answer: those that have done it; if none has, those that refuse.

    Raises:
        BusError: no broker, no such matrix, or no answer.
        UsageError: there are several matrices, and none is named.
    """
    return await _Asking(target, order).run()


class _Asking:
    """One order, from the question who is there to the answers."""

    def __init__(self, target: Target, order: Order) -> None:
        self._target = target
        self._order = order
        self._path = order.path or ("" if target.run is None else target.run.name)
        self._operator = Operator(target)
        self._topic = ""
        self._replies: dict[str, Reply] = {}
        self._heard = asyncio.Event()

    async def run(self) -> list[Reply]:
        """Ask, and wait for the answers."""
        filters = [*self._operator.filters, f"{self._target.root}/{Kind.DEAD}/#"]
        async with visit(self._target.url, filters, self._received, qos=1) as guest:
            hosts = await self._find()
            request = self._operator.request(self._order.verb, self._path, self._order.data)
            self._topic = request.topic
            await guest.confirmed(request)
            await self._answered(hosts, guest)
        replies = list(self._replies.values())
        return [reply for reply in replies if reply.refusal is None] or replies

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        seen = Sighting.of(topic, payload, qos, retained, self._target.root)
        if seen.kind in (Kind.STATE, Kind.HOST):
            self._operator.agents.take(seen)
        elif not isinstance(seen.value, dict):
            return
        elif seen.kind == Kind.REPLY and ("refused" in seen.value or seen.value.get("done") is True):
            self._reply(Reply(seen.path.partition("/")[0], seen.value))
        elif seen.kind == Kind.DEAD and self._topic and seen.value.get("topic") == self._topic:
            about = {"verb": self._order.verb, "path": self._path, "refused": seen.value.get("reason")}
            self._reply(Reply("", about))  # a host that cannot read the order does not know whom to answer

    def _reply(self, reply: Reply) -> None:
        self._replies.setdefault(reply.host, reply)
        self._heard.set()

    async def _find(self) -> set[str]:
        """The hosts that may carry it out: those that run what the path names, or else the nearest that it is in."""
        if not self._path:
            self._path = await self._operator.the_one_matrix(self._order.words or self._order.verb)
        agents = self._operator.agents
        path = AgentPath(self._path)
        place = (parent_of(path) or path) if self._order.verb == "create" else path
        await agents.wait_until(lambda: bool(agents.hosts_of(place)))
        above: AgentPath | None = place
        while above is not None:
            hosts = agents.hosts_of(above)
            if hosts:
                return hosts
            above = parent_of(above)
        idle = {name for name, online in agents.hosts.items() if online}
        if idle and not agents.matrices:
            return idle  # a host without a single agent yet
        raise BusError(agents.why_not(place), remedy=agents.nearest(place))

    async def _answered(self, hosts: set[str], guest: Visit) -> None:
        """Wait until it is done, or each host has said something."""
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                while not (hosts <= self._replies.keys() or "" in self._replies or self._is_done()):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            failure = self._operator.unanswered(self._order.verb, hosts - self._replies.keys(), guest)
            if not self._replies:
                raise failure from None
            complain(style(failure.what, fg="yellow"))

    def _is_done(self) -> bool:
        return not self._order.of_all and any(reply.refusal is None for reply in self._replies.values())
