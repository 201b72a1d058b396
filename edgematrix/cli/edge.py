"""An edge of a flow as it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import check_name

__all__ = ["FlowArgument", "FromArgument", "ToArgument", "check_end"]

_PARTS_MAX = 2
"""A member, and a port of it."""

FlowArgument = Annotated[str, typer.Argument(metavar="FLOW", help="The path of a flow.")]
FromArgument = Annotated[str, typer.Argument(metavar="FROM", help="A member, member.port, or an input of the flow.")]
ToArgument = Annotated[str, typer.Argument(metavar="TO", help="A member, member.port, or an output of the flow.")]


def check_end(text: str) -> str:
    """Return `text` if it may be an end of an edge: a name, or two with a dot between them.

    Raises:
        UsageError: it is none.
    """
    parts: Sequence[str] = text.split(".")
    if len(parts) > _PARTS_MAX:
        raise UsageError(f"{text[:120]!r} is no end of an edge", remedy="a member, member.port, or a port of the flow itself")
    try:
        for part in parts:
            check_name(part)
    except PathError as error:
        remedy = "a member by its name in the flow, without its path" if "/" in text else error.remedy
        raise UsageError(error.what, remedy=remedy) from None
    return text
