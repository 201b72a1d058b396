"""A look at what the trigger groups of a running matrix do: the question to its hosts, and what they tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from edgematrix.cli.agents_seen import AgentsSeen
from edgematrix.cli.console import complain, plain, style
from edgematrix.cli.options import Duration
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.stop import on_stop
from edgematrix.cli.target import Target
from edgematrix.cli.trace_face import TraceFace
from edgematrix.cli.trace_line import Told
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError, UsageError
from edgematrix.protocol.codec import encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.ids import id_maker
from edgematrix.transport.endpoint import Endpoint

__all__ = ["FaceOf", "Question", "Tracing"]

FaceOf = Callable[[Callable[[OSError], None]], TraceFace]
"""Makes a face, from what it is to call when nobody looks at it any more."""

_NOBODY = "operator"
"""Who asks where the broker wants no user."""
_RENEW_S = 20.0
"""A lease is for 60 s: a renewal or two may be lost."""
_LOOK_S_MAX = 3.0
_QUIET_S = 0.3


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
        self._user = _user_of(target.url)
        self._new_id = id_maker()
        self._session = self._new_id(_now_us())
        self._seen = AgentsSeen(target.root)
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
        filters = [f"{root}/{Kind.HOST}/#", f"{root}/{Kind.STATE}/#", f"{root}/{Kind.REPLY}/+/{self._session}"]
        async with visit(self._target.url, filters, self._received, qos=1, changed=self._link_changed) as guest:
            await self._find()
            if question.follow:
                guest.transport.subscribe({f"{root}/{Kind.TRACE}/{self._path}/#": 0})
            await guest.confirmed(self._watch(newest=question.last, follow=question.follow))
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
            self._seen.take(seen)
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
        now_us = _now_us()
        event = Event(
            specversion="1.0",
            id=self._new_id(now_us),
            source=f"/{self._path}",
            type=f"em.{Kind.OP}.watch",
            time=format_moment(now_us),
            data={"session": self._session, "newest": newest, "follow": follow, "group": self._question.group},
        )
        return Publication(topic_for(self._target.root, Kind.OP, f"{self._user}/watch", self._path), encode_event(event), 1)

    async def _find(self) -> None:
        """Wait for what is retained about the agents; if the part that is meant is not there, say who is."""
        try:
            async with asyncio.timeout(_LOOK_S_MAX):
                while not self._seen.hosts_of(self._path):
                    self._heard.clear()
                    async with asyncio.timeout(_QUIET_S):
                        await self._heard.wait()
        except TimeoutError:
            what = self._seen.why_not(self._path) if self._path else f"no agent is online below {self._target.root}/"
            raise BusError(what, remedy=self._seen.nearest(self._path)) from None
        if not self._path:
            await self._until_quiet()
            names = sorted({path.partition("/")[0] for path in self._seen.ready})
            if len(names) > 1:
                raise UsageError(f"several matrices are on this bus: {', '.join(names[:20])}", remedy=f"edgematrix trace {names[0]}")
            self._path = names[0]

    async def _until_quiet(self) -> None:
        """Let all that is retained come in: there may be more than one matrix."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S_MAX):
                while True:
                    self._heard.clear()
                    async with asyncio.timeout(_QUIET_S):
                        await self._heard.wait()

    async def _answered(self, guest: Visit) -> None:
        """Wait until each host that runs a part of what is meant has said all."""
        hosts = self._seen.hosts_of(self._path)
        try:
            async with asyncio.timeout(_LOOK_S_MAX):
                while not hosts <= self._answers.complete:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            what = f"no answer from {', '.join(map(plain, sorted(hosts - self._answers.complete)))} within {_LOOK_S_MAX:g} s"
            if not self._answers.complete:
                allowed = f"{self._target.root}/op/{self._user}/watch/# and {self._target.root}/reply/#"
                remedy = (guest.trouble or [f"the broker's access list has to allow {allowed}"])[0]
                raise BusError(what, remedy=remedy) from None
            _note(what)
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


def _user_of(url: str) -> str:
    """Who asks: the broker lets a user speak for himself alone."""
    name = Endpoint.parse(url).username
    if name is None:
        return _NOBODY
    if not name or any(sign in name for sign in "/+#\0"):
        raise UsageError(f"the user name {name[:80]!r} cannot stand in a topic", where="--url")
    return name


def _now_us() -> int:
    return time.time_ns() // 1_000


def _note(text: str) -> None:
    complain(style(text, fg="yellow"))
