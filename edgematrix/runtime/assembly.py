"""The agents of one host, built and ready to start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.dead_letters import DeadLetters
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.ledger import Ledger
from edgematrix.runtime.remote_calls import RemoteCalls
from edgematrix.runtime.resumption import Resumption
from edgematrix.runtime.set_aside import SetAside, UnderWay

if TYPE_CHECKING:
    from edgematrix.composition.course import Composition
    from edgematrix.runtime.board_desk import BoardDesk
    from edgematrix.runtime.board_table import BoardTable
    from edgematrix.runtime.call_budget import CallBudget
    from edgematrix.runtime.course_body import CourseBody
    from edgematrix.runtime.device_runner import DeviceRunner
    from edgematrix.runtime.ensemble import Member
    from edgematrix.runtime.presence import Presence
    from edgematrix.runtime.questions import Questions
    from edgematrix.runtime.workshop import Workshop  # agents without code need none

__all__ = ["Assembly", "Parts", "Recomposed"]


@dataclass(slots=True)
class Parts:
    """What some agents need besides their places in an engine.

    `openings` put out the first value of a port; each is called once, with the moment. `order` is the place of the last agent in
    the matrix as written, `notify` the foreign topic of each agent that asks people on one.
    """

    order: int
    workshop: Workshop | None = None
    questions: Questions | None = None
    groups: list[GroupRunner] = field(default_factory=list)
    counters: list[DeviceRunner | CallBudget] = field(default_factory=list)
    filters: dict[str, int] = field(default_factory=dict)
    openings: list[Callable[[int], None]] = field(default_factory=list)
    bodies: dict[AgentPath, CourseBody] = field(default_factory=dict)
    presences: dict[AgentPath, Presence] = field(default_factory=dict)
    desks: dict[AgentPath, BoardDesk] = field(default_factory=dict)
    tables: dict[AgentPath, tuple[BoardTable, AgentPath | None]] = field(default_factory=dict)
    """The rules of each board, and on whose behalf they are handed out here."""
    notify: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recomposed:
    """A composite whose runs follow another plan from now on."""

    path: AgentPath
    composition: Composition
    members: Mapping[str, Member]


@dataclass(slots=True)
class Assembly:
    """What a host runs.

    `groups` are the trigger groups in written order, `agents` the paths in written order, composites before what is in them.
    `filters` is what is to be subscribed at the broker, each with its QoS.
    """

    engine: Engine
    agents: tuple[AgentPath, ...]
    groups: list[GroupRunner] = field(default_factory=list)
    filters: dict[str, int] = field(default_factory=dict)
    openings: list[Callable[[int], None]] = field(default_factory=list)
    """What puts out the first value of a port, to be called at the start with the moment."""
    workshop: Workshop | None = None
    """Where agents' code runs; None where no agent has any."""
    session_durable: bool = False
    """Whether the broker is to keep what comes while the host is away."""
    questions: Questions | None = None
    """What people are asked; None where no agent asks any."""
    counters: list[DeviceRunner | CallBudget] = field(default_factory=list)
    """Who counts how often a device is told something, or a model asked."""
    bodies: dict[AgentPath, CourseBody] = field(default_factory=dict)
    """The composites whose runs are courses."""
    presences: dict[AgentPath, Presence] = field(default_factory=dict)
    """Who follows whether its members elsewhere are there."""
    desks: dict[AgentPath, BoardDesk] = field(default_factory=dict)
    """Who follows the boards that may judge groups here."""
    order: int = 0
    """The place of the last agent in the matrix as written."""
    kept: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """What groups that come go on with, by the key under which they are stored, and by part."""
    set_aside: SetAside = field(default_factory=SetAside)
    """What agents that may come had under way when the host went down."""

    @property
    def elsewhere(self) -> frozenset[AgentPath]:
        """Agents of the matrix that speak for themselves, such as boards."""
        return self.engine.elsewhere

    def adopt(self, parts: Parts, now_us: int = 0) -> None:
        """Take in what agents need that are in the engine now."""
        self.order = parts.order
        self.workshop = parts.workshop
        self.questions = parts.questions
        if self.groups:
            self.groups += parts.groups
        else:
            self.groups = parts.groups  # of 10,000 a copy would be the longest list there is
        self.counters += parts.counters
        self.openings += parts.openings
        self.bodies.update(parts.bodies)
        self.presences.update(parts.presences)
        self.desks.update(parts.desks)
        for board, (table, keeper) in parts.tables.items():
            self.desks[board].update(table, keeper, now_us)
        for subscription, qos in parts.filters.items():
            self.filters[subscription] = max(qos, self.filters.get(subscription, 0))
        if self.questions is not None:
            self.questions.notify.update(parts.notify)

    def start(
        self,
        stored: Mapping[str, Mapping[str, bytes]],
        now_us: int,
        damaged: Callable[[str, Exception], None],
        may_come: Callable[[AgentPath], bool] = lambda agent: False,  # noqa: ARG005 - all that there are are here
    ) -> None:
        """Start every group, from its stored parts where there are some, go on with what was under way, and do what is due.

        Args:
            stored: parts by the owner's key.
            damaged: called with the key and the error where a stored state is of no use; the group starts afresh.
            may_come: whether an agent that is not here may come later: what it had under way is set aside.
        """
        work, calls = self.set_aside.sort(
            stored.get(Ledger.STORE_KEY, {}),
            stored.get(RemoteCalls.STORE_KEY, {}),
            lambda agent: agent not in self.engine.holders and may_come(agent),
        )
        self.engine.letters.load(stored.get(DeadLetters.STORE_KEY, {}), damaged)
        self.engine.remote.load(calls, now_us, damaged)
        resumption = Resumption(self.engine, damaged, self.set_aside)
        resumption.take_up(work, now_us)
        loaded = dict.fromkeys(
            runner for runner in self.groups if runner.store_key in stored and runner.load(stored[runner.store_key], damaged)
        )
        for runner in loaded:
            runner.hold_calls()
        for counter in self.counters:
            if counter.store_key in stored:
                counter.load(stored[counter.store_key], now_us, damaged)
        for runner in self.groups:
            if runner in loaded:
                runner.resume(now_us)
            elif runner.store_key in stored:
                runner.start_afresh(now_us)
            else:
                runner.start(now_us)
        resumption.finish(now_us)
        for body in self.bodies.values():
            body.gone_on(now_us)
        for opening in self.openings:
            opening(now_us)
        self.openings.clear()
        self.engine.advance(now_us)

    def come(
        self, groups: Sequence[GroupRunner], bodies: Iterable[CourseBody], now_us: int, damaged: Callable[[str, Exception], None]
    ) -> None:
        """Start groups of agents that have come, each from what was laid out for it, and go on with what these had under way.

        Args:
            groups: theirs.
            bodies: of the composites among them.
            damaged: as for `start`.
        """
        resumption = Resumption(self.engine, damaged, self.set_aside)
        found = self.set_aside.take(self.engine.holders.__contains__)
        if found is not None:
            self.engine.remote.load(found.calls, now_us, damaged)
            resumption.take_up(found.work, now_us)
        kept = {runner: parts for runner in groups if (parts := self.kept.pop(runner.store_key, None)) is not None}
        loaded = dict.fromkeys(runner for runner, parts in kept.items() if runner.load(parts, damaged))
        for runner in loaded:
            runner.hold_calls()
        for runner in groups:
            if runner in loaded:
                runner.touch()
                runner.resume(now_us)
            else:
                runner.start(now_us)
        if found is not None:
            resumption.finish(now_us)
            for body in bodies:
                body.gone_on(now_us)

    def give_up(self, found: UnderWay, reason: str, now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """What was set aside does not go on here; those who wait for it are told the reason."""
        resumption = Resumption(self.engine, damaged, self.set_aside)
        self.engine.remote.load(found.calls, now_us, damaged)
        resumption.give_up(found.work, reason)
        resumption.finish(now_us)

    def set_clock(self, skew_us: int, now_us: int) -> None:
        """Tell every group that the wall clock was set: it is the timeline plus `skew_us`."""
        self.engine.skew_us = skew_us
        for runner in self.groups:
            runner.set_clock(skew_us, now_us)
        self.engine.advance(now_us)
