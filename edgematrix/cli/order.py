"""What an operator wants done in a running matrix, and what its hosts answer (docs/spec/topics.md, `op` and `reply`)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.display import json_text, value_text
from edgematrix.cli.operator import ANSWER_S_MAX, Operator
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.target import Target
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.topic import Kind, topic_for

__all__ = ["Order", "Reply", "ask", "carry_out"]

_OWN_KEYS = frozenset({"verb", "path", "done", "revision"})
"""What every answer has; the rest is shown below it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A verb, the path that it is about (empty: the one matrix there is), and what it needs to be told besides.

    `of_all` tells that each host has a part of the answer; else one of them carries it out. `words` are those of the command
    line that a path would follow. `listed` is the key of a list in the answer that may come in parts, each but the last of which
    says so.
    """

    verb: str
    path: str
    data: Mapping[str, object] = field(default_factory=dict)
    of_all: bool = False
    words: str = ""
    listed: str = ""


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
        what, path = str(self.data["refused"]), str(self.data.get("path") or "")
        return BusError(what, where="" if path in what else path, remedy=str(self.data.get("remedy") or ""))

    def lines(self, known: Collection[str]) -> Iterator[str]:
        """What it tells besides what stands under the keys `known`."""
        for name, value in self.data.items():
            if name not in _OWN_KEYS and name not in known:
                yield f"  {plain(name)}: {plain(value) if isinstance(value, str) else value_text(value)}"


def carry_out(target: Target, order: Order, done: str, *, said: Collection[str] = (), as_json: bool) -> None:
    """Give an order and tell what came of it.

    Args:
        target: the bus.
        order: what is wanted.
        done: how a person would say that it was done.
        said: the keys of the answer that `done` tells already.
        as_json: whether programs read it.

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
            for line in reply.lines(said):
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
        self._place = AgentPath(self._path)
        self._topic = ""
        self._replies: dict[str, Reply] = {}
        self._parts: dict[str, list[object]] = {}
        """What has come of lists that come in parts, by host."""
        self._heard = asyncio.Event()

    async def run(self) -> list[Reply]:
        """Ask, and wait for the answers."""
        filters = [*self._operator.filters, *([self._refusals] if self._path else [])]
        async with visit(self._target.url, filters, self._received, qos=1) as guest:
            if not self._path:
                await self._name_matrix()
                guest.transport.subscribe({self._refusals: 1})
            await self._find()
            request = self._operator.request(self._order.verb, self._path, self._order.data)
            self._topic = request.topic
            await guest.assure(request)
            if await self._answered(guest) and not self._is_done():
                await self._operator.agents.wait_until(lambda: False)  # who is there may not all have been told yet
                await self._answered(guest)
        replies = list(self._replies.values())
        return [reply for reply in replies if reply.refusal is None] or replies

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        seen = Sighting.of(topic, payload, qos, retained, self._target.root)
        if seen.kind in (Kind.STATE, Kind.HOST):
            self._operator.agents.take(seen)
        elif not isinstance(seen.value, dict):
            return
        elif seen.kind == Kind.REPLY and ("refused" in seen.value or seen.value.get("done") is True):
            self._part(seen.path.partition("/")[0], seen.value)
        elif seen.kind == Kind.DEAD and self._topic and seen.value.get("topic") == self._topic:
            about = {"verb": self._order.verb, "path": self._path, "refused": seen.value.get("reason")}
            self._reply(Reply("", about))  # a host that cannot read the order does not know whom to answer

    def _part(self, host: str, told: dict[str, object]) -> None:
        """Take an answer, or a part of one: it counts when it is whole."""
        items = told.get(self._order.listed)
        if isinstance(items, list):
            so_far = self._parts.setdefault(host, [])
            so_far += items
            if told.get("last") is False:
                return
            told = {**told, self._order.listed: so_far}
        self._reply(Reply(host, told))

    def _reply(self, reply: Reply) -> None:
        self._replies.setdefault(reply.host, reply)
        self._heard.set()

    @property
    def _refusals(self) -> str:
        """Where a host tells of orders that it cannot read."""
        return topic_for(self._target.root, Kind.DEAD, self._path.partition("/")[0])

    async def _name_matrix(self) -> None:
        self._path = await self._operator.the_one_matrix(self._order.words or self._order.verb)

    async def _find(self) -> None:
        """Wait until a host is known that may carry it out."""
        agents = self._operator.agents
        path = AgentPath(self._path)
        self._place = (parent_of(path) or path) if self._order.verb == "create" else path
        if not await agents.wait_until(lambda: bool(agents.hosts_of(self._place))) and not self._hosts():
            raise BusError(agents.why_not(self._place), remedy=agents.nearest(self._place))

    def _hosts(self) -> set[str]:
        """Those that are asked: whoever runs what the path names, or else the nearest that it is in."""
        agents = self._operator.agents
        above: AgentPath | None = self._place
        while above is not None:
            hosts = agents.hosts_of(above)
            if hosts:
                return hosts
            above = parent_of(above)
        # A host without a single agent yet hears of its matrix too.
        return set() if agents.matrices else {name for name, online in agents.hosts.items() if online}

    async def _answered(self, guest: Visit) -> bool:
        """Wait until it is done, or each host that is known has said something; whether that came in time."""
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                while not (self._is_done() or "" in self._replies or (self._replies and self._hosts() <= self._replies.keys())):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            failure = self._operator.unanswered(self._order.verb, self._hosts() - self._replies.keys(), guest)
            if not self._replies:
                raise failure from None
            complain(style(failure.what, fg="yellow"))
            return False
        return True

    def _is_done(self) -> bool:
        return not self._order.of_all and any(reply.refusal is None for reply in self._replies.values())
