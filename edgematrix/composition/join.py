"""The join of a flow: a trigger group keyed by the run, so that what one run gives never meets what another gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.triggers import Arrival, Calendar, Firing, Group, GroupSpec, RunEnded, SourceSpec, Start, Trace

__all__ = ["Join", "Token"]

_RESET: Final = "(reset)"
_TOPIC: Final = "edge"
"""Stands for where tokens come from: without any, sources have no key of their own."""
_KEYS_MAX: Final = 1_000_000
_RUNS_MAX: Final = 10_000


class Token(NamedTuple):
    """A value on its way along an edge, wrapped so that null and the empty text count too; `step` is 0 for an input's."""

    value: object
    step: int


_SKIP: Final = (None,)
"""The token of an edge along which nothing comes any more; no `Token` is as short."""


class Join:
    """The edges that lead forwards into one member.

    A slot is the place of an edge among them. `edges` are their numbers, `names` what people call them, `full` the mask of
    all slots. `may_give` has, for each slot, the mask of the members from which work may still lead along that edge.
    """

    __slots__ = ("_group", "_state", "edges", "full", "may_give", "names")

    def __init__(self, name: str, path: str, edges: Sequence[int], names: Sequence[str], may_give: Sequence[int]) -> None:
        self.edges = tuple(edges)
        self.names = tuple(names)
        self.may_give = tuple(may_give)
        self.full = (1 << len(edges)) - 1
        on = {name: SourceSpec(topic=_TOPIC) for name in names}
        spec = GroupSpec(
            on=on | {_RESET: SourceSpec(topic=_TOPIC, role="reset")},
            mode="parallel",
            max=_RUNS_MAX,
            rate_max="none",
            keys_max=_KEYS_MAX,
        )
        self._group = Group(spec, path=path, name=name, calendar=Calendar(), key_of_run=True)
        self._state = self._group.start(0).state

    @property
    def runs(self) -> int:
        """How many runs have something that waits here."""
        return 0 if self._state.keys is None else len(self._state.keys.instances)

    def put(self, runid: str, slot: int, token: Token, now_us: int) -> tuple[dict[int, Token] | None, Sequence[Trace]]:
        """A value has come along the edge of a slot.

        Returns:
            What the join fires with, by the numbers of the edges; None where it waits on. And why it waits.
        """
        return self._arrive(runid, token, ((slot, _NOTHING_CAPTURED),), now_us)

    def skip(self, runid: str, slots: int, now_us: int) -> dict[int, Token] | None:
        """Nothing comes any more along the edges of a mask of slots. What the join fires with; None where it waits on."""
        hits = tuple((slot, _NOTHING_CAPTURED) for slot in range(len(self.edges)) if slots >> slot & 1)
        return self._arrive(runid, _SKIP, hits, now_us)[0]

    def forget(self, runid: str, now_us: int) -> None:
        """Drop what waits for a run that has something here."""
        self._arrive(runid, _SKIP, ((len(self.edges), _NOTHING_CAPTURED),), now_us)

    def _arrive(
        self, runid: str, value: tuple[object, ...], hits: tuple[tuple[int, dict[str, str]], ...], now_us: int
    ) -> tuple[dict[int, Token] | None, Sequence[Trace]]:
        group = self._group
        step = group.step(self._state, Arrival(Message("", value, trail=Trail(runid=runid)), hits), now_us)
        found = None
        for effect in step.effects:
            if isinstance(effect, Start):
                group.step(self._state, RunEnded(effect.run), now_us)
                found = self._taken(effect.firing)
        return found, step.traces

    def _taken(self, firing: Firing) -> dict[int, Token]:
        """The real tokens among those of a firing; its sources come in the order of the slots."""
        readings = zip(self.edges, firing.sources.values(), strict=False)  # the reset takes no part
        return {edge: reading.value for edge, reading in readings if reading is not None and isinstance(reading.value, Token)}


_NOTHING_CAPTURED: Final[dict[str, str]] = {}
