"""`edgematrix run`."""

from __future__ import annotations

import asyncio
import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.cast import Play, named_board, play_beside
from edgematrix.cli.finding import show_issue
from edgematrix.cli.options import ForOption
from edgematrix.cli.performance import Order, Performance
from edgematrix.cli.run_file import FOLDER
from edgematrix.config.launch import local_name
from edgematrix.config.opening import open_matrix
from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import check_name

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix run home.yaml
edgematrix run home.yaml --play day.jsonl               # a recorded day, an hour a minute
edgematrix run home.yaml --broker mqtt://192.168.1.10   # the broker that you have
edgematrix run home.yaml --log json > events.jsonl"""


_PACE = 60.0


class Log(StrEnum):
    """Lines in place of the live view."""

    TEXT = "text"
    JSON = "json"


def command(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="A YAML file, or a Python file that defines a matrix.")],
    play: Annotated[Path | None, typer.Option("--play", metavar="FILE", help="Play a recording meanwhile.")] = None,
    speed: Annotated[
        str | None,
        typer.Option("--speed", metavar="N", help="How many seconds of it pass in one, for the agents too; or max. Default: 60."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", metavar="PATH=PROGRAM", help="A board's program for MicroPython; again for more."),
    ] = None,
    log: Annotated[Log | None, typer.Option("--log", help="Lines in place of the live view.", show_default=False)] = None,
    broker: Annotated[str | None, typer.Option("--broker", metavar="URL", help="In place of the broker that the matrix names.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="HOST", help="This host's name; without it, the machine's.")] = None,
    state: Annotated[Path, typer.Option("--state", metavar="DIR", help="Where states are kept.")] = Path(FOLDER),
    duration: ForOption = None,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="MODULE", help="An installed module that agents may come from.")
    ] = None,
) -> None:
    """Run a matrix until Ctrl-C, with a broker of its own if it says `broker: embedded`.

    In a terminal it shows the agents at work; where the output goes elsewhere it writes a line for what happens.
    """
    boards = [named_board(text) for text in device or ()]
    told = Play()
    if play is not None:
        _check_recording(play)
        told = play_beside(play)
        boards += told.boards
    opened = open_matrix(matrix, allow or ())
    for warning in opened.warnings:
        show_issue(warning)
    order = Order(
        matrix=matrix,
        host=_host_name(name),
        state=state,
        broker=broker,
        recording=play,
        pace=_pace(speed, told),
        start_us=told.start_us,
        boards=boards,
        duration_s=None if duration is None else duration.seconds,
        live=log is None and sys.stdout.isatty(),
        json=log is Log.JSON,
    )
    asyncio.run(Performance(order, opened).run())


def _host_name(name: str | None) -> str:
    try:
        return local_name() if name is None else check_name(name, "host")
    except PathError as error:
        raise UsageError(error.what, where="--name", remedy=error.remedy or "give it a name with --name") from None


def _check_recording(recording: Path) -> None:
    """Read it once: what is wrong is told now, not by the player when it comes to it."""
    from edgematrix.testing.recording import read_recording  # noqa: PLC0415 - most runs play nothing

    lines = read_recording(recording)
    next(lines, None)
    del lines


def _pace(text: str | None, told: Play) -> float:
    """Seconds of the recording in one; infinity is as fast as it goes."""
    if text is None:
        return told.speed or _PACE
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise UsageError(f"expected a number above 0, or max, found {text[:40]!r}", where="--speed")
    return speed
