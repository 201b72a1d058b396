"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.duration import SECOND_US, parse_duration
from edgematrix.protocol.path import AgentPath, parse_path

__all__ = ["Duration", "ForOption", "JsonOption", "RootOption", "UrlOption", "read_duration", "read_path"]


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time that was given on the command line."""

    us: int

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self.us / SECOND_US


def read_duration(text: str) -> Duration:
    """Read `30`, `500ms`, `1h30m`.

    Raises:
        BadParameter: it is no duration.
    """
    try:
        return Duration(parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def read_path(text: str) -> AgentPath:
    """Read the path of an agent, or of what agents are in.

    Raises:
        UsageError: it is none.
    """
    try:
        return parse_path(text.rstrip("/"))
    except PathError as error:
        raise UsageError(error.what, remedy=error.remedy or "an agent's path, such as home/hall/rule") from None


UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", "--broker", metavar="URL", help="The broker; without it, that of the run in this folder, else $EDGEMATRIX_BROKER."
    ),
]
RootOption = Annotated[str | None, typer.Option("--root", metavar="ROOT", help="What stands first in the bus's topics, if it is not `em`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
ForOption = Annotated[
    Duration | None, typer.Option("--for", metavar="DURATION", parser=read_duration, help="End after so long, such as 30s or 5m.")
]
