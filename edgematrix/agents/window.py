"""Windows over the values of several inputs, as a pure step: samples and moments in, whole windows out (docs/models.md, "Windows").

A window has `rows`, each with one number for each input. Without `every` a row is made of the samples as they come: it is complete
when each input has had one. With `every` the rows are moments, whole multiples of `every` on the timeline, whatever the pace of the
samples is; what an input is worth at such a moment is made of its samples near it (`fill`). A moment that no sample is near enough to
spoils every window that it is in: a model is never shown a number that nobody has measured.

What is kept is bounded by the length of the window, not by the pace of the samples: of the samples between two moments two are kept. A
moment is decided once, when its samples are there or are not waited for any more, so that a window costs what is new in it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

__all__ = ["ROWS_MAX", "Fill", "Lost", "Ready", "Sample", "WindowPlan", "WindowState", "WindowStep", "Windows"]

ROWS_MAX: Final = 10_000
"""Rows of a window."""
_AHEAD_US: Final = 1_000_000
"""How far a sample's own time may be ahead of ours."""
_NEVER_US: Final = -(1 << 62)
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
    """A whole window: 4-byte floats, row by row, the oldest first, and the time of the first row and of the last."""

    values: array[float]
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
    """What there is so far; a step changes it in place.

    `values` are the rows that are decided, `newest_us` is the time of the newest sample of each input, `heard` has the inputs that have
    had one. `unusable`, `late` and `ahead` count samples that were no numbers, too old, and of the future.

    With `every`: `done` is the number of the last decided moment, `end` that of the last moment of the next window (None before the first
    sample and after a silence), `cells` are for each input the samples after `done`, by the number of the moment at or before which they
    lie, `held` is the last one up to it, and `gaps` the last moment for which an input had no value.
    Without: `row` is the row under way, `times_us` are those of the whole rows, and `since` counts the rows since the last window.
    """

    newest_us: list[int]
    cells: list[dict[int, _Cell]]
    held: list[_Cell | None]
    gaps: list[int]
    since: int
    values: array[float] = msgspec.field(default_factory=lambda: array("f"))
    heard: set[int] = set()
    done: int = _NEVER_US
    end: int | None = None
    row: dict[int, float] = {}
    times_us: list[int] = []
    unusable: int = 0
    late: int = 0
    ahead: int = 0


