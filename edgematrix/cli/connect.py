"""`edgematrix connect`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.edge import FlowArgument, FromArgument, ToArgument, check_end
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target
from edgematrix.errors import ExpressionError, UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix connect home/report analyse summarise
edgematrix connect home/report critic summarise --when "verdict == 'redo'" --loop"""


def command(
    flow: FlowArgument,
    start: FromArgument,
    end: ToArgument,
    when: Annotated[str | None, typer.Option("--when", metavar="CEL", help="Go this way only if it holds for what was put out.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="It leads back, and begins a new round.")] = False,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an edge to a flow of a running matrix. Runs under way go on as they began."""
    path = read_path(flow)
    data: dict[str, object] = {"from": check_end(start), "to": check_end(end)}
    if when is not None:
        data["when"] = _checked(when)
    if loop:
        data["loop"] = True
    carry_out(find_target(url, root), Order("connect", path, data), f"connected {start} -> {end} in {path}", as_json=as_json)


def _checked(text: str) -> str:
    """A condition whose syntax is right. Which fields there are, the host knows."""
    from edgematrix.composition.judgement import Judgement  # noqa: PLC0415 - CEL costs more than all else here, and is rarely needed

    try:
        Judgement.condition(text, None)
    except ExpressionError as error:
        raise UsageError(error.what, where=f"--when {error.where}".rstrip(), remedy=error.remedy) from None
    return text
