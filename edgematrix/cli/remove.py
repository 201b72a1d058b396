"""`edgematrix remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix remove home/hall/dimmer"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An agent; what is in it goes too.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an agent, and all that is in it, out of a running matrix."""
    agent = read_path(path)
    carry_out(find_target(url, root), Order("remove", agent), f"removed {agent}", as_json=as_json)
