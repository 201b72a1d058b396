"""One message at one group: which sources and keys it is for, in which order (docs/spec/triggers.md, "Firing")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgematrix.triggers.admission import pass_pending
from edgematrix.triggers.cell import Cell
from edgematrix.triggers.intake import FIRST_VALUE, REFUSED, take
from edgematrix.triggers.judge import Edges, settle, stands
from edgematrix.triggers.source import ABSENT
from edgematrix.triggers.state import NEVER, GroupState, Instance, Keys
from edgematrix.triggers.timers import touch
from edgematrix.triggers.trace import Reason, Trace

if TYPE_CHECKING:
    from edgematrix.protocol.message import Message
    from edgematrix.triggers.arrival import Hits
    from edgematrix.triggers.plan import Plan

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
    shared: list[tuple[int, dict[str, str]]] = []
    own: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for hit in hits:
        if plan.sources[hit[0]].shared:
            shared.append(hit)
        else:
            own.setdefault(message.trail.runid if plan.key_of_run else hit[1].get(plan.by or "", ""), []).append(hit)
    candidates = {key: keys.instances.get(key) or new_instance(plan, keys, key, at_us) for key in own}
    stood: dict[int, bool] = {}
    if plan.gate_mask:
        concerned = [*keys.instances.values(), *candidates.values()] if shared else list(candidates.values())
        stood = {id(instance): stands(plan, state, instance, at_us) for instance in concerned}
    shared_first = False
    shared_edges: Edges = []
    if shared:
        passed, shared_first, shared_edges = _take_all(plan, state, state.main, message, tuple(shared), at_us)
        if passed:
            touch(plan, state, state.main)
    found: dict[str, tuple[bool, Edges]] = {}
    for key, instance in candidates.items():
        passed, first, edges = _take_all(plan, state, instance, message, tuple(own[key]), at_us)
        if passed:
            _use(plan, state, keys, instance)
            found[key] = (first, edges)
    everyone = bool(shared_edges) or shared_first
    for key in list(keys.instances) if everyone else list(found):
        current = keys.instances.get(key)
        if current is None:
            continue
        first, edges = found.get(key, (False, _NO_EDGES))
        if shared_edges:
            edges = sorted([*shared_edges, *edges], key=lambda edge: edge[0].index)
        if edges or first or shared_first:
            settle(plan, state, current, edges, at_us, stood=stood.get(id(current), False), first_value=first or shared_first)
        touch(plan, state, current)


_NO_EDGES: Edges = []


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
    key, instance = keys.instances.popitem(last=False)
    instance.when = NEVER
    held = 0
    if instance.outlet is not None:
        held = len(instance.outlet.queue or ()) + (instance.outlet.throttled is not None) + (instance.outlet.debounced is not None)
        for run in instance.outlet.running:
            keys.owners.pop(run, None)
    keys.changed.pop(key, None)
    keys.gone[key] = None
    state.traces.append(Trace(Reason.EVICTED, plan.name, key, "", (plan.keys_max, held)))
