"""Whether work of a run waits in a group: a token that waits for others, or a firing that waits for its turn."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.triggers.firing import Firing
from edgematrix.triggers.state import GroupState, Instance

__all__ = ["holds"]


def holds(state: GroupState, runid: str) -> bool:
    """Whether anything of the run of this id waits, under whatever key."""
    if any(firing.trail.runid == runid for _, firing in state.pending or ()):
        return True
    return any(_waits(instance, runid) for instance in _instances(state))


def _instances(state: GroupState) -> Iterator[Instance]:
    yield state.main
    if state.keys is not None:
        yield from state.keys.instances.values()


def _waits(instance: Instance, runid: str) -> bool:
    if any(token.message.trail.runid == runid for tokens in instance.tokens for token in tokens):
        return True
    return any(firing.trail.runid == runid for firing in _firings(instance))


def _firings(instance: Instance) -> Iterator[Firing]:
    outlet = instance.outlet
    if outlet is None:
        return
    if outlet.throttled is not None:
        yield outlet.throttled
    if outlet.debounced is not None:
        yield outlet.debounced
    yield from outlet.queue or ()
