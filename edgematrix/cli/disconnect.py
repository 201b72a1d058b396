"""`edgematrix disconnect`."""

from __future__ import annotations

from edgematrix.cli.edge import FlowArgument, FromArgument, ToArgument, check_end
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix disconnect home/report critic summarise"""


def command(
    flow: FlowArgument, start: FromArgument, end: ToArgument, url: UrlOption = None, root: RootOption = None, as_json: JsonOption = False
) -> None:
    """Take an edge out of a flow of a running matrix. Runs under way go on as they began."""
    path = read_path(flow)
    data = {"from": check_end(start), "to": check_end(end)}
    carry_out(find_target(url, root), Order("disconnect", path, data), f"disconnected {start} -> {end} in {path}", as_json=as_json)
