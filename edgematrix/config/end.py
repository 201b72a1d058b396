"""Ends of a flow's edges, written in Python: `a >> b`, `a >> [b, c] >> d`, `a.when("score > 1") >> b`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar, overload, runtime_checkable

from edgematrix.errors import UsageError
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.firing import Firing

__all__ = ["Branch", "End", "Ends", "Keeper", "link"]

X = TypeVar("X")
Y = TypeVar("Y")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


@runtime_checkable
class Keeper(Protocol):
    """Who keeps the edges between ends: a flow."""

    def link(self, origins: Sequence[End[Any, Any]], targets: Sequence[End[Any, Any]], when: str | None, *, loop: bool) -> None:
        """Add edges from each of the origins to each of the targets."""


class End(Generic[A_contra, R_co]):
    """What may stand at an end of an edge: it takes an A and gives an R.

    `path` is its place in the tree, `holder` what it is defined in: edges are drawn in a flow.
    """

    path: AgentPath
    holder: object = None

    @property
    def station(self) -> str:
        """How an edge names it."""
        return self.path.rpartition("/")[2]

    @property
    def kind(self) -> Any:
        """The type R at run time, `object` where it is not known."""
        return object

    @property
    def given(self) -> dict[str, Any] | None:
        """The JSON Schema of what it gives; None where any value may come."""
        return None

    @property
    def taken(self) -> dict[str, Any] | None:
        """The JSON Schema of what it takes; None for any value."""
        return None

    def when(self, condition: str) -> Branch:
        """Edges from here that are taken only where this CEL condition over the fields of what it gives holds."""
        return Branch(self, condition)

    @overload
    def __rshift__(self: End[Any, X | None], other: End[X, Y]) -> End[X, Y]: ...
    @overload
    def __rshift__(self, other: End[Firing, Y]) -> End[Firing, Y]: ...
    @overload
    def __rshift__(self: End[Any, X | None], other: Sequence[End[X, Any]]) -> Ends: ...
    def __rshift__(self, other: Any) -> Any:
        """Edges from here to there, or to each of several.

        Raises:
            UsageError: they are not in one flow, or their types do not fit.
        """
        return _chained([self], other, None)

    def __rrshift__(self, other: Sequence[object]) -> End[A_contra, R_co]:
        """Edges from each of several to here.

        Raises:
            UsageError: they are not in one flow, or their types do not fit.
        """
        if not isinstance(other, list | tuple):
            return NotImplemented
        link(_checked(other), [self])
        return self


class Ends:
    """Several ends at once."""

    def __init__(self, ends: Sequence[End[Any, Any]]) -> None:
        self._ends = tuple(ends)

    @overload
    def __rshift__(self, other: End[X, Y]) -> End[X, Y]: ...
    @overload
    def __rshift__(self, other: Sequence[End[Any, Any]]) -> Ends: ...
    def __rshift__(self, other: Any) -> Any:
        """Edges from each of these.

        Raises:
            UsageError: they are not in one flow, or their types do not fit.
        """
        return _chained(self._ends, other, None)


class Branch(Ends):
    """An end whose edges have a condition. What several edges lead to takes parts, so types are compared when it runs."""

    def __init__(self, end: End[Any, Any], condition: str) -> None:
        super().__init__([end])
        self._condition = condition

    def __rshift__(self, other: Any) -> Any:
        """Edges that are taken only where the condition holds.

        Raises:
            UsageError: they are not in one flow, their types do not fit, or the condition is wrong.
        """
        return _chained(self._ends, other, self._condition)


def link(origins: Sequence[End[Any, Any]], targets: Sequence[End[Any, Any]], when: str | None = None, *, loop: bool = False) -> None:
    """Add edges to the flow that all ends are in.

    Raises:
        UsageError: they are not in one flow, or as `Keeper.link` of a flow.
    """
    keeper = origins[0].holder
    if not isinstance(keeper, Keeper) or any(end.holder is not keeper for end in (*origins, *targets)):
        pair = f"{', '.join(end.path for end in origins)} and {', '.join(end.path for end in targets)}"
        raise UsageError(f"{pair} are not in one flow, so there is no edge between them", remedy="define both with @flow.agent()")
    keeper.link(origins, targets, when, loop=loop)


def _chained(origins: Sequence[End[Any, Any]], other: object, when: str | None) -> object:
    if isinstance(other, End):
        link(origins, [other], when)
        return other
    if not isinstance(other, list | tuple):
        return NotImplemented
    targets = _checked(other)
    link(origins, targets, when)
    return Ends(targets)


def _checked(ends: Sequence[object]) -> list[End[Any, Any]]:
    wrong = next((end for end in ends if not isinstance(end, End)), None)
    if wrong is not None or not ends:
        found = "an empty list" if not ends else repr(wrong)[:80]
        raise UsageError(f"an edge leads from an agent to an agent, found {found}")
    return [end for end in ends if isinstance(end, End)]
