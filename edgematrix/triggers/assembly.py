"""What took part, made into a firing."""

from __future__ import annotations

from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL
from edgematrix.triggers.cell import NO_CAPTURES, Token
from edgematrix.triggers.firing import Firing, Reading
from edgematrix.triggers.plan import NEED_SEQUENCE, Plan
from edgematrix.triggers.source import ALL, CONDITION, LIVE, REGULAR, Source
from edgematrix.triggers.state import GroupState, Instance

__all__ = ["assemble"]


def assemble(plan: Plan, state: GroupState, instance: Instance, parts: int, missing: tuple[str, ...], at_us: int) -> Firing:
    """Freeze what the sources in `parts`, the live ones and the conditions hold now."""
    ahead_us = state.shift_us + state.skew_us
    readings: dict[str, Reading | None] = {}
    taken: list[Token] = []
    causes: list[Token] = []
    for source in plan.sources:
        token = _newest(plan, state, instance, source, parts)
        if token is None:
            readings[source.name] = None
            continue
        taken.append(token)
        if source.role != CONDITION and source.kind != LIVE:
            causes.append(token)
        if source.keep == ALL and not source.level_like and source.bit & parts:
            tokens = instance.tokens[source.index]
            taken.extend(tokens[:-1])
            causes.extend(tokens[:-1])
            readings[source.name] = _list_of([_reading(one, ahead_us) for one in tokens])
        else:
            readings[source.name] = _reading(token, ahead_us)
    captures = _captures_of(taken)
    if plan.by is not None and instance.key is not None and plan.by not in captures:
        captures = {**captures, plan.by: instance.key}
    return Firing(plan.name, instance.key, readings, captures, missing, at_us + ahead_us, _trail_of(taken, causes))


def _newest(plan: Plan, state: GroupState, instance: Instance, source: Source, parts: int) -> Token | None:
    """What a source contributes; None if it takes no part."""
    if source.bit & parts:
        if source.bit & plan.token_mask or (plan.need == NEED_SEQUENCE and source.role == REGULAR):
            tokens = instance.tokens[source.index]
            return tokens[-1] if tokens else None
    elif source.kind != LIVE and source.role != CONDITION:
        return None
    cell = (state.main if source.shared else instance).cells[source.index]
    return None if cell is None or cell.message is None else cell.newest(cell.at_us)


def _reading(token: Token, ahead_us: int) -> Reading:
    message = token.message
    time_us = token.at_us + ahead_us if message.time_us is None else message.time_us
    return Reading(token.value, message.value, message.topic or None, time_us)


def _list_of(readings: list[Reading]) -> Reading:
    return Reading(
        [reading.value for reading in readings],
        [reading.payload for reading in readings],
        [reading.topic for reading in readings],
        [reading.time_us for reading in readings],
    )


def _captures_of(taken: list[Token]) -> dict[str, str]:
    captured = [token for token in taken if token.captures]
    if len(captured) <= 1:
        return captured[0].captures if captured else NO_CAPTURES
    captured.sort(key=lambda token: token.at_us)
    merged: dict[str, str] = {}
    for token in captured:
        merged |= token.captures
    return merged


def _trail_of(taken: list[Token], causes: list[Token]) -> Trail:
    """One trail of all: the newest cause's id, the first run, the most hops of what caused the firing, the taint of all that it reads.

    What is only read (live values, conditions) adds no hops: a counter that reads its own last output is no storm.
    """
    trails = [token.message.trail for token in taken]
    if all(trail is NO_TRAIL for trail in trails):
        return NO_TRAIL
    if len(taken) == 1 and causes:
        trail = trails[0]
        return trail if trail.expiry_us is None else Trail(trail.id, trail.runid, trail.hops, trail.taint, trail.traceparent)
    newest = max(causes, key=lambda token: token.at_us).message.trail if causes else NO_TRAIL
    runid = next((token.message.trail.runid for token in causes if token.message.trail.runid), "")
    hops = max((token.message.trail.hops for token in causes), default=0)
    taints = dict.fromkeys(word for trail in trails for word in trail.taint.split())
    return Trail(newest.id, runid, hops, " ".join(taints), newest.traceparent)
