"""One message at one source: does it pass, what is its value, and does it make a token or turn a level?"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from edgematrix.errors import ExpressionError
from edgematrix.protocol.message import Message
from edgematrix.triggers.aggregate import SAMPLES_MAX, window_of
from edgematrix.triggers.cell import NO_CAPTURES, NO_MESSAGE, Cell, Token
from edgematrix.triggers.detector import far_enough
from edgematrix.triggers.heritage import inherited, settled
from edgematrix.triggers.membership import same
from edgematrix.triggers.source import ABSENT, CHANGES, CHANGES_BY, COUNT, FIRE, IGNORE, IS, LEVEL, LIVE, PLAIN, TURN, Source
from edgematrix.triggers.state import GroupState, Instance
from edgematrix.triggers.trace import Reason, Trace

__all__ = ["FIRST_VALUE", "REFUSED", "take", "turn_off", "turn_on"]

REFUSED: Final = Token(None, NO_MESSAGE, NO_CAPTURES, -1)
"""Stands for a message that is as if it had never come."""
FIRST_VALUE: Final = Token(None, NO_MESSAGE, NO_CAPTURES, -2)
"""Stands for the first live value of a required source."""


def take(  # noqa: PLR0911  each return is one answer to "what does this message do here?"
    state: GroupState, owner: Instance, source: Source, message: Message, captures: dict[str, str], at_us: int
) -> Token | None:
    """Let a source see a message; `owner` holds its memory.

    Returns:
        The token that the message gives, or that of a level that becomes ready; `REFUSED`; `FIRST_VALUE`; else None.
    """
    cell = owner.cells[source.index]
    if cell is None:
        cell = owner.cells[source.index] = Cell()
    old = message.retained and source.retained != FIRE
    if (old or source.max_age_us is not None) and not _admitted(state, owner, source, message, at_us):
        return REFUSED
    value = source.read(message.value)
    kind = source.kind
    if source.where is not None and not _passes(state, owner, source, cell, value, message, captures):
        return REFUSED
    if value is not None and (message.trail.taint or cell.taint):
        message = inherited(source, cell, message, at_us)
    if source.expires_us is not None:
        cell.lapse_us = at_us + source.expires_us
    if kind == ABSENT and not old:
        cell.due_us = at_us + (source.span_us or 0)
    if value is not None and source.aggregate is not None:
        value = _aggregated(state, owner, source, cell, value, at_us)
    if value is None:
        _unknown(state, owner, source, cell, at_us)
        return None
    if kind == LEVEL and (not old or (source.retained == TURN and cell.side is not None)):
        return _level(state, owner, source, cell, value, message, captures, at_us)
    if old:
        _seed(state, owner, source, cell, value, message, captures, at_us)
        return None
    if kind == PLAIN:
        return Token(value, message, captures, at_us)
    return _event(state, owner, source, cell, value, message, captures, at_us)


def turn_on(state: GroupState, owner: Instance, source: Source, cell: Cell, since_us: int) -> bool:
    """Turn a level ON by an edge. Whether it is ready at once."""
    cell.side = True
    if source.for_us is not None:
        cell.due_us = since_us + source.for_us
        state.traces.append(Trace(Reason.FOR_STARTED, source.group, owner.key, source.name, (source.for_us,)))
        return False
    owner.mask |= source.bit
    return True


def turn_off(state: GroupState, owner: Instance, source: Source, cell: Cell, at_us: int) -> None:
    """Turn a level OFF; it is ready no longer, and a `for` is broken."""
    cell.side = False
    owner.mask &= ~source.bit
    due_us, cell.due_us = cell.due_us, None
    if due_us is None or source.for_us is None:
        state.traces.append(Trace(Reason.OFF, source.group, owner.key, source.name))
        return
    since_us = due_us - source.for_us
    detail = (since_us + state.shift_us + state.skew_us, source.for_us, at_us - since_us)
    state.traces.append(Trace(Reason.FOR_BROKEN, source.group, owner.key, source.name, detail))


def _store(cell: Cell, value: Any, message: Message, captures: dict[str, str], at_us: int) -> None:
    cell.value = value
    cell.message = message
    cell.captures = captures
    cell.at_us = at_us


def _note(state: GroupState, owner: Instance, source: Source, reason: Reason, *detail: object) -> None:
    state.traces.append(Trace(reason, source.group, owner.key, source.name, detail))


def _admitted(state: GroupState, owner: Instance, source: Source, message: Message, at_us: int) -> bool:
    """Whether neither the retained flag nor its age shuts a message out."""
    if message.retained and source.retained == IGNORE:
        _note(state, owner, source, Reason.IGNORED)
        return False
    if source.max_age_us is not None and message.time_us is not None:
        age_us = at_us + state.shift_us + state.skew_us - message.time_us
        if age_us > source.max_age_us:
            _note(state, owner, source, Reason.TOO_OLD, age_us, source.max_age_us)
            return False
    return True


def _passes(state: GroupState, owner: Instance, source: Source, cell: Cell, value: Any, message: Message, captures: dict[str, str]) -> bool:
    """Judge `where`; what passes with a known value is the next one's `prev`."""
    scope: dict[str, object] = {}
    if source.fields:
        whole = value if type(value) is dict else {}
        scope.update((name, whole.get(name)) for name in source.fields)
    scope["value"] = value
    scope["payload"] = message.value
    scope["topic"] = message.topic
    scope["captures"] = captures
    scope["prev"] = cell.prev
    try:
        passes = source.where is None or source.where.holds(scope)
    except ExpressionError as error:
        _note(state, owner, source, Reason.WHERE_ERROR, error.what)
        return False
    if not passes:
        _note(state, owner, source, Reason.WHERE_FALSE)
    elif value is not None:
        cell.prev = value
    return passes


