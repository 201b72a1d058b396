"""`edgematrix trace`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from edgematrix.cli.options import ForOption, JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import find_target
from edgematrix.cli.trace_face import JsonFace, LinesFace
from edgematrix.cli.tracing import FaceOf, Question, Tracing
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix trace                                  # what happened of late, and what each group waits for now
edgematrix trace home/hall --follow               # what happens from now on
edgematrix trace home/hall/rule --group cold      # why it did not fire
edgematrix trace --json --last 1000 > trace.jsonl"""


def command(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="An agent, or what agents are in. Default: the matrix.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="The trigger groups of this name alone.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=1000, help="How much of what happened before is shown.")] = 50,
    as_json: JsonOption = False,
    duration: ForOption = None,
    url: UrlOption = None,
    root: RootOption = None,
) -> None:
    """Show each firing of a trigger group, each non-firing with its reason, and what the groups wait for.

    The host keeps what happened of late; with --follow it tells what happens from now on, and how near each group is to firing.
    """
    asked = None if path is None else read_path(path)
    if duration is not None and not follow:
        raise UsageError("--for is for --follow", remedy="edgematrix trace --follow --for 1m")
    target = find_target(url, root)
    question = Question(asked or ("" if target.run is None else target.run.name), group or "", last, follow, duration)
    asyncio.run(Tracing(target, question, _face(as_json, follow)).run())


def _face(as_json: bool, follow: bool) -> FaceOf:
    if as_json:
        return lambda _: JsonFace()
    if not follow or not sys.stdout.isatty():
        return lambda _: LinesFace()
    from edgematrix.cli.trace_board import BoardFace  # noqa: PLC0415 - rich costs more than all else here

    return BoardFace
