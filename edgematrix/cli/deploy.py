"""`edgematrix deploy`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.finding import show_issue
from edgematrix.cli.options import Duration, read_duration

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix deploy home.yaml --broker mqtt://192.168.1.10
edgematrix deploy home.yaml --plan        # who would go where, and what would change
edgematrix deploy home.yaml --remove      # take it from the hosts"""

_WAIT_S = 20.0


def command(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="A YAML file, or a Python file that defines a matrix.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show who would go where and what would change, and change nothing.")] = False,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="URL", envvar="EDGEMATRIX_BROKER", help="In place of the broker that the matrix names."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the matrix from the hosts, with all its agents.")] = False,
    wait: Annotated[
        Duration | None,
        typer.Option("--wait", metavar="DURATION", parser=read_duration, help="How long hosts may take. Default: 20s."),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="MODULE", help="An installed module whose types are compared here.")
    ] = None,
) -> None:
    """Give the agents of a matrix to the hosts on its broker.

    Each agent goes to the host that it names, or to one that has what it needs; it stays where it is as long as that host fits. Of
    what runs already only what differs is touched. It waits until every host that is online follows the new revision, and says
    which does not, and why: exit code 1.
    """
    from edgematrix.cli.deploying import Deploying, broker_of  # noqa: PLC0415 - help needs none of it
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415

    opened = open_matrix(matrix, allow or ())
    for warning in opened.warnings:
        show_issue(warning)
    deploying = Deploying(
        opened.spec,
        broker_of(opened.spec, broker, matrix.parent),
        is_plan=plan,
        is_removal=remove,
        wait_s=_WAIT_S if wait is None else wait.seconds,
    )
    raise typer.Exit(asyncio.run(deploying.run()))