class Windows:
    """Makes windows by a plan. It has no state of its own."""

    __slots__ = ("_linear", "_size", "plan")

    def __init__(self, plan: WindowPlan) -> None:
        self.plan = plan
        self._size = plan.rows * len(plan.inputs)
        self._linear = plan.fill == "linear"

    def start(self) -> WindowState:
        """A fresh state."""
        count = len(self.plan.inputs)
        return WindowState([_NEVER_US] * count, [{} for _ in range(count)], [None] * count, [_NEVER_US] * count, self.plan.step)

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
        return f"row {len(state.times_us) + 1} of {self.plan.rows} lacks {', '.join(lacking)}{_told(state)}"

    # Samples as they come

    def _fill_row(self, state: WindowState, place: int, time_us: int, value: float, windows: list[Ready | Lost]) -> None:
        plan, times_us = self.plan, state.times_us
        if times_us and time_us < times_us[-1]:
            state.late += 1
            return
        state.heard.add(place)
        state.row[place] = value
        if len(state.row) < len(plan.inputs):
            return
        row = [state.row[number] for number in range(len(plan.inputs))]
        state.row = {}
        if times_us and plan.gap_us and time_us - times_us[-1] > plan.gap_us:
            apart_ms = (time_us - times_us[-1]) // 1_000
            windows.append(_lost(state, f"two rows are {apart_ms} ms apart, at most {plan.gap_us // 1_000} ms are allowed"))
            self._restart(state)
        state.times_us.append(time_us)
        state.values.extend(row)
        state.since += 1
        if len(state.times_us) > plan.rows:
            del state.times_us[0], state.values[: len(row)]
        if len(state.times_us) == plan.rows and state.since >= plan.step:
            state.since = 0
            windows.append(Ready(state.values[:], state.times_us[0], time_us))
            _forget_counts(state)

    def _spoil(self, state: WindowState, place: int, windows: list[Ready | Lost]) -> None:
        """A value is missing where each counts: it stays as it was, or what there is of the window is of no use."""
        plan = self.plan
        if plan.fill == "hold" and state.times_us:
            self._fill_row(state, place, state.times_us[-1], state.values[place - len(plan.inputs)], windows)
        else:
            if state.times_us or state.row:
                windows.append(_lost(state, f"a value of {plan.inputs[place]} is missing"))
            self._restart(state)

    def _restart(self, state: WindowState) -> None:
        state.times_us, state.row, state.values = [], {}, array("f")
        state.since = self.plan.step  # so that the first whole window counts

    # Moments

    def _put(self, state: WindowState, place: int, time_us: int, value: float) -> None:
        number = -(-time_us // self.plan.every_us)
        if state.end is None:
            done = max(number - 1, state.done)  # what was decided stays so
            state.end = done + self.plan.rows
            self._skip_to(state, done)
        state.heard.add(place)
        if number <= state.done:
            held = state.held[place]
            if held is None or time_us >= held.last_us:
                state.held[place] = _Cell(time_us, value, time_us, value)  # too late for its moment, and still the newest there is
            else:
                state.late += 1
                return
        else:
            _add(state.cells[place], number, time_us, value)
        state.newest_us[place] = max(state.newest_us[place], time_us)

    def _decide(self, state: WindowState, now_us: int, windows: list[Ready | Lost]) -> None:
        """Decide every moment that is over and whose samples have come or are not waited for any more; windows end with some of them."""
        plan = self.plan
        self._catch_up(state, now_us, windows)
        oldest_us = min(state.newest_us)
        while state.end is not None:
            moment_us = (state.done + 1) * plan.every_us
            if now_us < moment_us or (oldest_us < moment_us and now_us < moment_us + plan.wait_us):
                return
            self._decide_moment(state, moment_us)
            if state.done == state.end:
                self._close(state, state.end, windows)

    def _decide_moment(self, state: WindowState, moment_us: int) -> None:
        number = state.done = state.done + 1
        gap_us, values = self.plan.gap_us, state.values
        for place, cells in enumerate(state.cells):
            held = cells.pop(number, None)
            if held is None:
                held = state.held[place]
            else:
                state.held[place] = held
            if self._linear:
                value = _between(held, cells, number, moment_us, gap_us)
            else:
                value = held.last if held is not None and moment_us - held.last_us <= gap_us else None
            if value is None:
                state.gaps[place] = number
                value = _MISSING
            values.append(value)
        if len(values) > 2 * self._size:
            del values[: -self._size]

    def _close(self, state: WindowState, end: int, windows: list[Ready | Lost]) -> None:
        """A window is over: whole, or lost."""
        plan = self.plan
        first = end - plan.rows + 1
        if max(state.gaps) < first:
            windows.append(Ready(state.values[-self._size :], first * plan.every_us, end * plan.every_us))
            _forget_counts(state)
            state.end = end + plan.step
            return
        windows.append(_lost(state, self._lacking(state)))
        begins = first + plan.step
        for gap, cells in zip(state.gaps, state.cells, strict=True):
            if gap == end:
                following = min(cells, default=None)
                if following is None:
                    state.end = None  # silence: it begins anew with the next sample
                    return
                begins = max(begins, following)
            elif gap >= first:
                begins = max(begins, gap + 1)
        state.end = begins + plan.rows - 1

    def _lacking(self, state: WindowState) -> str:
        found: list[str] = []
        count = len(self.plan.inputs)
        for place, name in enumerate(self.plan.inputs):
            missing = sum(value != value for value in state.values[place - self._size :: count])  # noqa: PLR0124 - what is not itself is no number
            if missing and place not in state.heard:
                found.append(f"{name} has had no value yet")
            elif missing:
                found.append(f"{missing} of {self.plan.rows} values of {name} are missing")
        return "; ".join(found)

    def _catch_up(self, state: WindowState, now_us: int, windows: list[Ready | Lost]) -> None:
        """After a long halt, of the machine for example, windows that nobody has asked for in time are not made any more."""
        plan = self.plan
        if state.end is None:
            return
        behind = (now_us // plan.every_us - state.end) // plan.step
        if behind > _BEHIND_MAX:
            state.end += (behind - _BEHIND_MAX) * plan.step
            windows.append(_lost(state, f"nothing was done for {behind} windows"))
        if state.end - plan.rows > state.done:
            self._skip_to(state, state.end - plan.rows)

    def _skip_to(self, state: WindowState, done: int) -> None:
        """Go on after this moment, whatever was before."""
        state.done, state.values = done, array("f")
        for place, cells in enumerate(state.cells):
            for number in sorted(number for number in cells if number <= done):
                state.held[place] = cells.pop(number)

    def _deadline_us(self, state: WindowState) -> int | None:
        if state.end is None:
            return None
        last_us = state.end * self.plan.every_us
        return last_us if min(state.newest_us) >= last_us else last_us + self.plan.wait_us


_MISSING: Final = float("nan")


def _add(cells: dict[int, _Cell], number: int, time_us: int, value: float) -> None:
    cell = cells.get(number)
    if cell is None:
        cells[number] = _Cell(time_us, value, time_us, value)
    elif time_us >= cell.last_us:
        cell.last_us, cell.last = time_us, value
    elif time_us < cell.first_us:
        cell.first_us, cell.first = time_us, value


def _between(before: _Cell | None, cells: dict[int, _Cell], number: int, moment_us: int, gap_us: int) -> float | None:
    """On the line between the last sample before a moment and the first after it, if they are not too far apart."""
    if before is None:
        return None
    if before.last_us == moment_us:
        return before.last
    after = cells.get(number + 1)
    if after is None:
        if not cells:
            return None
        after = cells[min(cells)]
    apart_us = after.first_us - before.last_us
    if apart_us > gap_us:
        return None
    return before.last + (after.first - before.last) * ((moment_us - before.last_us) / apart_us)


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
