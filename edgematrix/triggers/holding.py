"""Whose work waits in a group: as a token that waits for others, or a firing that waits for its turn."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.triggers.firing import Firing
from edgematrix.triggers.state import GroupState, Instance

__all__ = ["runs_held"]


def runs_held(state: GroupState) -> set[str]:
    """The ids of the runs of which something waits, under whatever key."""
    held = {firing.trail.runid for _, firing in state.pending or ()}
    for instance in _instances(state):
        held.update(token.message.trail.runid for tokens in instance.tokens for token in tokens)
        held.update(firing.trail.runid for firing in _firings(instance))
    return held


def _instances(state: GroupState) -> Iterator[Instance]:
    yield state.main
    if state.keys is not None:
        yield from state.keys.instances.values()


def _firings(instance: Instance) -> Iterator[Firing]:
    outlet = instance.outlet
    if outlet is None:
        return
    if outlet.throttled is not None:
        yield outlet.throttled
    if outlet.debounced is not None:
        yield outlet.debounced
    yield from outlet.queue or ()
