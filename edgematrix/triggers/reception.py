"""One message at one group: which sources and keys it is for, in which order (docs/spec/triggers.md, "Firing")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgematrix.triggers.admission import pass_pending
from edgematrix.triggers.cell import Cell
from edgematrix.triggers.intake import FIRST_VALUE, REFUSED, take
from edgematrix.triggers.judge import Edges, settle, stands
from edgematrix.triggers.source import ABSENT
from edgematrix.triggers.state import GroupState, Instance, Keys
from edgematrix.triggers.timers import touch
from edgematrix.triggers.trace import Reason, Trace

if TYPE_CHECKING:
    from edgematrix.protocol.message import Message
    from edgematrix.triggers.arrival import Hits
    from edgematrix.triggers.cell import Token
    from edgematrix.triggers.plan import Plan
    from edgematrix.triggers.source import Source

__all__ = ["new_instance", "receive"]


def receive(plan: Plan, state: GroupState, message: Message, hits: Hits, at_us: int) -> None:
    """Update all sources that a message is for, then judge each key once."""
    if state.pending is not None:
        for instance in pass_pending(plan, state):
            touch(plan, state, instance)
    if state.keys is not None:
        _receive_keyed(plan, state, state.keys, message, hits, at_us)
        return
    main = state.main
    stood = plan.gate_mask != 0 and stands(plan, state, main, at_us)
    passed, first, edges = _take_all(plan, state, main, message, hits, at_us)
    if edges or first:
        settle(plan, state, main, edges, at_us, stood=stood, first_value=first)
    if passed:
        touch(plan, state, main)


def new_instance(plan: Plan, keys: Keys, key: str, at_us: int) -> Instance:
    """The memory of a new key, not yet known; the silences that it listens for begin."""
    instance = Instance(key, len(plan.sources), keys.born)
    keys.born += 1
    for source in plan.timed_own:
        if source.kind == ABSENT:
            cell = instance.cells[source.index] = Cell()
            cell.due_us = at_us + (source.span_us or 0)
    return instance


def _take_all(plan: Plan, state: GroupState, owner: Instance, message: Message, hits: Hits, at_us: int) -> tuple[bool, bool, Edges]:
    """Whether the message passes anywhere, whether it is a first value, and the tokens that it gives."""
    passed = first = False
    edges: Edges = []
    for index, captures in hits:
        source = plan.sources[index]
        token = take(state, owner, source, message, captures, at_us)
        if token is REFUSED:
            continue
        passed = True
        if token is FIRST_VALUE:
            first = True
        elif token is not None:
            edges.append((source, token))
    return passed, first, edges


def _receive_keyed(plan: Plan, state: GroupState, keys: Keys, message: Message, hits: Hits, at_us: int) -> None:
    shared, own = _by_key(plan, message, hits)
    instances = {key: keys.instances.get(key) or new_instance(plan, keys, key, at_us) for key in own}
    stood: dict[int, bool] = {}
    if plan.gate_mask:
        concerned = [*keys.instances.values(), *instances.values()] if shared else list(instances.values())
        stood = {id(instance): stands(plan, state, instance, at_us) for instance in concerned}
    everyone, everyones_first, everyones_edges = False, False, _NO_EDGES
    if shared:
        passed, everyones_first, everyones_edges = _take_all(plan, state, state.main, message, shared, at_us)
        everyone = bool(everyones_edges) or everyones_first
        if passed:
            touch(plan, state, state.main)
    found: dict[str, tuple[bool, Edges]] = {}
    for key, instance in instances.items():
        passed, first, edges = _take_all(plan, state, instance, message, own[key], at_us)
        if passed:
            _use(plan, state, keys, instance)
            found[key] = (first, edges)
    if everyone and not keys.instances:
        state.traces.append(Trace(Reason.NO_KEY, plan.name))
    for key in list(keys.instances) if everyone else found:
        current = keys.instances.get(key)
        if current is not None:
            first, edges = found.get(key, (False, _NO_EDGES))
            if everyones_edges:
                edges = sorted([*everyones_edges, *edges], key=_place)
            if edges or first or everyones_first:
                settle(plan, state, current, edges, at_us, stood=stood.get(id(current), False), first_value=first or everyones_first)
            touch(plan, state, current)


_NO_EDGES: Edges = []


def _by_key(plan: Plan, message: Message, hits: Hits) -> tuple[Hits, dict[str, Hits]]:
    """What of the hits all keys share, and what each key has of its own."""
    shared: list[tuple[int, dict[str, str]]] = []
    own: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for hit in hits:
        index, captures = hit
        if plan.sources[index].shared:
            shared.append(hit)
        else:
            own.setdefault(message.trail.runid if plan.key_of_run else captures.get(plan.by or "", ""), []).append(hit)
    return tuple(shared), {key: tuple(its) for key, its in own.items()}


def _place(edge: tuple[Source, Token]) -> int:
    return edge[0].index


def _use(plan: Plan, state: GroupState, keys: Keys, instance: Instance) -> None:
    """A message has passed: its key is the most recently used one. A new key may push the least recently used one out."""
    key = instance.key or ""
    keys.uses += 1
    instance.used = keys.uses
    known = key in keys.instances
    if not known and len(keys.instances) >= plan.keys_max:
        _evict(plan, state, keys)
    keys.instances[key] = instance
    keys.gone.pop(key, None)
    if known:
        keys.instances.move_to_end(key)


def _evict(plan: Plan, state: GroupState, keys: Keys) -> None:
    key = next(iter(keys.instances))
    outlet = keys.forget(key).outlet
    held = 0
    if outlet is not None:
        held = len(outlet.queue or ()) + (outlet.throttled is not None) + (outlet.debounced is not None)
    state.traces.append(Trace(Reason.EVICTED, plan.name, key, "", (plan.keys_max, held)))
