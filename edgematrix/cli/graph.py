"""`edgematrix graph`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.flowchart import flowchart
from edgematrix.cli.options import RootOption, UrlOption
from edgematrix.cli.taken import Taken
from edgematrix.cli.target import Target, find_target
from edgematrix.config.opening import open_matrix
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix graph home.yaml
edgematrix graph home.yaml > home.mmd     # a picture on GitHub, or at https://mermaid.live
edgematrix graph --run 019b2c3d-4e5f      # the way that a run took, with the matrix that runs here"""


class Format(StrEnum):
    """How a graph can be written."""

    MERMAID = "mermaid"


def command(
    matrix: Annotated[
        Path | None, typer.Argument(metavar="MATRIX", help="The matrix file. With --run not needed where the matrix runs in this folder.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.MERMAID,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Mark the way that a run took, by its id or the beginning of it.")
    ] = None,
    url: UrlOption = None,
    root: RootOption = None,
) -> None:
    """Draw a matrix as a Mermaid flowchart.

    Composites are frames, devices have double sides, clocks are round, people have two rings, topics of other systems are
    slanted. Solid arrows are what is heard and the edges of flows, dotted ones what is sent to an agent and what leads back in
    a flow. The edges that a run took are bold, with the numbers of its steps; what is done is green, what failed red.
    """
    assert form is Format.MERMAID  # noqa: S101 - the only one so far
    taken = None
    if run is not None:
        target = find_target(url, root)
        matrix = matrix or (None if target.run is None else Path(target.run.matrix))
        taken = asyncio.run(_taken(target, run))
    if matrix is None:
        raise UsageError("no matrix file is named", remedy="edgematrix graph home.yaml")
    typer.echo(flowchart(open_matrix(matrix, imports=False).spec, taken), nl=False)


async def _taken(target: Target, run: str) -> Taken:
    from edgematrix.cli.run_question import RunQuestion  # noqa: PLC0415 - for who asks about a run alone

    tree = await RunQuestion(target, "" if target.run is None else target.run.name).run(run)
    return Taken.of(tree.works)
