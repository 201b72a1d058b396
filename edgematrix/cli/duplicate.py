"""`edgematrix duplicate`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix duplicate home/hall/light home/attic/light"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An agent; what is in it is copied too.")],
    new_path: Annotated[str, typer.Argument(metavar="NEWPATH", help="Where the copy is to be.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a copy of an agent to a running matrix."""
    agent, copy = read_path(path), read_path(new_path)
    carry_out(find_target(url, root), Order("duplicate", agent, {"to": copy}), f"duplicated {agent} as {copy}", as_json=as_json)
