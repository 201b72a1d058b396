"""Beginning, going on after a restart, and a wall clock that was set (docs/spec/triggers.md, "Restart")."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from edgematrix.protocol.duration import SECOND_US
from edgematrix.triggers.admission import next_of_queue, release_debounced, release_throttled
from edgematrix.triggers.cell import Cell
from edgematrix.triggers.intake import turn_off
from edgematrix.triggers.judge import clear, oldest_us
from edgematrix.triggers.plan import Plan
from edgematrix.triggers.source import ABSENT, CLOCK, DURING, Source
from edgematrix.triggers.state import GroupState, Instance, Keys
from edgematrix.triggers.ticks import last_tick
from edgematrix.triggers.timers import reschedule, set_daytime
from edgematrix.triggers.trace import Reason, Trace

__all__ = ["begin", "go_on", "set_clock"]

_BACK_MAX_US: Final = 86_400 * SECOND_US
"""A wall clock that goes back by more was wrong before: what it ticked then does not count."""


def begin(plan: Plan, now_us: int) -> GroupState:
    """A fresh state, its clocks wound and its windows of the day seeded."""
    state = GroupState(Instance(None, len(plan.sources)), Keys() if plan.keyed else None, now_us)
    _wind(plan, state, now_us)
    reschedule(plan, state, state.main)
    return state


def go_on(plan: Plan, state: GroupState, now_us: int, runs_kept: Collection[int]) -> None:
    """Take up a stored state.

    The timeline goes on where it stopped if the wall clock has gone back meanwhile. Timers that passed while down stay
    due, to be taken one by one; held firings and the queue go at once.
    """
    at_us = max(now_us - state.shift_us - state.skew_us, state.latest_us)
    state.shift_us = now_us - at_us
    state.skew_us = 0
    state.latest_us = state.rate_from_us = at_us
    state.rate_count = 0
    state.changed = True
    for source in plan.timed_main:
        cell = state.main.cells[source.index]
        if cell is not None and source.kind == CLOCK:
            _catch_up(plan, state, source, cell, at_us, plan.on_restart)
        elif cell is not None and source.kind == DURING:
            _catch_up_daytime(state, source, cell, at_us, seeds=plan.on_restart == "drop")
    _wind(plan, state, at_us)
    if plan.on_restart == "drop":
        _give_up_sources(plan, state, state.main, plan.timed_main, at_us)
    for instance in _instances(state):
        _abandon(plan, state, instance, runs_kept)
        if plan.on_restart == "drop":
            _give_up_sources(plan, state, instance, plan.timed_own, at_us)
            _give_up(plan, state, instance, at_us)
        next_of_queue(state, instance)
        _release(plan, state, instance, at_us)
        reschedule(plan, state, instance)
    if state.keys is not None:
        reschedule(plan, state, state.main)


def set_clock(plan: Plan, state: GroupState, skew_us: int, at_us: int) -> None:
    """The wall clock was set. No tick comes twice; one that was leapt over comes if it is not too late."""
    state.skew_us = skew_us
    state.changed = True
    for source in plan.timed_main:
        cell = state.main.cells[source.index]
        if cell is not None and source.kind == CLOCK and source.ticks is not None:
            _catch_up(plan, state, source, cell, at_us, "resume")
        elif cell is not None and source.kind == DURING:
            _catch_up_daytime(state, source, cell, at_us, seeds=False)
    reschedule(plan, state, state.main)


def _instances(state: GroupState) -> Iterable[Instance]:
    return [state.main] if state.keys is None else state.keys.instances.values()


def _wind(plan: Plan, state: GroupState, at_us: int) -> None:
    """Let clocks and silences begin that the state does not know yet."""
    ahead_us = state.shift_us + state.skew_us
    for source in plan.timed_main:
        if source.kind not in (ABSENT, CLOCK, DURING) or state.main.cells[source.index] is not None:
            continue
        cell = state.main.cells[source.index] = Cell()
        if source.kind == DURING:
            _seed_daytime(state, source, cell, at_us + ahead_us)
        elif source.ticks is not None:
            cell.memory = at_us + ahead_us
            due_us = source.ticks.after(cell.memory)
            cell.due_us = None if due_us is None else due_us - ahead_us
        else:
            cell.due_us = at_us + (source.span_us or 1)


def _seed_daytime(state: GroupState, source: Source, cell: Cell, wall_us: int) -> None:
    """Set a level by the clock; as with a retained message that is no edge, and starts no `for`."""
    if source.daytime is None:
        return
    stretch = source.daytime.at(wall_us)
    cell.side = stretch.inside
    cell.due_us = None
    state.main.mask &= ~source.bit
    if stretch.inside and source.for_us is None:
        state.main.mask |= source.bit
    set_daytime(state, cell, wall_us, stretch.since_us, stretch.until_us)


def _catch_up(plan: Plan, state: GroupState, source: Source, cell: Cell, at_us: int, policy: str) -> None:
    """Wind a clock: of the ticks that passed unseen the last one is due, if it is not too late; then comes the next."""
    ahead_us = state.shift_us + state.skew_us
    wall_us = at_us + ahead_us
    if source.ticks is None:
        missed_us = _missed_of_grid(cell, source.span_us or 1, at_us)
        following_us = cell.due_us if missed_us is None else missed_us + (source.span_us or 1)
        missed_wall_us = None if missed_us is None else missed_us + ahead_us
    else:
        seen_us = cell.memory if type(cell.memory) is int and cell.memory - wall_us <= _BACK_MAX_US else wall_us
        missed_wall_us = last_tick(source.ticks, seen_us, wall_us) if seen_us < wall_us else None
        next_us = source.ticks.after(max(seen_us, wall_us))
        following_us = None if next_us is None else next_us - ahead_us
    if missed_wall_us is not None:
        late_us = wall_us - missed_wall_us
        if late_us == 0 or policy == "fire" or (policy == "resume" and late_us < plan.grace_us):
            cell.due_us = missed_wall_us - ahead_us
            return
        cell.memory = missed_wall_us
        state.traces.append(Trace(Reason.MISSED, plan.name, None, source.name, (missed_wall_us, late_us)))
    cell.due_us = following_us


def _missed_of_grid(cell: Cell, every_us: int, at_us: int) -> int | None:
    if cell.due_us is None or cell.due_us > at_us:
        return None
    return cell.due_us + (at_us - cell.due_us) // every_us * every_us


def _catch_up_daytime(state: GroupState, source: Source, cell: Cell, at_us: int, *, seeds: bool) -> None:
    """Bring a window of the day to the present. An edge that passed unseen is due; of many, the last.

    A clock that goes back a little changes nothing until it has caught up.
    """
    if source.daytime is None:
        return
    wall_us = at_us + state.shift_us + state.skew_us
    seen_us = cell.memory if type(cell.memory) is int else wall_us
    if seeds or seen_us - wall_us > _BACK_MAX_US:
        _seed_daytime(state, source, cell, wall_us)
        return
    if wall_us <= seen_us:
        stretch = source.daytime.at(seen_us)
        set_daytime(state, cell, seen_us, _since(cell, seen_us), stretch.until_us)
        return
    if cell.due_us is not None and cell.due_us < min(at_us, cell.lapse_us or at_us):
        return  # a `for` was over before the window ended: it is due first, then the window's end
    stretch = source.daytime.at(wall_us)
    turned = stretch.inside and (stretch.since_us > seen_us or not cell.side)
    if cell.side and (turned or not stretch.inside):
        turn_off(state, state.main, source, cell, at_us)
    since_us = _since(cell, seen_us)
    set_daytime(state, cell, seen_us if turned else wall_us, since_us, stretch.since_us if turned else stretch.until_us)


def _since(cell: Cell, other_us: int) -> int:
    """When the present side began, by the wall clock."""
    return other_us if cell.message is None or cell.message.time_us is None else cell.message.time_us


def _abandon(plan: Plan, state: GroupState, instance: Instance, runs_kept: Collection[int]) -> None:
    outlet = instance.outlet
    if outlet is None or not outlet.running:
        return
    for run in outlet.running:
        if run not in runs_kept:
            state.traces.append(Trace(Reason.ABANDONED, plan.name, instance.key, "", (run,)))
            if state.keys is not None:
                state.keys.owners.pop(run, None)
    outlet.running = {run: None for run in outlet.running if run in runs_kept}
    _changed(state, instance)


def _give_up_sources(plan: Plan, state: GroupState, owner: Instance, sources: Iterable[Source], at_us: int) -> None:
    """`on_restart: drop`: a `for` or a silence that ended while down leads to nothing. What has expired has expired all the same."""
    for source in sources:
        cell = owner.cells[source.index]
        if cell is not None and source.kind != CLOCK and cell.due_us is not None and cell.due_us < at_us:
            cell.due_us = None
            what = "silence" if source.kind == ABSENT else "`for`"
            state.traces.append(Trace(Reason.GIVEN_UP, plan.name, owner.key, source.name, (what,)))
            _changed(state, owner)


def _give_up(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> None:
    """`on_restart: drop`: so does a time-out, and a held firing whose time came while down."""
    if plan.timeout_us is not None:
        oldest = oldest_us(plan, instance)
        if oldest is not None and oldest + plan.timeout_us < at_us:
            clear(plan, instance)
            state.traces.append(Trace(Reason.GIVEN_UP, plan.name, instance.key, "", ("`timeout`",)))
    outlet, stages = instance.outlet, plan.stages
    if outlet is None or stages is None:
        return
    if outlet.throttled is not None and (outlet.throttled_us or 0) + (stages.throttle_us or 0) < at_us:
        outlet.throttled = None
        state.traces.append(Trace(Reason.GIVEN_UP, plan.name, instance.key, "", ("`throttle`",)))
    if outlet.debounced is not None and outlet.debounce_due_us < at_us:
        outlet.debounced = None
        state.traces.append(Trace(Reason.GIVEN_UP, plan.name, instance.key, "", ("`debounce`",)))
    _changed(state, instance)


def _release(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> None:
    """What throttle and debounce held too long goes now. A firing that the one releases may be held by the other."""
    outlet, stages = instance.outlet, plan.stages
    if outlet is None or stages is None:
        return
    if outlet.debounced is not None and outlet.debounce_due_us < at_us:
        release_debounced(plan, state, instance, at_us)
        _changed(state, instance)
    if outlet.throttled is not None and (outlet.throttled_us or 0) + (stages.throttle_us or 0) < at_us:
        release_throttled(plan, state, instance, at_us)
        _changed(state, instance)


def _changed(state: GroupState, instance: Instance) -> None:
    if state.keys is None or instance.key is None:
        state.changed = True
    else:
        state.keys.changed[instance.key] = None
