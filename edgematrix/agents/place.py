"""Errors that say where in a definition they are, as in `writes.set.range` or `do.2.publish.topic 1:5`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgematrix.errors import EdgeMatrixError

__all__ = ["at", "placed"]


@contextmanager
def at(place: str) -> Iterator[None]:
    """Let errors say which entry they are about."""
    try:
        yield
    except EdgeMatrixError as error:
        raise placed(error, place) from None


def placed(error: EdgeMatrixError, place: str) -> EdgeMatrixError:
    """The same error at a place, before the place that it names itself: `do.2` and `payload 1:5` are `do.2.payload 1:5`."""
    inner, _, position = error.where.rpartition(" ")
    where = " ".join(part for part in (".".join(part for part in (place, inner) if part), position) if part)
    return type(error)(error.what, where=where, remedy=error.remedy)
