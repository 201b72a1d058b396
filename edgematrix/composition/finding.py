"""What a check of a composite's definition found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Literal, NamedTuple, TypeAlias

from edgematrix.errors import ExpressionError
from edgematrix.expression.names import nearest

__all__ = ["Finding", "Place", "compiled", "stranger"]

Place: TypeAlias = tuple[str | int, ...]

_NAMES_SHOWN = 20


class Finding(NamedTuple):
    """One thing that keeps a composite from being used; a warning is probably not meant.

    `place` is where in the agent's definition, as in `("chat", "members", 1)`. What is wrong with an expression ends with
    its `(line:column)`.
    """

    place: Place
    what: str
    remedy: str = ""
    severity: Literal["error", "warning"] = "error"


def stranger(place: Place, name: str, children: Collection[str]) -> Iterator[Finding]:
    """A finding if `name` is no agent below, with the one that it is most like."""
    if name in children:
        return
    close = nearest(name, children)
    known = ", ".join(sorted(children)[:_NAMES_SHOWN])
    remedy = f"did you mean `{close}`?" if close else f"agents below: {known}" if known else "define it under `agents:`"
    yield Finding(place, f"`{name}` is none of the agents below", remedy)


def compiled(make: Callable[[], object], place: Place) -> Iterator[Finding]:
    """A finding if an expression or a template does not compile."""
    try:
        make()
    except ExpressionError as error:
        position = error.where.rpartition(" ")[2]
        yield Finding(place, f"{error.what} ({position})" if position else error.what, error.remedy)
