"""`edgematrix simulate`: a matrix in virtual time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import complain, say
from edgematrix.errors import UsageError
from edgematrix.protocol.duration import parse_duration
from edgematrix.protocol.moment import parse_moment
from edgematrix.testing.recording import Recorded, format_line, read_whole
from edgematrix.testing.simulator import START_US, Restart, Seen, Simulation

if TYPE_CHECKING:  # what opens a matrix is loaded when the arguments are known to be right
    from edgematrix.config.opened import Opened

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix simulate home.yaml --input day.jsonl
edgematrix simulate home.yaml --input day.jsonl --until 1h --restart 12.5 --restart 600+30
edgematrix simulate home.yaml --until 1d --watch 'em/out/#'
edgematrix simulate home.yaml --input day.jsonl --diff home.yaml.old   # what the changes would have changed"""


def command(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    matrix: Annotated[Path, typer.Argument(help="The matrix: a YAML file, or a Python file that defines one.")],
    input_: Annotated[Path | None, typer.Option("--input", "-i", help="What the outside world publishes, one JSON object a line.")] = None,
    until: Annotated[str | None, typer.Option(help="When it ends: seconds, or 90s, 5m, 1h30m, 1d. Default: with the last input.")] = None,
    seed: Annotated[int, typer.Option(help="From which ids are made.")] = 0,
    watch: Annotated[
        list[str] | None, typer.Option(help="Show what matches this filter instead of all outside the root; again for more.")
    ] = None,
    restart: Annotated[
        list[str] | None, typer.Option(help="Kill the host at 12.5 s and start it at once; 12+30: 30 s later. Again for more.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Virtual time 0, such as 2026-01-01T00:00:00Z.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="An installed module whose agents may be loaded.")] = None,
    diff: Annotated[
        Path | None, typer.Option("--diff", metavar="OLD", help="Print only what this matrix would have done otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Differences as JSON objects too, one a line.")] = False,
) -> None:
    """Play a recording to a matrix in virtual time and print what it publishes, one JSON object a line.

    With --diff the exit code is 1 if there are differences, 0 if there are none.
    """
    from edgematrix.cli.finding import show_issue  # noqa: PLC0415 - only who has findings pays for it
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - arguments are checked first

    start_us = START_US if start is None else _moment(start)
    restarts = [_restart(text) for text in restart or ()]
    until_us = None if until is None else _duration(until, "--until")
    opened = open_matrix(matrix, allow or ())
    before = None if diff is None else open_matrix(diff, allow or ())
    for warning in opened.warnings:
        show_issue(warning)
    inputs: list[Recorded] = [] if input_ is None else read_whole(input_)
    if until_us is None:
        if not inputs:
            raise UsageError("without --input there is no end: say --until")
        until_us = inputs[-1].at_us
    kills = sorted(restarts, key=lambda kill: kill.at_us)
    gc.freeze()  # what was read stays to the end; not looking at it again and again saves a sixth of a day's time

    def play(what: Opened) -> Iterator[Seen]:
        simulation = Simulation(what.spec, loader=what.loader, start_us=start_us, seed=seed, watch=watch or ())
        return simulation.play(inputs, until_us, kills)

    if before is not None:
        _show_differences(list(play(before)), list(play(opened)), as_json)
        return
    for seen in play(opened):
        say(_line(seen))


def _show_differences(old: list[Seen], new: list[Seen], as_json: bool) -> None:
    """Print them; the exit code tells whether there are any."""
    from edgematrix.cli.difference import show_as_json, show_as_table  # noqa: PLC0415 - only who compares pays for it
    from edgematrix.testing.difference import differences  # noqa: PLC0415 - as above

    found = differences(old, new)
    (show_as_json if as_json else show_as_table)(found)
    if not found:
        complain(f"no differences: {len(new)} publications")
        return
    gone, come = sum(row.new is None for row in found), sum(row.old is None for row in found)
    parts = [f"{count} {what}" for count, what in ((gone, "gone"), (come, "new"), (len(found) - gone - come, "changed")) if count]
    complain(f"{', '.join(parts)}; {len(old)} publications before, {len(new)} now")
    raise typer.Exit(1)


def _line(seen: Seen) -> str:
    return format_line(Recorded(seen.at_us, seen.topic, seen.payload, seen.retain, seen.qos))


def _restart(text: str) -> Restart:
    at, plus, down = text.partition("+")
    return Restart(_duration(at, "--restart"), _duration(down, "--restart") if plus else 0)


def _duration(text: str, option: str) -> int:
    try:
        return parse_duration(float(text))
    except ValueError:
        pass
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error), where=option) from None


def _moment(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise UsageError(f"expected a time such as 2026-01-01T00:00:00Z: {error}", where="--start") from None
