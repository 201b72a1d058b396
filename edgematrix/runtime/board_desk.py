"""What a board judges for the trigger groups here, by a table that it gets (docs/spec/triggers.md, "Pushed down")."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.board_report import BoardReport, read_report
from edgematrix.runtime.board_table import EMPTY, RULES_PORT, BoardTable, PushedRule, named
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.observation import Dropped, Noted, NotFired
from edgematrix.runtime.outbound import Outbound
from edgematrix.triggers import Reason, Trace
from edgematrix.triggers.pushdown import VERSION

__all__ = ["BoardDesk", "BoardGate"]

_log = logging.getLogger(__name__)

_BOOTS_MAX: Final = 4
_SHOWN: Final = 5
_AGAIN_US: Final = 60 * SECOND_US
"""So often a board that goes back to other rules gets the same ones."""


class BoardDesk:
    """Follows one board. While that runs our table, readings are not judged here, and what it tells is believed.

    Args:
        agent: the board.
    """

    def __init__(self, engine: Engine, agent: AgentPath) -> None:
        self._engine = engine
        self.agent = agent
        self._given = EMPTY
        self._table = EMPTY
        """That which was given, without what paused agents would do."""
        self._keeper: AgentPath | None = None
        self._rules: dict[str, PushedRule] = {}
        self._judged: frozenset[tuple[AgentPath, str]] = frozenset()
        self._running: str | None = None
        """The table that the board has; None for a board that can have none, or of which nothing is known."""
        self._refused = ""
        self._bytes_max = 0
        self._told_of = ""
        self._lacks_judge = False
        self._is_known_to_judge = False
        """Whether its program says that it could have a judge, or had one before."""
        self._warned_of = ""
        self._offered: tuple[str, int] | None = None
        self._numbers: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        self._state_topic = topic_for(engine.root, Kind.STATE, agent)
        self._in_topic = topic_for(engine.root, Kind.IN, agent, RULES_PORT)
        self._out_topic = topic_for(engine.root, Kind.OUT, agent, RULES_PORT)

    def filters(self) -> list[TopicFilter]:
        """What it listens to."""
        return [TopicFilter.parse(topic) for topic in (self._state_topic, self._out_topic)]

    def judges(self, agent: AgentPath, group: str) -> bool:
        """Whether the board judges a group now."""
        return (agent, group) in self._judged

    def update(self, table: BoardTable, keeper: AgentPath | None, now_us: int) -> None:
        """Take note of the table that is right from now on; `keeper` hands it out, None where another host does."""
        self._keeper = keeper
        self._given = table
        self.heed_pauses(now_us)

    def heed_pauses(self, now_us: int) -> None:
        """Let rules of paused agents do nothing by themselves on the board."""
        pauses = self._engine.pauses
        table = self._given.without_acts(pauses.covers) if pauses.parts and self._given.rules else self._given
        if table != self._table:
            self._table = table
            self._rules = {rule.name: rule for rule in table.rules}
            self._settle(now_us)
        self._offer(now_us)
        self._warn(now_us)

    def dismiss(self, now_us: int) -> None:
        """The board is no agent any more: let it judge nothing, and take back what was handed out."""
        if self._keeper is None or self._running is None:
            return
        nothing = named(VERSION, [], [], ())
        self._engine.outbox.append(Outbound(self._in_topic, nothing.form, self._keeper, now_us, 1))
        self._engine.outbox.append(Outbound(self._in_topic, b"", self._keeper, now_us, 1, retain=True))

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells what it is
        """Take what the board says of itself, or what it has judged."""
        if message.topic == self._state_topic:
            self._born(message.value, now_us)
            return
        try:
            report = read_report(message.value)
        except ValueError as error:
            self._engine.dead_letter(self._engine.matrix, message.topic, message.value, str(error), now_us, Origin(message.trail))
            return
        if report.number > self._numbers.get(report.boot, 0):
            self._note(report, now_us)
            self._take(report, now_us)

    def _born(self, state: object, now_us: int) -> None:
        about = state if isinstance(state, Mapping) else {}
        rules = about.get("rules")
        self._is_known_to_judge |= "rules" in about
        if isinstance(rules, Mapping):
            self._lacks_judge, self._warned_of = False, ""
            table, refused, bytes_max = rules.get("table"), rules.get("refused"), rules.get("bytes_max")
            self._running = table if isinstance(table, str) else ""
            self._bytes_max = bytes_max if isinstance(bytes_max, int) else 0
            self._say_refused(refused if isinstance(refused, Mapping) else {}, now_us)
        elif about.get("status") != "offline":
            self._running = None  # other firmware, which knows no rules
            self._lacks_judge = True
        self._settle(now_us)
        self.heed_pauses(now_us)

    def _warn(self, now_us: int) -> None:
        """Say once what is judged here because the board does not: without a connection nobody judges it."""
        here = [rule for rule in self._table.rules if rule.agent not in self._engine.elsewhere]
        if not self._lacks_judge or not here or self._warned_of == self._table.name:
            return
        self._warned_of = self._table.name
        groups = [f"`{rule.group}` of {rule.agent}" for rule in here]
        told = ", ".join(groups[:_SHOWN]) + (f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")
        what = f"the board {self.agent} judges nothing itself, its program has no Judge: judged here, and by nobody while it is cut off,"
        what = f"{what} are {told}"
        self._engine.observe(Noted(now_us, self.agent, "", what))
        if self._is_known_to_judge:
            _log.warning("%s", what)

    def _say_refused(self, refused: Mapping[str, Any], now_us: int) -> None:
        table = str(refused.get("table", ""))[:64]
        if table and table != self._refused and table == self._table.name and self._keeper is not None:
            self._fail(f"the board {self.agent} refuses the rules {table}: {str(refused.get('reason', ''))[:200]}", now_us)
        self._refused = table

    def _settle(self, now_us: int) -> None:
        """Work out which groups the board judges now; those that it begins or ceases to judge forget what they know."""
        is_ours = self._running == self._table.name and bool(self._table.name)
        judged = frozenset((rule.agent, rule.group) for rule in self._table.rules) if is_ours else frozenset()
        changed, self._judged = judged ^ self._judged, judged
        for agent, group in sorted(changed):
            runner = self._runner(agent, group)
            if runner is not None:
                runner.hand_over(now_us)

    def _offer(self, now_us: int) -> None:
        """Hand the table out, if the board has another one and can have ours."""
        table = self._table
        if self._keeper is None or self._running is None or not table.name or table.name in (self._running, self._refused):
            return
        if not any(table.form[2:]) and not self._running:
            return  # nothing to judge, as it does
        outbound = Outbound(self._in_topic, table.form, self._keeper, now_us, 1, retain=True)
        size = len(outbound.publication(lambda at_us: at_us).payload)
        if size > self._bytes_max:
            if self._told_of != table.name:
                self._fail(f"the rules of the board {self.agent} take {size} bytes, it takes {self._bytes_max}", now_us)
            self._told_of = table.name
            return
        if self._offered is not None and self._offered[0] == table.name and now_us - self._offered[1] < _AGAIN_US:
            return  # it is retained; somebody else may hand out another one
        self._offered = (table.name, now_us)
        self._engine.outbox.append(outbound)

    def _fail(self, reason: str, now_us: int) -> None:
        self._engine.dead_letter(self._engine.matrix, self._in_topic, {"table": self._table.name}, reason, now_us)

    def _note(self, report: BoardReport, now_us: int) -> None:
        self._numbers[report.boot] = report.number
        lost = report.lost - self._lost.get(report.boot, 0)
        self._lost[report.boot] = report.lost
        for known in (self._numbers, self._lost):
            if len(known) > _BOOTS_MAX:
                del known[next(iter(known))]
        if lost > 0:
            what = f"the board had no room for {lost} firings that it could not tell"
            self._engine.observe(Dropped(now_us, self.agent, self._out_topic, what))

    def _take(self, report: BoardReport, now_us: int) -> None:
        rule = self._rules.get(report.rule)
        runner = None if rule is None else self._runner(rule.agent, rule.group)
        if rule is not None and rule.agent in self._engine.elsewhere:
            return  # another host's
        if rule is None or runner is None or len(report.readings) != len(rule.ports):
            what = f"the board tells of a rule {report.rule!r} that is none of this matrix any more"
            self._engine.observe(Dropped(now_us, self.agent, self._out_topic, what))
            return
        names = [source.name for source in runner.group.plan.sources]
        topics = [topic_for(self._engine.root, Kind.OUT, self.agent, port) for port in rule.ports]
        firing = report.firing(rule.group, names, topics, now_us + self._engine.skew_us)
        late_us = now_us + self._engine.skew_us - firing.fired_at_us
        if late_us > _LATE_US:
            self._engine.observe(
                Noted(now_us, rule.agent, "", f"`{rule.group}` fired {late_us // SECOND_US} s ago on the board {self.agent}")
            )
        runner.take_judged(firing, now_us)

    def _runner(self, agent: AgentPath, group: str) -> GroupRunner | None:
        holders = self._engine.holders.get(agent, ())
        return next((found for found in holders if isinstance(found, GroupRunner) and found.name == group), None)


_LATE_US: Final = 10 * SECOND_US


class BoardGate:
    """Stands before a group that reads a board: it gets no readings while the board judges it."""

    __slots__ = ("_desk", "_runner")

    def __init__(self, runner: GroupRunner, desk: BoardDesk) -> None:
        self._runner = runner
        self._desk = desk

    @property
    def agent(self) -> AgentPath:
        """Whose group it is."""
        return self._runner.agent

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Let a message through, or say who judges it."""
        runner = self._runner
        if not self._desk.judges(runner.agent, runner.name):
            runner.receive(message, hits, now_us)
        elif runner.engine.tracers or runner.engine.observers:
            runner.engine.observe(NotFired(now_us, runner.agent, Trace(Reason.PUSHED, runner.name)))