def _aggregated(state: GroupState, owner: Instance, source: Source, cell: Cell, value: Any, at_us: int) -> Any:
    if cell.window is None:
        cell.window = window_of(source.aggregate)  # type: ignore[arg-type]  # only called where there is one
    if cell.window.add(at_us, value):
        _note(state, owner, source, Reason.SAMPLES_FULL, SAMPLES_MAX)
    return cell.window.figure()


def _unknown(state: GroupState, owner: Instance, source: Source, cell: Cell, at_us: int) -> None:
    if source.breaks and cell.side:
        turn_off(state, owner, source, cell, at_us)
    else:
        _note(state, owner, source, Reason.UNKNOWN)


def _level(
    state: GroupState, owner: Instance, source: Source, cell: Cell, value: Any, message: Message, captures: dict[str, str], at_us: int
) -> Token | None:
    before = cell.side
    side: bool = source.level(value, before)  # type: ignore[misc]  # a level has its detector
    cell.value = value
    cell.message = message
    cell.captures = captures
    cell.at_us = at_us
    if side is before or (not side and before is None):
        cell.side = side
        if message.retained and source.retained == TURN:
            _note(state, owner, source, Reason.SEEDED)
        elif owner.key is None:
            state.traces.append((source.steady or _steady(source))[side])
        else:
            _note(state, owner, source, Reason.STEADY, side)
        return None
    if not side:
        settled(source, cell, message, at_us)
        turn_off(state, owner, source, cell, at_us)
        return None
    return Token(value, message, captures, at_us) if turn_on(state, owner, source, cell, at_us) else None


def _steady(source: Source) -> tuple[Trace, Trace]:
    """The traces of most messages, made once."""
    off, on = (Trace(Reason.STEADY, source.group, None, source.name, (side,)) for side in (False, True))
    source.steady = (off, on)
    return source.steady


def _seed(
    state: GroupState, owner: Instance, source: Source, cell: Cell, value: Any, message: Message, captures: dict[str, str], at_us: int
) -> None:
    """A retained message sets what it can without being an event."""
    kind = source.kind
    if kind == LEVEL:
        before = cell.side
        side = source.level(value, before)  # type: ignore[misc]  # a level has its detector
        if side and not before:
            cell.side = True
            if source.for_us is None:
                owner.mask |= source.bit
        elif before and not side:
            turn_off(state, owner, source, cell, at_us)
        cell.side = side
    elif kind == CHANGES_BY and cell.memory is None:
        cell.memory = value
    if kind in (LEVEL, LIVE, CHANGES, ABSENT):
        _store(cell, value, message, captures, at_us)
    _note(state, owner, source, Reason.SEEDED)


def _event(
    state: GroupState, owner: Instance, source: Source, cell: Cell, value: Any, message: Message, captures: dict[str, str], at_us: int
) -> Token | None:
    """A live, known value at a source that is neither a level nor without a detector."""
    kind = source.kind
    refusal: Reason | None = Reason.NOTED
    if kind == LIVE:
        first = cell.message is None
        _store(cell, value, message, captures, at_us)
        if first and source.required:
            return FIRST_VALUE
    elif kind == IS:
        refusal = None if source.test is not None and source.test(value) else Reason.NOT_ASKED
    elif kind == CHANGES:
        refusal = _change(source, cell, value)
        _store(cell, value, message, captures, at_us)
    elif kind == CHANGES_BY:
        refusal = _move(source, cell, value)
    elif kind == COUNT:
        count = _count(source, cell, at_us)
        if count < source.at_least:
            _note(state, owner, source, Reason.COUNTED, count, source.at_least)
            return None
        refusal = None
    else:
        _store(cell, value, message, captures, at_us)
    if refusal is None:
        settled(source, cell, message, at_us)
        return Token(value, message, captures, at_us)
    _note(state, owner, source, refusal)
    return None


def _change(source: Source, cell: Cell, value: Any) -> Reason | None:
    """Why a value is no change of the kind asked for; None if it is."""
    if cell.message is None:
        return Reason.FIRST
    leaves = source.was is None or source.was(cell.value)
    comes = source.test is None or source.test(value)
    return None if leaves and comes and not same(cell.value, value) else Reason.NO_CHANGE


def _move(source: Source, cell: Cell, value: float) -> Reason | None:
    """Why a number is not far enough from the base; None if it is, and is the base from now on."""
    if cell.memory is None:
        cell.memory = value
        return Reason.FIRST
    if not far_enough(value, cell.memory, source.base_by or 0.0):
        return Reason.NO_CHANGE
    cell.memory = value
    return None


def _count(source: Source, cell: Cell, at_us: int) -> int:
    """How many lie within the time; when they are enough, the count starts anew."""
    if source.span_us is None:
        count = int(cell.memory or 0) + 1
        cell.memory = None if count >= source.at_least else count
        return count
    moments: deque[int] = cell.memory if cell.memory is not None else deque()
    moments.append(at_us)
    while at_us - moments[0] > source.span_us:
        moments.popleft()
    count = len(moments)
    cell.memory = None if count >= source.at_least else moments
    return count
