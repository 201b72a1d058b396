"""One run of a flow: what is under way, what waits, and what follows from each event (docs/spec/matrix.md, "Flows")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgematrix.composition.course import Done, Effect, Emit, Event, Fail, Failed, Finish, Invoke, Note, Tick
from edgematrix.composition.flow_graph import bits
from edgematrix.composition.flow_parts import Plan, Station, Way
from edgematrix.composition.join import Join, Token
from edgematrix.errors import ExpressionError
from edgematrix.protocol.duration import format_duration

__all__ = ["FlowCourse"]

_SHOWN_MAX = 8
"""Steps, and joins, that `waits_for` names."""


class FlowCourse:
    """A course of a flow; a pure step machine.

    Its memory: `_steps` has the member of each step under way. `_active` is the mask of the members with such a step,
    `_again` how many more of them there are. `_stale` has, by step, the mask of the members for which what it gives counts no more,
    because a new round of a loop has begun. `_waits` has the slots that are filled of each join that waits, `_reuse` those slots
    that hold, or would hold, a value of a former round. `_last` are the last values along edges that keep them, `_results` what
    was put out for the flow's outputs: the value, its step, and the member.
    """

    __slots__ = (
        "_active", "_again", "_last", "_now_us", "_over", "_plan", "_results", "_reuse", "_runid", "_stale", "_steps", "_taken", "_waits",
        "deadline_us",
    )  # fmt: skip

    def __init__(self, plan: Plan, runid: str) -> None:
        self._plan = plan
        self._runid = runid
        self._steps: dict[int, int] = {}
        self._taken = 0
        self._active = 0
        self._again: dict[int, int] | None = None
        self._stale: dict[int, int] | None = None
        self._waits: dict[int, int] | None = None
        self._reuse: dict[int, int] | None = None
        self._last: dict[int, Token] | None = None
        self._results: dict[str, tuple[object, int, int]] | None = None
        self._over = False
        self._now_us = 0
        self.deadline_us: int | None = None

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:
        """Start with the values of the flow's input ports; one that has none is as a branch that is not taken."""
        self._now_us = now_us
        if self._plan.deadline_us is not None:
            self.deadline_us = now_us + self._plan.deadline_us
        effects: list[Effect] = []
        self._leave(self._plan.starts, inputs, 0, 0, effects)
        return self._settled(effects)

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take one event. Those of steps that are not under way do nothing."""
        if self._over:
            return []
        self._now_us = now_us
        if type(event) is Done:
            return self._done(event)
        if type(event) is Failed:
            member = self._steps.get(event.step)
            return [] if member is None else self._fail([], event.reason, member)
        if type(event) is Tick and self.deadline_us is not None and now_us >= self.deadline_us:
            told = f"its deadline of {format_duration(self._plan.deadline_us or 0)} has passed; {self.waits_for()}"
            return self._fail([], told)
        return []

    def waits_for(self) -> str:
        """The steps that work, and what each join waits for."""
        if self._over:
            return "nothing, it is over"
        stations = self._plan.stations
        told = [f"{stations[member].name} (step {number}) works" for number, member in self._steps.items()]
        for node in self._waiting():
            join = _join_of(stations[node])
            told.append(f"{stations[node].name} waits for {', '.join(join.names[slot] for slot in self._awaited(node))}")
        more = f"; and {len(told) - _SHOWN_MAX} more" if len(told) > _SHOWN_MAX else ""
        return "; ".join(told[:_SHOWN_MAX]) + more if told else "its inputs"

    def close(self) -> tuple[str, ...]:
        """Forget what waits in joins."""
        self._over = True
        for node in self._waiting():
            _join_of(self._plan.stations[node]).forget(self._runid, self._now_us)
        self._waits = self._reuse = self._last = None
        self._steps = {}
        return ()

    # Steps

    def _done(self, event: Done) -> list[Effect]:
        number = event.step
        member = self._steps.pop(number, None)
        if member is None:
            return []
        barred = 0 if self._stale is None else self._stale.pop(number, 0)
        if not barred:
            self._count_out(member)
        effects: list[Effect] = []
        station = self._plan.stations[member]
        for output, port in station.results:
            if port in event.outputs:
                self._put_out(output, event.outputs[port], number, member)
        self._leave(station.ways, event.outputs, number, barred, effects)
        return self._settled(effects)

    def _leave(self, ways: tuple[Way, ...], outputs: Mapping[str, object], number: int, barred: int, effects: list[Effect]) -> None:
        """Send what a step has put out along the edges that lead on."""
        late = False
        for way in ways:
            if way.port not in outputs:
                effects.append(way.nothing)
                continue
            if barred and way.target >= 0 and barred >> way.target & 1:
                late = True
                continue
            value = outputs[way.port]
            if way.when is not None and not _holds(way, value, effects):
                continue
            self._go(way, Token(value, number), effects)
            if self._over:
                return
        if late:
            effects.append(Note(f"step {number} is of a round that is over, so what it gave counts no more in that loop"))

    def _go(self, way: Way, token: Token, effects: list[Effect]) -> None:
        target = way.target
        if target < 0:
            self._put_out(way.output, token.value, token.step, -1)
            return
        if way.keeps:
            if self._last is None:
                self._last = {}
            self._last[way.number] = token
        if way.back:
            self._begin_round(target, effects)
            self._invoke(target, self._last_of(target), effects)
        elif way.slot >= 0:
            self._join_with(target, way.slot, token, effects)
        else:
            self._invoke(target, {way.number: token}, effects)

    def _invoke(self, member: int, tokens: Mapping[int, Token], effects: list[Effect]) -> None:
        plan = self._plan
        station = plan.stations[member]
        if plan.max_steps is not None and self._taken >= plan.max_steps:
            self._fail(effects, f"more than max_steps ({plan.max_steps}) steps: the next one would be of `{station.name}`", member)
            return
        self._taken += 1
        number = self._taken
        self._steps[number] = member
        bit = 1 << member
        if self._active & bit:
            if self._again is None:
                self._again = {}
            self._again[member] = self._again.get(member, 0) + 1
        self._active |= bit
        if station.only is not None:
            (token,) = tokens.values()
            origins: tuple[int, ...] = (token.step,)
            after = origins if token.step else ()
            effects.append(Invoke(number, station.name, ((station.only, token.value),), station.wanted, after, origins))
            return
        origins = tuple(sorted({token.step for token in tokens.values()}))
        after = origins if origins[0] else origins[1:]
        effects.append(Invoke(number, station.name, _inputs_of(station, tokens), station.wanted, after, origins))

    def _count_out(self, member: int) -> None:
        """One step of a member is under way no longer, or is stale."""
        more = 0 if self._again is None else self._again.pop(member, 0)
        if not more:
            self._active &= ~(1 << member)
        elif more > 1 and self._again is not None:
            self._again[member] = more - 1

    def _put_out(self, output: str, value: object, number: int, member: int) -> None:
        """Keep a value for an output. What a member gives in an earlier step does not undo what it gave in a later one."""
        if self._results is None:
            self._results = {}
        known = self._results.get(output)
        if known is None or known[2] != member or known[1] <= number or member < 0:
            self._results[output] = (value, number, member)

    def _fail(self, effects: list[Effect], reason: str, member: int = -1) -> list[Effect]:
        self._over = True
        effects.append(Fail(reason, "" if member < 0 else self._plan.stations[member].name))
        return effects

    def _settled(self, effects: list[Effect]) -> list[Effect]:
        """Let joins go on for which nothing more comes; end the course when nothing is left to happen."""
        if self._waits and not self._over:
            self._resolve(effects)
        if self._over or self._steps or self._waits:
            return effects
        self._over = True
        results = self._results or {}
        for output in self._plan.outputs:
            if output in results:
                value, number, _ = results[output]
                effects.append(Emit(output, value, origins=(number,)))
        effects.append(Finish())
        return effects

    # Joins

    def _join_with(self, node: int, slot: int, token: Token, effects: list[Effect]) -> None:
        """A value has come to a join; with it come the values from outside the loop that former rounds have had."""
        if self._waits is None:
            self._waits = {}
        bit = 1 << slot
        if self._reuse and node in self._reuse:
            self._reuse[node] &= ~bit
            if node not in self._waits:
                self._fill(node, self._reuse[node], effects)
        self._put(node, slot, token, effects)

    def _fill(self, node: int, slots: int, effects: list[Effect]) -> None:
        """Put the last values of these slots into a join."""
        join = _join_of(self._plan.stations[node])
        for slot in bits(slots):
            token = None if self._last is None else self._last.get(join.edges[slot])
            if token is not None:
                self._put(node, slot, token, effects)

    def _put(self, node: int, slot: int, token: Token, effects: list[Effect]) -> None:
        waits = self._waits
        if waits is None or self._over:
            return
        join = _join_of(self._plan.stations[node])
        held = waits.get(node, 0) | 1 << slot
        waits[node] = held
        tokens, traces = join.put(self._runid, slot, token, self._now_us)
        effects += map(Note, traces)
        if tokens is not None:
            self._fire(node, tokens, effects)
        elif held == join.full:
            self._fail(effects, "what waited for its join was forgotten: too many runs wait there", node)

    def _fire(self, node: int, tokens: Mapping[int, Token], effects: list[Effect]) -> None:
        if self._waits is not None:
            self._waits.pop(node, None)
        if self._reuse:
            self._reuse.pop(node, None)
        self._invoke(node, tokens, effects)

    def _resolve(self, effects: list[Effect]) -> None:
        """Fire the joins for which nothing more can come. One that fires is under way as it waited: the others judge the same."""
        waits = self._waits
        if not waits:
            return
        for node in self._waiting():
            if self._over:
                return
            if not self._awaits(node):
                self._go_without(node, effects)
        while waits and not self._steps and not self._over:
            # Joins in loops that have several ways in may wait for one another.
            self._go_without(min(waits, key=self._plan.ranks.__getitem__), effects)

    def _go_without(self, node: int, effects: list[Effect]) -> None:
        join = _join_of(self._plan.stations[node])
        missing = join.full & ~(self._waits or {})[node]
        names = ", ".join(join.names[slot] for slot in bits(missing))
        effects.append(Note(f"`{self._plan.stations[node].name}` goes on without {names}: nothing comes from there any more"))
        tokens = join.skip(self._runid, missing, self._now_us)
        if tokens is None:
            self._fail(effects, "what waited for its join was forgotten: too many runs wait there", node)
        else:
            self._fire(node, tokens, effects)

    def _waiting(self) -> list[int]:
        """The joins that wait, in topological order."""
        return sorted(self._waits, key=self._plan.ranks.__getitem__) if self._waits else []

    def _awaits(self, node: int) -> bool:
        return next(iter(self._awaited(node)), None) is not None

    def _awaited(self, node: int) -> Iterator[int]:
        """The slots of a waiting join that something may still come to."""
        join = _join_of(self._plan.stations[node])
        busy = self._active
        for other in self._waits or ():
            busy |= 1 << other
        for slot in bits(join.full & ~(self._waits or {}).get(node, 0)):
            if busy & join.may_give[slot] or (self._stale and self._late_gives(node, slot, join)):
                yield slot

    def _late_gives(self, node: int, slot: int, join: Join) -> bool:
        """Whether a step of a former round may still lead to a slot, by a way out of the loop that it is late for."""
        for number, barred in (self._stale or {}).items():
            if barred >> node & 1:
                continue
            for way in self._plan.stations[self._steps[number]].ways:
                if way.target == node and way.slot == slot:
                    return True
                leads_on = way.target >= 0 and not barred >> way.target & 1 and join.may_give[slot] >> way.target & 1
                if leads_on and not (way.back and self._plan.loops[way.target].members >> node & 1):
                    return True
        return False

    # Rounds

    def _begin_round(self, start: int, effects: list[Effect]) -> None:
        """A back edge is taken: what the loop has not finished counts no more, and its joins are armed afresh."""
        loop = self._plan.loops[start]
        name = self._plan.stations[start].name
        late = [(number, member) for number, member in self._steps.items() if loop.members >> member & 1]
        for number, member in late:
            if self._stale is None:
                self._stale = {}
            barred = self._stale.get(number, 0)
            if not barred:
                self._count_out(member)
            if barred & loop.members != loop.members:
                self._stale[number] = barred | loop.members
                told = f"step {number} (`{self._plan.stations[member].name}`) is of the one before and counts no more in the loop"
                effects.append(Note(f"a new round of `{name}` begins: {told}"))
        if self._last:
            for edge in loop.inside:
                self._last.pop(edge, None)
        for node, outside in loop.outside.items():
            self._arm(node, outside, name, effects)

    def _arm(self, node: int, outside: int, name: str, effects: list[Effect]) -> None:
        """Arm a join afresh: what came from inside the loop goes, what came from outside holds for this round too."""
        join = _join_of(self._plan.stations[node])
        held = self._waits.pop(node, 0) if self._waits else 0
        kept = held & outside & ~(self._reuse or {}).get(node, 0)
        if held:
            join.forget(self._runid, self._now_us)
        if held & ~outside:
            names = ", ".join(join.names[slot] for slot in bits(held & ~outside))
            effects.append(Note(f"a new round of `{name}` begins: `{self._plan.stations[node].name}` drops what it has from {names}"))
        known = sum(1 << slot for slot in bits(outside & ~kept) if join.edges[slot] in (self._last or ()))
        if known or self._reuse:
            if self._reuse is None:
                self._reuse = {}
            self._reuse[node] = known
        if kept:
            self._fill(node, kept | known, effects)

    def _last_of(self, member: int) -> dict[int, Token]:
        """What has come to a member last, by edge."""
        last = self._last or {}
        return {edge: last[edge] for edge in self._plan.stations[member].edges if edge in last}


def _join_of(station: Station) -> Join:
    assert station.join is not None  # noqa: S101 - only members with a join wait
    return station.join


def _holds(way: Way, value: object, effects: list[Effect]) -> bool:
    """Whether an edge is taken. A condition that cannot be judged is false, and says why."""
    assert way.when is not None  # noqa: S101 - only asked where there is one
    try:
        holds = way.when.holds(value)
    except ExpressionError as error:
        effects.append(Note(f"the edge `{way.name}` is not taken: {way.when.text!r} cannot be judged: {error}"))
        return False
    if not holds:
        effects.append(way.refused)
    return holds


def _inputs_of(station: Station, tokens: Mapping[int, Token]) -> tuple[tuple[str, object], ...]:
    """What a member gets, by port; what was skipped is left out."""
    inputs: list[tuple[str, object]] = []
    for port in station.ports:
        values = {key: tokens[edge].value for edge, key in port.edges if edge in tokens}
        if values and port.plain:
            inputs += ((port.name, value) for value in values.values())
        elif values:
            inputs.append((port.name, values))
    return tuple(inputs)
