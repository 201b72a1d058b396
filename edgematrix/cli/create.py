"""`edgematrix create`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgematrix.cli.agent_file import read_agent
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.order import Order, carry_out
from edgematrix.cli.target import find_target
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix create home/hall/dimmer dimmer.yaml
echo 'python: "rules:night"' | edgematrix create home/night -"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The agent that is to be, in a matrix that runs.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML: what would stand below its name in a matrix file; - for stdin.")],
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an agent to a running matrix.

    The file is checked here first, as far as it can be without the other agents; the host checks the rest.
    """
    agent = read_path(path)
    if "/" not in agent:
        raise UsageError(f"{agent!r} is a matrix", remedy=f"an agent stands in one, such as {agent}/hall")
    target = find_target(url, root)
    spec = read_agent(file, agent, target.root)
    carry_out(target, Order("create", agent, {"spec": spec}), f"created {agent}", as_json=as_json)
