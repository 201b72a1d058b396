"""`edgematrix cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix cancel 01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10
edgematrix cancel 01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10 home/report"""


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, as `trace` and `watch` show it.")],
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="The agent whose run it is. Default: the matrix.")] = None,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a run, and the runs that it has begun."""
    if not run.strip():
        raise UsageError("the id of the run is empty")
    order = Order("cancel", "" if path is None else read_path(path), {"run": run}, words=f"cancel {run}")
    carry_out(find_target(url, root), order, f"cancelled {run}", said=("run",), as_json=as_json)
