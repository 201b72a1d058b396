"""Windows over the values of several inputs, as a pure step: samples and moments in, whole windows out (docs/models.md, "Windows").

A window has `rows`, each with one number for each input. Without `every` a row is made of the samples as they come: it is complete
when each input has had one. With `every` the rows are moments, whole multiples of `every` on the timeline, whatever the pace of the
samples is; what an input is worth at such a moment is made of its samples near it (`fill`). A moment that no sample is near enough to
spoils every window that it is in: a model is never shown a number that nobody has measured.

What is kept is bounded by the length of the window, not by the pace of the samples: of the samples between two moments two are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

__all__ = ["ROWS_MAX", "Fill", "Lost", "Ready", "Sample", "WindowPlan", "WindowState", "WindowStep", "Windows"]

ROWS_MAX: Final = 10_000
"""Rows of a window."""
_AHEAD_US: Final = 1_000_000
"""How far a sample's own time may be ahead of ours."""
_BEHIND_MAX: Final = 64
"""Windows that are made at once, the newest ones, when their moments went by while nothing was done."""

Fill = Literal["none", "hold", "linear"]


class WindowPlan(msgspec.Struct, frozen=True):
    """What windows are made of.

    `step` is how many rows the next window begins after this one. `gap_us` is how old the sample before a moment may be (`hold`), or how
    far apart those on both sides of it (`linear`), or, without `every`, how far two rows may be apart; 0 is without a bound there.
    `wait_us` is how long after its last moment a window waits for samples that are under way.
    """

    inputs: tuple[str, ...]
    rows: int
    step: int
    every_us: int = 0
    fill: Fill = "none"
    gap_us: int = 0
    wait_us: int = 0

    @property
    def span_us(self) -> int:
        """From the first moment of a window to its last; 0 where only the samples tell."""
        return (self.rows - 1) * self.every_us


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value of an input, by the input's place. Whatever is no finite number is no value."""

    input: int
    time_us: int
    value: object


class Ready(msgspec.Struct, frozen=True):
    """A whole window: its rows, oldest first, and the time of the first and of the last."""

    rows: list[tuple[float, ...]]
    from_us: int
    to_us: int


class Lost(msgspec.Struct, frozen=True):
    """A window, or what there was of it, that no model gets to see."""

    reason: str


class WindowStep(msgspec.Struct, frozen=True):
    """What followed from a step: windows in order of time, and when to call `tick`; None if not at all."""

    windows: list[Ready | Lost]
    deadline_us: int | None


class _Cell(msgspec.Struct, array_like=True, gc=False):
    """The first and the last sample after one moment, up to and with the next."""

    first_us: int
    first: float
    last_us: int
    last: float


class WindowState(msgspec.Struct):
    """What there is so far; a step changes it in place. It is plain, so it can be stored.

    `cells` are, for each input, samples by the number of the moment at or before which they lie; `end` is the last moment of the
    next window, None before the first sample and after a silence. `row` and `kept` are the row under way and the whole ones where
    samples are taken as they come; `since` counts the rows since the last window. `unusable`, `late` and `ahead` count samples that
    were no numbers, too old, and of the future; `heard` has the inputs that have had a sample.
    """

    cells: list[dict[int, _Cell]] = []
    newest_us: list[int] = []
    end: int | None = None
    row: dict[int, float] = {}
    kept: list[tuple[int, tuple[float, ...]]] = []
    since: int = 0
    unusable: int = 0
    late: int = 0
    ahead: int = 0
    heard: set[int] = set()


