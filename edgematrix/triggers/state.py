"""What a group remembers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from edgematrix.triggers.cell import Cell, Token
from edgematrix.triggers.effect import Effect
from edgematrix.triggers.firing import Firing
from edgematrix.triggers.outlet import Outlet
from edgematrix.triggers.trace import Trace

__all__ = ["NEVER", "GroupState", "Instance", "Keys"]

NEVER: Final = 1 << 62
"""Later than any moment."""


class Instance:
    """The memory of one key, or of a group without keys. The shared sources of a keyed group have one of their own.

    `cells` and `tokens` go by the sources' places. `mask` has the bits of the sources that have a token or, being
    levels, are ready. `done` counts the steps of a sequence. `when` is the next timer: its moment and its place in
    written order in one number (see `timers`). `used` orders keys by their last use; `stored` tells that a save has
    written this one, so it must be deleted there when it goes.
    """

    __slots__ = ("cells", "done", "key", "mask", "ordinal", "outlet", "queued_when", "stored", "tokens", "used", "when")

    def __init__(self, key: str | None, sources: int, ordinal: int = 0) -> None:
        self.key = key
        self.ordinal = ordinal
        self.cells: list[Cell | None] = [None] * sources
        self.tokens: list[Sequence[Token]] = [()] * sources
        self.mask = 0
        self.done = 0
        self.when = NEVER
        self.queued_when = NEVER
        self.used = 0
        self.stored = False
        self.outlet: Outlet | None = None

    def is_blank(self) -> bool:
        """Whether forgetting it changes nothing."""
        if self.mask or self.done or not (self.outlet is None or self.outlet.is_blank()):
            return False
        return all(cell is None or cell.is_blank() for cell in self.cells)


class Keys:
    """The keys of a keyed group, least recently used first.

    `heap` holds `(when, ordinal, instance)`, at least one entry no later than the timer of each key that has one.
    `changed` and `gone` are the keys to be stored and deleted at the next save; `owners` says whose a run is.
    """

    __slots__ = ("born", "changed", "gone", "heap", "instances", "owners", "uses")

    def __init__(self) -> None:
        self.instances: OrderedDict[str, Instance] = OrderedDict()
        self.heap: list[tuple[int, int, Instance]] = []
        self.changed: dict[str, None] = {}
        self.gone: dict[str, None] = {}
        self.owners: dict[int, Instance] = {}
        self.born = 0
        self.uses = 0

    def forget(self, key: str) -> Instance:
        """Take a key out.

        Raises:
            KeyError: it is not known.
        """
        instance = self.instances.pop(key)
        instance.when = NEVER
        for run in () if instance.outlet is None else instance.outlet.running:
            self.owners.pop(run, None)
        self.changed.pop(key, None)
        if instance.stored:
            self.gone[key] = None
        return instance


class GroupState:
    """The whole memory of one group. Opaque to callers: `Group.save` and `Group.load` know its stored form.

    Its timeline is the caller's minus `shift_us`, so that it goes on where it stopped whatever the wall clock did in
    between; the wall clock is the caller's timeline plus `skew_us`. `latest_us` is the newest moment that was stored.
    """

    __slots__ = (
        "changed", "effects", "keys", "latest_us", "main", "pending", "rate_count", "rate_from_us", "runs", "shift_us", "skew_us",
        "start_us", "steps", "traces",
    )  # fmt: skip

    def __init__(self, main: Instance, keys: Keys | None, start_us: int) -> None:
        self.main = main
        self.keys = keys
        self.start_us = start_us
        self.latest_us = start_us
        self.shift_us = 0
        self.skew_us = 0
        self.runs = 0
        self.steps = 0
        self.rate_from_us = start_us
        self.rate_count = 0
        self.pending: list[tuple[Instance, Firing]] | None = None
        self.changed = True
        self.effects: list[Effect] = []
        self.traces: list[Trace] = []
