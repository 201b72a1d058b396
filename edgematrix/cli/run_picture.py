"""A run in lines: its tree, and beside it a timeline to scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgematrix.cli.console import plain, shorten, style
from edgematrix.cli.display import clock_time, value_text
from edgematrix.cli.run_tree import UNDER_WAY, Step, Work, every, moment_us
from edgematrix.protocol.duration import SECOND_US

__all__ = ["run_lines", "runs_line", "span"]

_BAR_WIDTH = 24
_NAME_WIDTH_MIN = 12
_NAME_WIDTH_MAX = 40
_TIME_WIDTH = 9
_TEXT_WIDTH_MIN = 20
_VALUE_LENGTH_MAX = 80
_LINES_MAX = 5_000
"""Lines of one run; beyond them the rest is counted."""
_MINUTE_US = 60 * SECOND_US
_COLOURS = {"done": "green", "stopped": "green", "failed": "red", "cancelled": "yellow", "abandoned": "yellow", UNDER_WAY: "cyan"}
_MARKS = {"done": "✓", "stopped": "✓", "failed": "✗", "cancelled": "⊘", "abandoned": "⊘", UNDER_WAY: "…"}


def run_lines(runid: str, works: Sequence[Work], now_us: int, width: int) -> Iterator[str]:
    """A run for people.

    Args:
        works: what was done on the run itself, in order of time.
        now_us: up to when what is under way has taken.
        width: columns of the terminal.
    """
    picture = _Picture(works, now_us, width)
    for number, work in enumerate(works):
        if number:
            yield ""
        lines = picture.lines(runid, work)
        for count, line in enumerate(lines):
            if count == _LINES_MAX:
                yield style(f"and {sum(1 for _ in lines) + 1} more lines", fg="yellow")
                return
            yield line


def runs_line(told: Mapping[str, object]) -> str:
    """A run of a list: when it began, how it stands, what it took, how many steps, whose it is, its id."""
    state = str(told.get("state"))
    took_us = told.get("took_us")
    took = span(took_us) if isinstance(took_us, int) else ""
    steps = told.get("steps")
    began = clock_time(moment_us(str(told.get("began"))))
    count = "" if not steps else "1 step" if steps == 1 else f"{steps} steps"
    head = (
        f"{style(began, dim=True)}  {style(_MARKS.get(state, '?'), fg=_COLOURS.get(state, 'yellow'))} {plain(shorten(state, 10)).ljust(10)}"
    )
    path, runid = plain(str(told.get("path"))), plain(str(told.get("run")))
    return f"{head}  {took.rjust(_TIME_WIDTH)}  {plain(count).rjust(9)}  {path.ljust(28)}  {style(runid, dim=True)}"


def span(took_us: int) -> str:
    """A duration with three digits, about: `850 µs`, `12.3 ms`, `1.23 s`, `2m 03s`."""
    if took_us < 1_000:  # noqa: PLR2004 - microseconds of a millisecond
        return f"{took_us} µs"
    if took_us < SECOND_US:
        return f"{took_us / 1_000:.3g} ms"
    if took_us < _MINUTE_US:
        return f"{took_us / SECOND_US:.3g} s"
    minutes, rest_us = divmod(took_us, _MINUTE_US)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes}m {rest_us // SECOND_US:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"


class _Picture:
    """What all lines of one run have in common: its beginning, its scale, the widths."""

    def __init__(self, works: Sequence[Work], now_us: int, width: int) -> None:
        self._now_us = now_us
        self._began_us = min((work.began_us for work in works), default=0)
        all_works = list(every(works))
        ends = [_end_us(work.began_us, work.took_us, now_us) for work in all_works]
        ends += [_end_us(moment_us(step.began), step.took_us, now_us) for work in all_works for step in work.steps]
        self._took_us = max(max(ends, default=0) - self._began_us, 1)
        names = max((len(name) for work in works for name in _names(work, 0)), default=0)
        self._name_width = min(max(names, _NAME_WIDTH_MIN), _NAME_WIDTH_MAX)
        self._text_width = max(width - self._name_width - _BAR_WIDTH - 2 * _TIME_WIDTH - 9, _TEXT_WIDTH_MIN)

    def lines(self, runid: str, work: Work) -> Iterator[str]:
        """One agent's work on the run, and what it called."""
        steps = sum(len(one.steps) for one in every([work]))
        took = f" in {span(work.took_us)}" if work.took_us is not None else f" for {span(max(self._now_us - work.began_us, 0))}"
        count = f", {steps} step{'' if steps == 1 else 's'}" if steps else ""
        state = style(f"{_MARKS.get(work.state, '?')} {plain(work.state)}", fg=_COLOURS.get(work.state, "yellow"))
        about = style(f"{clock_time(work.began_us)}  run {plain(runid)}", dim=True)
        yield f"{style(plain(work.path), bold=True)}  {state}{took}{count}  {about}"
        if work.inputs:
            yield f"  {plain(_values(work.inputs, 200))}"
        yield from self._within(work, 0)
        if work.outputs:
            yield f"  → {plain(_values(work.outputs, 200))}"
        if work.reason:
            yield style(f"  {plain(work.reason)}", fg=_COLOURS.get(work.state, "yellow"))
        if work.left_out:
            yield style(f"  {work.left_out} observations are not kept: the run is too long", fg="yellow")

    def _within(self, work: Work, depth: int) -> Iterator[str]:
        """The steps and notes of an agent, in order of time."""
        inside: list[tuple[int, int, Step | str]] = [(moment_us(step.began), 0, step) for step in work.steps]
        inside += [(moment_us(note.at), 1, note.text) for note in work.notes]
        for at_us, _, item in sorted(inside, key=lambda one: one[:2]):
            if isinstance(item, Step):
                yield from self._step(item, depth)
            else:
                yield self._note(item.replace(f" for '{work.run}'", ""), at_us, depth)
        if work.waits_for:
            yield style(f"{_indent(depth)}now: {plain(work.waits_for)}", fg="cyan")

    def _step(self, step: Step, depth: int) -> Iterator[str]:
        yield self._row(step.state, _step_name(step, depth), moment_us(step.began), step.took_us, self._given(step))
        if step.reason:
            yield style(f"{_indent(depth + 1)}{plain(step.reason)}", fg=_COLOURS.get(step.state, "yellow"))
        for work in step.works:
            if work.path != step.member:
                yield self._passing(work, depth + 1)
            yield from self._within(work, depth + 1)

    def _passing(self, work: Work, depth: int) -> str:
        """An agent that worked on a step without being called itself, such as one inside a composite."""
        return self._row(work.state, f"{'  ' * depth}{_last(work.path)}", work.began_us, work.took_us, work.reason)

    def _row(self, state: str, name: str, began_us: int, took_us: int | None, text: str) -> str:
        colour = _COLOURS.get(state, "yellow")
        shown = shorten(plain(name), self._name_width).ljust(self._name_width)
        bar = style(self._bar(began_us, _end_us(began_us, took_us, self._now_us)), fg=colour)
        after = style(f"+{span(max(began_us - self._began_us, 0))}".rjust(_TIME_WIDTH), dim=True)
        took = ("…" if took_us is None else span(took_us)).rjust(_TIME_WIDTH)
        head = f"{style(_MARKS.get(state, '?'), fg=colour)} {shown}  {bar}  {after} {took}"
        return f"{head}  {shorten(plain(text), self._text_width)}".rstrip()

    def _note(self, text: str, at_us: int, depth: int) -> str:
        after = f"+{span(max(at_us - self._began_us, 0))}"
        return style(f"· {_indent(depth)[2:]}{after}: {plain(text)}", dim=True)

    def _given(self, step: Step) -> str:
        given = _values(step.inputs, _VALUE_LENGTH_MAX)
        if step.state == "done":
            return f"{given} → {_values(step.outputs, _VALUE_LENGTH_MAX) or 'nothing'}"
        return given if step.state == "failed" else f"{given} ({step.state})"

    def _bar(self, began_us: int, ended_us: int) -> str:
        """A bar from the step's beginning to its end, at least one column wide."""
        start = min(int((began_us - self._began_us) / self._took_us * _BAR_WIDTH), _BAR_WIDTH - 1)
        end = max(round((ended_us - self._began_us) / self._took_us * _BAR_WIDTH), start + 1)
        return f"{'·' * max(start, 0)}{'█' * (min(end, _BAR_WIDTH) - max(start, 0))}".ljust(_BAR_WIDTH, "·")


def _names(work: Work, depth: int) -> Iterator[str]:
    for step in work.steps:
        yield _step_name(step, depth)
        for inner in step.works:
            yield from _names(inner, depth + 1)


def _step_name(step: Step, depth: int) -> str:
    return f"{'  ' * depth}{step.step} {_last(step.member)}"


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _indent(depth: int) -> str:
    return "  " * (depth + 1)


def _end_us(began_us: int, took_us: int | None, now_us: int) -> int:
    return max(now_us, began_us) if took_us is None else began_us + took_us


def _values(by_port: Mapping[str, object], length_max: int) -> str:
    """What stands on ports: the value alone where there is one on a default port."""
    if len(by_port) == 1 and next(iter(by_port)) in ("in", "out"):
        return value_text(next(iter(by_port.values())), length_max)
    return " ".join(f"{port}={value_text(value, length_max)}" for port, value in by_port.items())