class Windows:
    """Makes windows by a plan. It has no state of its own."""

    __slots__ = ("_gap_cells", "_keep_cells", "plan")

    def __init__(self, plan: WindowPlan) -> None:
        self.plan = plan
        every_us = plan.every_us or 1
        self._gap_cells = -(-plan.gap_us // every_us) + 1 if plan.every_us else 0
        self._keep_cells = plan.rows + self._gap_cells

    def start(self) -> WindowState:
        """A fresh state."""
        inputs = range(len(self.plan.inputs))
        return WindowState(cells=[{} for _ in inputs], newest_us=[_NEVER_US for _ in inputs], since=self.plan.step)

    def fits(self, state: WindowState) -> bool:
        """Whether a state that was stored is one of this plan."""
        return len(state.cells) == len(state.newest_us) == len(self.plan.inputs)

    def take(self, state: WindowState, samples: Iterable[Sample], now_us: int) -> WindowStep:
        """Take samples, those of one message in written order."""
        windows: list[Ready | Lost] = []
        for sample in samples:
            value = _number(sample.value)
            if value is None:
                state.unusable += 1
                if not self.plan.every_us:
                    self._spoil(state, sample.input, windows)
            elif sample.time_us > now_us + _AHEAD_US:
                state.ahead += 1
            elif self.plan.every_us:
                self._put(state, sample.input, sample.time_us, value)
            else:
                self._fill_row(state, sample.input, sample.time_us, value, windows)
        if self.plan.every_us:
            self._decide(state, now_us, windows)
        return WindowStep(windows, self._deadline_us(state))

    def tick(self, state: WindowState, now_us: int) -> WindowStep:
        """Time has passed."""
        windows: list[Ready | Lost] = []
        if self.plan.every_us:
            self._decide(state, now_us, windows)
        return WindowStep(windows, self._deadline_us(state))

    def waits_for(self, state: WindowState) -> str:
        """What the next window lacks, in words."""
        silent = [name for place, name in enumerate(self.plan.inputs) if place not in state.heard]
        if silent:
            return f"{', '.join(silent)} {'has' if len(silent) == 1 else 'have'} had no value yet{_told(state)}"
        if self.plan.every_us:
            return f"values within {self.plan.span_us // 1_000} ms without a gap{_told(state)}"
        lacking = [name for place, name in enumerate(self.plan.inputs) if place not in state.row]
        return f"row {len(state.kept) + 1} of {self.plan.rows} lacks {', '.join(lacking)}{_told(state)}"

    # Samples as they come

    def _fill_row(self, state: WindowState, place: int, time_us: int, value: float, windows: list[Ready | Lost]) -> None:
        plan, kept = self.plan, state.kept
        if kept and time_us < kept[-1][0]:
            state.late += 1
            return
        state.heard.add(place)
        state.row[place] = value
        if len(state.row) < len(plan.inputs):
            return
        row = tuple(state.row[number] for number in range(len(plan.inputs)))
        state.row = {}
        if kept and plan.gap_us and time_us - kept[-1][0] > plan.gap_us:
            apart_ms = (time_us - kept[-1][0]) // 1_000
            windows.append(_lost(state, f"two rows are {apart_ms} ms apart, at most {plan.gap_us // 1_000} ms are allowed"))
            self._restart(state)
        kept = state.kept
        kept.append((time_us, row))
        state.since += 1
        if len(kept) > plan.rows:
            del kept[0]
        if len(kept) == plan.rows and state.since >= plan.step:
            state.since = 0
            windows.append(Ready([values for _, values in kept], kept[0][0], time_us))
            _forget_counts(state)

    def _spoil(self, state: WindowState, place: int, windows: list[Ready | Lost]) -> None:
        """A value is missing where each counts: it stays as it was, or what there is of the window is of no use."""
        plan = self.plan
        if plan.fill == "hold" and state.kept:
            last_us, last = state.kept[-1]
            self._fill_row(state, place, last_us, last[place], windows)
        else:
            if state.kept or state.row:
                windows.append(_lost(state, f"a value of {plan.inputs[place]} is missing"))
            self._restart(state)

    def _restart(self, state: WindowState) -> None:
        state.kept, state.row = [], {}
        state.since = self.plan.step  # so that the first whole window counts

    # Moments

    def _put(self, state: WindowState, place: int, time_us: int, value: float) -> None:
        every_us = self.plan.every_us
        number = -(-time_us // every_us)
        if state.end is None:
            state.end = number + self.plan.rows - 1
        cells = state.cells[place]
        if number < self._oldest(state.end):
            state.late += 1
            return
        state.heard.add(place)
        state.newest_us[place] = max(state.newest_us[place], time_us)
        cell = cells.get(number)
        if cell is None:
            cells[number] = _Cell(time_us, value, time_us, value)
        elif time_us >= cell.last_us:
            cell.last_us, cell.last = time_us, value
        elif time_us < cell.first_us:
            cell.first_us, cell.first = time_us, value

    def _decide(self, state: WindowState, now_us: int, windows: list[Ready | Lost]) -> None:
        """Make every window whose last moment is over, and whose samples have come or are not waited for any more."""
        plan = self.plan
        self._catch_up(state, now_us, windows)
        while state.end is not None and self._is_due(state, state.end, now_us):
            end = state.end
            columns = self._columns(state, end)
            if not any(None in column for column in columns):
                rows = list(zip(*columns, strict=True))
                windows.append(Ready(rows, (end - plan.rows + 1) * plan.every_us, end * plan.every_us))
                _forget_counts(state)
                state.end = end + plan.step
            else:
                windows.append(_lost(state, self._lacking(state, columns)))
                state.end = self._after_gap(state, columns, end)
            self._prune(state, state.end or end + 1)

    def _catch_up(self, state: WindowState, now_us: int, windows: list[Ready | Lost]) -> None:
        """After a long halt, of the machine for example, windows that nobody has asked for in time are not made any more."""
        plan = self.plan
        if state.end is None:
            return
        behind = (now_us // plan.every_us - state.end) // plan.step
        if behind > _BEHIND_MAX:
            state.end += (behind - _BEHIND_MAX) * plan.step
            windows.append(_lost(state, f"nothing was done for {behind} windows"))

    def _after_gap(self, state: WindowState, columns: list[list[float | None]], end: int) -> int | None:
        """The last moment of the first window after what is missing; None where all that there is lies before it: silence."""
        plan = self.plan
        begins = end - plan.rows + 1 + plan.step
        for column, cells in zip(columns, state.cells, strict=True):
            gap = max((end - plan.rows + 1 + row for row, value in enumerate(column) if value is None), default=None)
            if gap is not None:
                following = min((number for number in cells if number > gap), default=None)
                if following is None:
                    return None  # it begins anew with the next sample
                begins = max(begins, following)
        return begins + plan.rows - 1

    def _is_due(self, state: WindowState, end: int, now_us: int) -> bool:
        last_us = end * self.plan.every_us
        return now_us >= last_us + self.plan.wait_us or (now_us >= last_us and min(state.newest_us) >= last_us)

    def _columns(self, state: WindowState, end: int) -> list[list[float | None]]:
        """For each input its values at the moments of a window; None where there is none."""
        read = self._linear if self.plan.fill == "linear" else self._held
        return [read(cells, end) for cells in state.cells]

    def _lacking(self, state: WindowState, columns: list[list[float | None]]) -> str:
        found: list[str] = []
        for place, column in enumerate(columns):
            missing, name = column.count(None), self.plan.inputs[place]
            if missing and place not in state.heard:
                found.append(f"{name} has had no value yet")
            elif missing:
                found.append(f"{missing} of {len(column)} values of {name} are missing")
        return "; ".join(found)

    def _held(self, cells: dict[int, _Cell], end: int) -> list[float | None]:
        """The last sample at or before each moment, if it is not too old."""
        every_us, gap_us = self.plan.every_us, self.plan.gap_us
        first = end - self.plan.rows + 1
        last: _Cell | None = None
        for number in range(first - self._gap_cells, first):
            last = cells.get(number, last)
        found: list[float | None] = []
        for number in range(first, end + 1):
            last = cells.get(number, last)
            is_near = last is not None and number * every_us - last.last_us <= gap_us
            found.append(last.last if is_near and last is not None else None)
        return found

    def _linear(self, cells: dict[int, _Cell], end: int) -> list[float | None]:
        """On the line between the samples on both sides of each moment, if they are not too far apart."""
        every_us, gap_us = self.plan.every_us, self.plan.gap_us
        first = end - self.plan.rows + 1
        after: list[_Cell | None] = []
        following: _Cell | None = None
        for number in range(end + self._gap_cells, first - 1, -1):
            if number <= end:
                after.append(following)
            following = cells.get(number, following)
        after.reverse()
        before: _Cell | None = None
        for number in range(first - self._gap_cells, first):
            before = cells.get(number, before)
        found: list[float | None] = []
        for number in range(first, end + 1):
            before = cells.get(number, before)
            found.append(_between(before, after[number - first], number * every_us, gap_us))
        return found

    def _oldest(self, end: int) -> int:
        """The oldest cell that the window with this last moment needs."""
        return end - self._keep_cells + 1

    def _prune(self, state: WindowState, end: int) -> None:
        oldest = self._oldest(end)
        for cells in state.cells:
            for number in [number for number in cells if number < oldest]:
                del cells[number]

    def _deadline_us(self, state: WindowState) -> int | None:
        if state.end is None:
            return None
        last_us = state.end * self.plan.every_us
        return last_us if min(state.newest_us) >= last_us else last_us + self.plan.wait_us


_NEVER_US: Final = -(1 << 62)


def _between(before: _Cell | None, after: _Cell | None, moment_us: int, gap_us: int) -> float | None:
    if before is None:
        return None
    if before.last_us == moment_us:
        return before.last
    if after is None or after.first_us - before.last_us > gap_us:
        return None
    share = (moment_us - before.last_us) / (after.first_us - before.last_us)
    return before.last + (after.first - before.last) * share


def _number(value: object) -> float | None:
    """A finite number, or a flag as 1 or 0; None for anything else."""
    if isinstance(value, (bool, int)):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, float) and value - value == 0.0:
        return value
    return None


def _lost(state: WindowState, reason: str) -> Lost:
    told = Lost(f"{reason}{_told(state)}")
    _forget_counts(state)
    return told


def _told(state: WindowState) -> str:
    counts = ((state.unusable, "no numbers"), (state.late, "too late"), (state.ahead, "of the future"))
    found = [f"{count} {'was' if count == 1 else 'were'} {what}" for count, what in counts if count]
    return f" (of the samples {', '.join(found)})" if found else ""


def _forget_counts(state: WindowState) -> None:
    state.unusable = state.late = state.ahead = 0
