"""`edgematrix trace`."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import time
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say, style
from edgematrix.cli.display import json_text
from edgematrix.cli.options import ForOption, JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.trace_face import JsonFace, LinesFace
from edgematrix.cli.tracing import FaceOf, Question, Tracing
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix trace                                  # what happened of late, and what each group waits for now
edgematrix trace home/hall --follow               # what happens from now on
edgematrix trace home/hall/rule --group cold      # why it did not fire
edgematrix trace --runs home/report               # the newest runs
edgematrix trace 019b2c3d-4e5f                    # one run, by its id or the beginning of it: its steps on a timeline
edgematrix trace --json --last 1000 > trace.jsonl"""
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]{0,27})?")
_WIDTH_PIPED = 120


def command(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    path: Annotated[
        str | None, typer.Argument(metavar="PATH_OR_RUN", help="An agent, what agents are in (default: the matrix), or the id of a run.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="The trigger groups of this name alone.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=1000, help="How much of what happened before is shown.")] = 50,
    runs: Annotated[bool, typer.Option("--runs", help="List the newest runs.")] = False,
    as_json: JsonOption = False,
    duration: ForOption = None,
    url: UrlOption = None,
    root: RootOption = None,
) -> None:
    """Show each firing of a trigger group, each non-firing with its reason, and what the groups wait for; or one run.

    The host keeps what happened of late; with --follow it tells what happens from now on, and how near each group is to firing.
    A run is shown with its steps: when each began, what it took, what it was given and gave, and what is waited for still.
    """
    is_run = path is not None and _RUN.fullmatch(path) is not None
    if (is_run or runs) and (follow or group is not None):
        raise UsageError("a run is told as far as it is: --follow and --group are for paths", remedy="edgematrix trace --follow")
    if is_run and runs:
        raise UsageError("--runs lists runs, and is for paths", remedy="edgematrix trace --runs")
    if path is not None and is_run:
        asyncio.run(_tell_run(find_target(url, root), path, as_json))
        return
    asked = None if path is None else read_path(path)
    if duration is not None and not follow:
        raise UsageError("--for is for --follow", remedy="edgematrix trace --follow --for 1m")
    target = find_target(url, root)
    part = asked or ("" if target.run is None else target.run.name)
    if runs:
        asyncio.run(_list_runs(target, part, last, as_json))
        return
    question = Question(part, group or "", last, follow, duration)
    asyncio.run(Tracing(target, question, _face(as_json, follow)).run())


async def _tell_run(target: Target, beginning: str, as_json: bool) -> None:
    from edgematrix.cli.run_picture import run_lines  # noqa: PLC0415 - for who asks about a run alone
    from edgematrix.cli.run_question import RunQuestion  # noqa: PLC0415

    tree = await RunQuestion(target, "" if target.run is None else target.run.name).run(beginning)
    if as_json:
        say(json_text({"run": tree.runid, "works": tree.works}))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_PIPED
    for line in run_lines(tree.runid, tree.works, time.time_ns() // 1_000, width):
        say(line)


async def _list_runs(target: Target, path: str, number: int, as_json: bool) -> None:
    from edgematrix.cli.run_picture import runs_line  # noqa: PLC0415 - as above
    from edgematrix.cli.run_question import RunQuestion  # noqa: PLC0415

    found = await RunQuestion(target, path).newest(number)
    for told in found:
        say(json_text(told) if as_json else runs_line(told))
    if not found:
        complain(style("no run is kept: nothing ran here since the host began", dim=True))


def _face(as_json: bool, follow: bool) -> FaceOf:
    if as_json:
        return lambda _: JsonFace()
    if not follow or not sys.stdout.isatty():
        return lambda _: LinesFace()
    from edgematrix.cli.trace_board import BoardFace  # noqa: PLC0415 - rich costs more than all else here

    return BoardFace
