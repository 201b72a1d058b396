"""`edgematrix failback`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix failback home/flow        # to the first of its hosts that is online"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An agent with `failover`.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring an agent that moved to another host back to the best choice that is online, with its state."""
    agent = read_path(path)
    carry_out(find_target(url, root), Order("failback", agent), f"{agent} goes back", as_json=as_json)
