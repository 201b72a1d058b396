"""Tokens and levels to firings: what waits, what takes part, what is consumed (docs/spec/triggers.md, "Firing")."""

from __future__ import annotations

from typing import TypeAlias

from edgematrix.errors import ExpressionError
from edgematrix.triggers.admission import pass_on
from edgematrix.triggers.assembly import assemble
from edgematrix.triggers.cell import Token
from edgematrix.triggers.plan import NEED_ALL, NEED_ANY, NEED_COUNT, NEED_SEQUENCE, Plan
from edgematrix.triggers.source import ALL, CONDITION, FIRST, GATE, LATEST, OPTIONAL, REGULAR, RESET, Source
from edgematrix.triggers.state import GroupState, Instance
from edgematrix.triggers.trace import Reason, Trace

__all__ = ["Edges", "clear", "oldest_us", "settle", "stands", "time_out"]

Edges: TypeAlias = list[tuple[Source, Token]]
"""The tokens that one event gave, in written order."""


def stands(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> bool:
    """Whether the regular sources are ready, before an event changes anything: a gate's token counts only then."""
    have = _have(plan, state, instance)
    if plan.within_us is not None:
        oldest_us = at_us - plan.within_us
        if plan.need == NEED_SEQUENCE and _step_before(plan, instance, oldest_us) is not None:
            return False
        for source in plan.holders:
            tokens = instance.tokens[source.index]
            if tokens and tokens[-1].at_us < oldest_us:
                have &= ~source.bit
    return _complete(plan, instance, have)


def settle(
    plan: Plan, state: GroupState, instance: Instance, edges: Edges, at_us: int, *, stood: bool = False, first_value: bool = False
) -> None:
    """Take the tokens of one event into an instance, then judge it once.

    Args:
        edges: they are in written order.
        stood: what `stands` gave before the event.
        first_value: a required source has got its first value.
    """
    if plan.resets and any(source.role == RESET for source, _ in edges):
        clear(plan, instance)
        stood = plan.gate_mask != 0 and stands(plan, state, instance, at_us)
        state.traces.extend(Trace(Reason.CLEARED, plan.name, instance.key, source.name) for source, _ in edges if source.role == RESET)
    judging = 0
    for source, _ in edges:
        if source.role == REGULAR or (source.role == GATE and (stood or source.level_like)):
            judging |= source.bit
    if (judging or first_value) and plan.within_us is not None:
        _drop_stale(plan, state, instance, at_us - plan.within_us)
    if plan.gate_mask and not stood and judging & plan.regular_mask:
        _forget_gates(plan, instance)
    for source, token in edges:
        _take_in(plan, state, instance, source, token, stood=stood)
    if plan.need == NEED_SEQUENCE and judging & plan.regular_mask:
        _advance(plan, state, instance, edges)
    if judging or first_value:
        _judge(plan, state, instance, judging, at_us)


def time_out(plan: Plan, state: GroupState, instance: Instance, at_us: int) -> None:
    """The oldest token has waited as long as `timeout` says: whatever comes of it, all tokens are gone."""
    have = _have(plan, state, instance)
    done = sum(source.bit for source in plan.regular[: instance.done])
    chosen = done if plan.need == NEED_SEQUENCE else have & plan.regular_mask
    lacking = (plan.regular_mask | plan.gate_mask) & ~(chosen | have & plan.gate_mask)
    missing = tuple(source.name for source in plan.sources if source.bit & lacking)
    if not plan.timeout_fires:
        state.traces.append(Trace(Reason.TIMED_OUT, plan.name, instance.key, "", (missing,)))
    elif not _blocked(plan, state, instance):
        _fire(plan, state, instance, chosen, at_us, missing)
    clear(plan, instance)


def clear(plan: Plan, instance: Instance) -> None:
    """Drop all tokens and the steps of a sequence; levels stay."""
    _consume(plan, instance, -1)


def oldest_us(plan: Plan, instance: Instance) -> int | None:
    """When the oldest token came that is kept of a regular source or gate; None if none is."""
    moments = [instance.tokens[source.index][0].at_us for source in plan.regular[: instance.done]]
    counted = plan.regular_mask | plan.gate_mask
    moments += [instance.tokens[source.index][0].at_us for source in plan.holders if source.bit & counted & instance.mask]
    return min(moments, default=None)


def _have(plan: Plan, state: GroupState, instance: Instance) -> int:
    return instance.mask | state.main.mask if plan.keyed else instance.mask


def _complete(plan: Plan, instance: Instance, have: int) -> bool:
    need = plan.need
    if need == NEED_ALL:
        return have & plan.regular_mask == plan.regular_mask
    if need == NEED_ANY:
        return have & plan.regular_mask != 0
    if need == NEED_COUNT:
        return (have & plan.regular_mask).bit_count() >= plan.need_count
    return instance.done == len(plan.regular)


def _step_before(plan: Plan, instance: Instance, oldest_us: int) -> Source | None:
    """A step of the sequence that was done before `oldest_us`."""
    return next((source for source in plan.regular[: instance.done] if instance.tokens[source.index][0].at_us < oldest_us), None)


def _drop_stale(plan: Plan, state: GroupState, instance: Instance, oldest_us: int) -> None:
    for source in plan.holders:
        tokens = instance.tokens[source.index]
        if tokens and tokens[0].at_us < oldest_us:
            kept = [token for token in tokens if token.at_us >= oldest_us]
            instance.tokens[source.index] = kept
            if not kept:
                instance.mask &= ~source.bit
            state.traces.append(Trace(Reason.STALE, plan.name, instance.key, source.name, (plan.within_us,)))
    if plan.need == NEED_SEQUENCE:
        stale = _step_before(plan, instance, oldest_us)
        if stale is not None:
            _start_anew(plan, instance)
            state.traces.append(Trace(Reason.STALE, plan.name, instance.key, stale.name, (plan.within_us,)))


def _start_anew(plan: Plan, instance: Instance) -> None:
    for source in plan.regular[: instance.done]:
        instance.tokens[source.index] = ()
    instance.done = 0


def _forget_gates(plan: Plan, instance: Instance) -> None:
    """The regular sources were not all ready, so what a gate gave before came too early."""
    _consume(plan, instance, plan.gate_mask)


def _take_in(plan: Plan, state: GroupState, instance: Instance, source: Source, token: Token, *, stood: bool) -> None:
    """Keep a token, if its source holds tokens."""
    role = source.role
    if not source.bit & plan.token_mask:
        if role in (OPTIONAL, CONDITION):
            state.traces.append(Trace(Reason.NOTED, plan.name, instance.key, source.name))
        return
    if role == GATE and not stood:
        state.traces.append(Trace(Reason.GATE_EARLY, plan.name, instance.key, source.name))
        return
    if role == OPTIONAL:
        state.traces.append(Trace(Reason.NOTED, plan.name, instance.key, source.name))
    tokens = instance.tokens[source.index]
    instance.mask |= source.bit
    if source.keep == LATEST or not tokens or (source.keep == FIRST and _too_old(plan, tokens[0], token)):
        instance.tokens[source.index] = (token,)
    elif source.keep == ALL:
        kept = tokens if isinstance(tokens, list) else list(tokens)
        kept.append(token)
        if len(kept) > source.keep_max:
            del kept[0]
            state.traces.append(Trace(Reason.KEEP_FULL, plan.name, instance.key, source.name, (source.keep_max,)))
        instance.tokens[source.index] = kept
    else:
        state.traces.append(Trace(Reason.NOT_KEPT, plan.name, instance.key, source.name))


def _too_old(plan: Plan, kept: Token, token: Token) -> bool:
    return plan.within_us is not None and kept.at_us < token.at_us - plan.within_us


def _advance(plan: Plan, state: GroupState, instance: Instance, edges: Edges) -> None:
    """Take at most one step of the sequence.

    A sequence that is complete and was kept waits for its last step to come again.
    """
    tokens = {source.index: token for source, token in edges if source.role == REGULAR}
    done = instance.done
    turn = plan.regular[min(done, len(plan.regular) - 1)]
    first = plan.regular[0]
    if turn.index in tokens:
        instance.tokens[turn.index] = (tokens[turn.index],)
        instance.done = min(done + 1, len(plan.regular))
    elif done == 1 and first.index in tokens:
        instance.tokens[first.index] = (tokens[first.index],)
        state.traces.append(Trace(Reason.ANEW, plan.name, instance.key, first.name))
    else:
        source = next(source for source, _ in edges if source.role == REGULAR)
        state.traces.append(Trace(Reason.BEFORE_TURN, plan.name, instance.key, source.name, (turn.name,)))


def _judge(plan: Plan, state: GroupState, instance: Instance, judging: int, at_us: int) -> None:
    have = _have(plan, state, instance)
    if plan.need == NEED_ANY and judging:
        for source in plan.sources:
            if source.bit & judging & plan.regular_mask:
                if not source.bit & plan.token_mask or source.bit & _have(plan, state, instance):  # else it took part at a gate's edge
                    _attempt(plan, state, instance, source.bit, at_us)
            elif source.bit & judging and (waiting := _have(plan, state, instance) & plan.regular_mask):
                _attempt(plan, state, instance, waiting, at_us)
    elif _complete(plan, instance, have):
        _attempt(plan, state, instance, plan.regular_mask if plan.need == NEED_SEQUENCE else have & plan.regular_mask, at_us)
    else:
        awaited = plan.regular_mask & ~have
        if plan.need == NEED_SEQUENCE:
            awaited = plan.regular[instance.done].bit
        state.traces.append(Trace(Reason.WAITS, plan.name, instance.key, "", (plan.names, awaited)))


def _attempt(plan: Plan, state: GroupState, instance: Instance, chosen: int, at_us: int) -> None:
    """The regular sources are ready; fire unless a gate is closed or a required value is not there."""
    closed = plan.gate_mask & ~_have(plan, state, instance)
    if closed:
        gate = next(source for source in plan.sources if source.bit & closed)
        state.traces.append(Trace(Reason.GATE, plan.name, instance.key, gate.name))
    elif not _blocked(plan, state, instance):
        _fire(plan, state, instance, chosen, at_us)


def _blocked(plan: Plan, state: GroupState, instance: Instance) -> bool:
    for source in plan.required:
        cell = (state.main if source.shared else instance).cells[source.index]
        if cell is None or cell.message is None:
            state.traces.append(Trace(Reason.REQUIRED, plan.name, instance.key, source.name))
            return True
    return False


def _fire(plan: Plan, state: GroupState, instance: Instance, chosen: int, at_us: int, missing: tuple[str, ...] = ()) -> None:
    have = _have(plan, state, instance)
    parts = chosen | have & (plan.gate_mask | plan.optional_mask)
    unmet = plan.condition_mask & ~have
    if unmet:
        _consume(plan, instance, parts)
        condition = next(source for source in plan.sources if source.bit & unmet)
        state.traces.append(Trace(Reason.CONDITION, plan.name, instance.key, condition.name))
        return
    firing = assemble(plan, state, instance, parts, missing, at_us)
    if plan.if_ is not None:
        try:
            refusal = None if plan.if_.holds(firing.scope()) else Trace(Reason.IF_FALSE, plan.name, instance.key)
        except ExpressionError as error:
            refusal = Trace(Reason.IF_ERROR, plan.name, instance.key, "", (error.what,))
        if refusal is not None:
            state.traces.append(refusal)
            if not plan.if_keeps:
                _consume(plan, instance, parts)
            return
    _consume(plan, instance, parts)
    pass_on(plan, state, instance, firing, at_us)


def _consume(plan: Plan, instance: Instance, parts: int) -> None:
    gone = parts & plan.token_mask & instance.mask
    if gone:
        for source in plan.holders:
            if source.bit & gone:
                instance.tokens[source.index] = ()
        instance.mask &= ~gone
    if instance.done and parts & plan.regular_mask:
        _start_anew(plan, instance)
