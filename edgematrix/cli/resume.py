"""`edgematrix resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix resume home/hall/light
edgematrix resume home                # the whole matrix"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An agent, or what agents are in.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an agent that was paused, and all that is in it, work again."""
    agent = read_path(path)
    carry_out(find_target(url, root), Order("resume", agent), f"resumed {agent}", as_json=as_json)
