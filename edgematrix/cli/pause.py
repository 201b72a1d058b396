"""`edgematrix pause`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix pause home/hall/light
edgematrix pause home                # the whole matrix"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An agent, or what agents are in.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an agent, and all that is in it, begin no more work until it is resumed."""
    agent = read_path(path)
    carry_out(find_target(url, root), Order("pause", agent), f"paused {agent}", as_json=as_json)
