"""Time alone: when something is due next, and what follows when it is.

A timer is one number: its moment on the group's timeline, shifted left by 7 bits, and its place in written order: the
sources from 1, then `timeout`, `throttle` and `debounce`. So the least number is the one that comes first.
"""

from __future__ import annotations

import heapq
from typing import Final

from edgematrix.protocol.message import Message
from edgematrix.triggers.admission import pass_pending, release_debounced, release_throttled
from edgematrix.triggers.cell import NO_CAPTURES, Cell, Token
from edgematrix.triggers.intake import turn_off, turn_on
from edgematrix.triggers.judge import oldest_us, settle, stands, time_out
from edgematrix.triggers.plan import Plan
from edgematrix.triggers.source import ABSENT, CLOCK, DURING, Source
from edgematrix.triggers.state import NEVER, GroupState, Instance, Keys
from edgematrix.triggers.ticks import last_tick
from edgematrix.triggers.trace import Reason, Trace

__all__ = ["clock_message", "due_next", "reschedule", "set_daytime", "tick", "touch"]

_PLACE_BITS: Final = 7
_PLACES: Final = (1 << _PLACE_BITS) - 1
_TIMEOUT: Final = 65
_THROTTLE: Final = 66
_DEBOUNCE: Final = 67
_HEAP_SPARE: Final = 64


def due_next(state: GroupState) -> int | None:
    """The moment of the next timer on the group's timeline; None if there is none."""
    when = state.main.when
    if state.keys is not None:
        _, top = _first_key(state.keys)
        when = min(when, top)
    return None if when == NEVER else when >> _PLACE_BITS


def reschedule(plan: Plan, state: GroupState, instance: Instance) -> None:
    """Find the next timer of an instance that an event has touched."""
    keys = state.keys
    if keys is None:
        instance.when = min(_of_sources(instance, plan.timed_main), _of_group(plan, instance))
    elif instance is state.main:
        instance.when = _of_sources(instance, plan.timed_main)
    else:
        when = instance.when = min(_of_sources(instance, plan.timed_own), _of_group(plan, instance))
        if when < instance.queued_when:
            instance.queued_when = when
            heapq.heappush(keys.heap, (when, instance.ordinal, instance))
            if len(keys.heap) > 4 * len(keys.instances) + _HEAP_SPARE:
                _rebuild(keys)


def tick(plan: Plan, state: GroupState, at_us: int) -> None:
    """Take the first timer that is due; nothing, if none is."""
    if state.pending is not None:
        for instance in pass_pending(plan, state):
            touch(plan, state, instance)
        return
    instance, when = state.main, state.main.when
    if state.keys is not None:
        first, top = _first_key(state.keys)
        if first is not None and top < when:
            instance, when = first, top
    due_us, place = when >> _PLACE_BITS, when & _PLACES
    if when == NEVER or due_us > at_us:
        return
    if place == _TIMEOUT:
        time_out(plan, state, instance, at_us)
    elif place == _THROTTLE:
        release_throttled(plan, state, instance, at_us)
    elif place == _DEBOUNCE:
        release_debounced(plan, state, instance, at_us)
    else:
        _source_due(plan, state, instance, plan.sources[place - 1], due_us, at_us)
    touch(plan, state, instance)


def touch(plan: Plan, state: GroupState, instance: Instance) -> None:
    """Note that an instance has changed: it is to be stored, and its timers may have."""
    if state.keys is None or instance is state.main:
        state.changed = True
    elif instance.key is not None:
        if state.keys.instances.get(instance.key) is not instance:
            return
        if plan.forgets and state.pending is None and instance.is_blank():
            state.keys.forget(instance.key)
            return
        state.keys.changed[instance.key] = None
    if not plan.timeless:
        reschedule(plan, state, instance)


def clock_message(wall_us: int) -> Message:
    """Stands for the message where a clock speaks."""
    return Message("", None, time_us=wall_us)


def set_daytime(state: GroupState, cell: Cell, wall_us: int, since_us: int, until_us: int | None) -> None:
    """Note what a window of the day says from `wall_us` on, and when it ends."""
    cell.memory = wall_us
    cell.value = bool(cell.side)
    cell.message = clock_message(since_us)
    cell.at_us = since_us - state.shift_us - state.skew_us
    cell.lapse_us = None if until_us is None else until_us - state.shift_us - state.skew_us


def _first_key(keys: Keys) -> tuple[Instance | None, int]:
    """The key whose timer comes first, and its timer. Entries that its key has outlived are dropped or put right."""
    heap = keys.heap
    while heap:
        when, _, instance = heap[0]
        if instance.when == when:
            return instance, when
        heapq.heappop(heap)
        if when == instance.queued_when:
            instance.queued_when = instance.when
            if instance.when != NEVER:
                heapq.heappush(heap, (instance.when, instance.ordinal, instance))
    return None, NEVER


def _rebuild(keys: Keys) -> None:
    keys.heap = [(instance.when, instance.ordinal, instance) for instance in keys.instances.values() if instance.when != NEVER]
    heapq.heapify(keys.heap)
    for instance in keys.instances.values():
        instance.queued_when = instance.when


