"""`edgematrix graph`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.flowchart import flowchart
from edgematrix.config.opening import open_matrix

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix graph home.yaml
edgematrix graph home.yaml > home.mmd     # a picture on GitHub, or at https://mermaid.live"""


class Format(StrEnum):
    """How a graph can be written."""

    MERMAID = "mermaid"


def command(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="The matrix file.")],
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.MERMAID,
) -> None:
    """Draw a matrix as a Mermaid flowchart.

    Composites are frames, devices have double sides, clocks are round, people have two rings, topics of other systems are
    slanted. Solid arrows are what is heard and the edges of flows, dotted ones what is sent to an agent and what leads back in
    a flow.
    """
    assert form is Format.MERMAID  # noqa: S101 - the only one so far
    typer.echo(flowchart(open_matrix(matrix).spec), nl=False)
