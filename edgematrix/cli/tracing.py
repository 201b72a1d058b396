"""A look at what the trigger groups of a running matrix do: the question to its hosts, and what they tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from edgematrix.cli.console import complain, style
from edgematrix.cli.operator import ANSWER_S_MAX, Operator
from edgematrix.cli.options import Duration
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.stop import on_stop
from edgematrix.cli.target import Target
from edgematrix.cli.trace_face import TraceFace
from edgematrix.cli.trace_line import Told
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.message import Publication
from edgematrix.protocol.topic import Kind

__all__ = ["FaceOf", "Question", "Tracing"]

FaceOf = Callable[[Callable[[OSError], None]], TraceFace]
"""Makes a face, from what it is to call when nobody looks at it any more."""

_RENEW_S = 20.0
"""A lease is for 60 s: a renewal or two may be lost."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of which part of the tree (empty: of the one matrix there is), of which groups (empty: all), how much."""

    path: str
    group: str
    last: int
    follow: bool
    duration: Duration | None


@dataclass(slots=True)
class Answers:
    """What the hosts have said so far; each says when it has said all."""

    told: list[Told] = field(default_factory=list)
    complete: set[str] = field(default_factory=set)
    refusals: list[BusError] = field(default_factory=list)

    def take(self, host: str, value: object) -> None:
        """Take in a part of an answer. What is none is no word from anybody."""
        if not isinstance(value, dict):
            return
        observations = value.get("observations")
        if isinstance(observations, list):
            self.told += [told for told in observations if isinstance(told, dict)]
        if "refused" in value:
            self.refusals.append(BusError(str(value["refused"]), remedy=str(value.get("remedy") or "")))
        if value.get("last"):
            self.complete.add(host)

    def history(self, last: int) -> tuple[list[Told], list[Told]]:
        """What happened, oldest first, and what the groups wait for."""
        told = sorted(self.told, key=lambda told: str(told.get("at")))
        happened = [item for item in told if item.get("kind") != "match"]
        return happened[-last:], [item for item in told if item.get("kind") == "match"]


class Tracing:
    """One look. Made for one run."""

    def __init__(self, target: Target, question: Question, face: FaceOf) -> None:
        self._target = target
        self._question = question
        self._path = question.path
        self._face = face(self._gone)
        self._operator = Operator(target)
        self._answers = Answers()
        self._heard = asyncio.Event()
        self._renew = asyncio.Event()
        self._ended = asyncio.Event()
        self._early: list[Told] | None = []
        """What happened before the hosts have answered; None once they have."""
        self._failure: OSError | None = None

    async def run(self) -> None:
        """Ask, show the answer, and go on if that is wanted.

        Raises:
            BusError: no broker, no such agent or group, or no answer.
            UsageError: the address is wrong, or there are several matrices.
        """
        root, question = self._target.root, self._question
        async with visit(self._target.url, self._operator.filters, self._received, qos=1, changed=self._link_changed) as guest:
            await self._find()
            if question.follow:
                guest.transport.subscribe({f"{root}/{Kind.TRACE}/{self._path}/#": 0})
            await guest.assure(self._watch(newest=question.last, follow=question.follow))
            await self._answered(guest)
            if question.follow:
                await self._follow(guest)
            else:
                self._face.begin(*self._answers.history(question.last))
        if self._failure is not None:
            raise self._failure

    # What the bus tells

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        seen = Sighting.of(topic, payload, qos, retained, self._target.root)
        if seen.kind in (Kind.STATE, Kind.HOST):
            self._operator.agents.take(seen)
            if seen.kind == Kind.HOST and not retained:
                self._renew.set()  # a host that has begun anew knows of no lease
        elif seen.kind == Kind.REPLY:
            self._answers.take(seen.path.partition("/")[0], seen.value)
        elif isinstance(seen.value, dict):
            self._happens({"path": seen.path, **seen.value})
        self._heard.set()

    def _happens(self, told: Told) -> None:
        group = self._question.group
        if self._ended.is_set() or (group and told.get("kind") != "left_out" and told.get("group") != group):
            return
        if self._early is not None:
            self._early.append(told)
            return
        try:
            self._face.happens(told)
        except OSError as error:
            self._gone(error)

    def _gone(self, error: OSError) -> None:
        """Nobody reads any more, as when `head` has enough."""
        self._failure = error
        self._ended.set()

    def _link_changed(self, text: str) -> None:
        _note(text)
        self._renew.set()

    # Asking

    def _watch(self, *, newest: int, follow: bool) -> Publication:
        return self._operator.request("watch", self._path, {"newest": newest, "follow": follow, "group": self._question.group})

    async def _find(self) -> None:
        """Wait for what is retained about the agents; if the part that is meant is not there, say who is."""
        if not self._path:
            self._path = await self._operator.the_one_matrix("trace")
        agents = self._operator.agents
        if not await agents.wait_until(lambda: bool(agents.hosts_of(self._path))):
            raise BusError(agents.why_not(self._path), remedy=agents.nearest(self._path))

    async def _answered(self, guest: Visit) -> None:
        """Wait until each host that runs a part of what is meant has said all."""
        hosts = self._operator.agents.hosts_of(self._path)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                while not hosts <= self._answers.complete:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            failure = self._operator.unanswered("watch", hosts - self._answers.complete, guest)
            if not self._answers.complete:
                raise failure from None
            _note(failure.what)
        if self._answers.refusals and not self._answers.told:
            raise self._answers.refusals[0]

    # Following

    async def _follow(self, guest: Visit) -> None:
        self._face.begin(*self._answers.history(self._question.last))
        early, self._early = self._early or [], None
        for told in early:
            self._happens(told)
        duration = self._question.duration
        try:
            with on_stop(self._ended.set):
                renewing = asyncio.create_task(self._renew_on(guest), name="renew")
                ended = asyncio.create_task(self._ended.wait(), name="ended")
                waited = {ended, renewing} if guest.running is None else {ended, renewing, guest.running}
                await asyncio.wait(waited, timeout=None if duration is None else duration.seconds, return_when=asyncio.FIRST_COMPLETED)
                renewing.cancel()
                ended.cancel()
        finally:
            self._face.end()
        for trouble in guest.trouble:
            _note(trouble)
        if guest.running is not None and guest.running.done():
            guest.running.result()
        guest.transport.publish(self._watch(newest=0, follow=False))

    async def _renew_on(self, guest: Visit) -> None:
        while True:
            try:
                async with asyncio.timeout(_RENEW_S):
                    await self._renew.wait()
            except TimeoutError:
                pass
            self._renew.clear()
            guest.transport.publish(self._watch(newest=0, follow=True))


def _note(text: str) -> None:
    complain(style(text, fg="yellow"))