def _of_sources(instance: Instance, sources: tuple[Source, ...]) -> int:
    when = NEVER
    cells = instance.cells
    for source in sources:
        cell = cells[source.index]
        if cell is not None:
            if cell.due_us is not None:
                when = min(when, cell.due_us << _PLACE_BITS | source.index + 1)
            if cell.lapse_us is not None:
                when = min(when, cell.lapse_us << _PLACE_BITS | source.index + 1)
    return when


def _of_group(plan: Plan, instance: Instance) -> int:
    when = NEVER
    if plan.timeout_us is not None:
        oldest = oldest_us(plan, instance)
        if oldest is not None:
            when = (oldest + plan.timeout_us) << _PLACE_BITS | _TIMEOUT
    outlet, stages = instance.outlet, plan.stages
    if outlet is not None and stages is not None:
        if outlet.throttled is not None:
            when = min(when, ((outlet.throttled_us or 0) + (stages.throttle_us or 0)) << _PLACE_BITS | _THROTTLE)
        if outlet.debounced is not None:
            when = min(when, outlet.debounce_due_us << _PLACE_BITS | _DEBOUNCE)
    return when


def _source_due(plan: Plan, state: GroupState, owner: Instance, source: Source, due_us: int, at_us: int) -> None:
    """One of a source's own timers. A `for` that ends when its value expires, or its window of the day ends, was long enough."""
    cell = owner.cells[source.index]
    if cell is None:
        return
    if cell.due_us != due_us:
        if source.kind == DURING:
            _turn_daytime(plan, state, owner, source, cell, due_us, at_us)
        else:
            _expire(state, owner, source, cell)
    elif source.kind == ABSENT:
        cell.due_us = None
        _deliver(plan, state, owner, source, cell.newest(at_us), at_us)
    elif source.kind == CLOCK:
        tick_us = _advance_clock(state, source, cell, due_us, at_us)
        _deliver(plan, state, owner, source, Token(None, clock_message(tick_us), NO_CAPTURES, at_us), at_us)
    else:
        cell.due_us = None
        _deliver(plan, state, owner, source, cell.newest(at_us), at_us)


def _advance_clock(state: GroupState, source: Source, cell: Cell, due_us: int, at_us: int) -> int:
    """Set a clock to its next tick. The tick that is taken now: the last one that is due (wall clock)."""
    ahead_us = state.shift_us + state.skew_us
    if source.ticks is None:
        every_us = source.span_us or 1
        due_us += (at_us - due_us) // every_us * every_us
        cell.due_us = due_us + every_us
        return due_us + ahead_us
    tick_us = last_tick(source.ticks, due_us + ahead_us, at_us + ahead_us) or due_us + ahead_us
    following_us = source.ticks.after(tick_us)
    cell.memory = tick_us
    cell.due_us = None if following_us is None else following_us - ahead_us
    return tick_us


def _turn_daytime(plan: Plan, state: GroupState, owner: Instance, source: Source, cell: Cell, due_us: int, at_us: int) -> None:
    wall_us = due_us + state.shift_us + state.skew_us
    if source.daytime is None:
        return
    stretch = source.daytime.at(wall_us)
    was, ready = cell.side, False
    befores = _befores(plan, state, owner, at_us)
    if was and not stretch.inside:
        turn_off(state, owner, source, cell, due_us)
    elif stretch.inside and not was:
        ready = turn_on(state, owner, source, cell, due_us)
    set_daytime(state, cell, wall_us, wall_us, stretch.until_us)
    if ready:
        _spread(plan, state, source, cell.newest(at_us), at_us, befores)


def _expire(state: GroupState, owner: Instance, source: Source, cell: Cell) -> None:
    """The value is unknown, a level not ready; the next value may turn it ON again."""
    cell.lapse_us = None
    if source.level_like:
        cell.side = None
        cell.due_us = None
        owner.mask &= ~source.bit
    else:
        cell.message = None
        cell.value = None
    state.traces.append(Trace(Reason.EXPIRED, source.group, owner.key, source.name, (source.expires_us,)))


def _deliver(plan: Plan, state: GroupState, owner: Instance, source: Source, token: Token, at_us: int) -> None:
    """Hand a token that time has made to whoever it is for; a level is ready from now on."""
    befores = _befores(plan, state, owner, at_us)
    if source.level_like:
        owner.mask |= source.bit
    _spread(plan, state, source, token, at_us, befores)


def _befores(plan: Plan, state: GroupState, owner: Instance, at_us: int) -> list[tuple[Instance, bool]]:
    """Whom a source's token is for, and whether the regular sources were ready there before."""
    instances = [owner] if state.keys is None or owner is not state.main else list(state.keys.instances.values())
    return [(instance, plan.gate_mask != 0 and stands(plan, state, instance, at_us)) for instance in instances]


def _spread(plan: Plan, state: GroupState, source: Source, token: Token, at_us: int, befores: list[tuple[Instance, bool]]) -> None:
    for instance, stood in befores:
        settle(plan, state, instance, [(source, token)], at_us, stood=stood)
        touch(plan, state, instance)
