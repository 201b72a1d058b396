"""A pool: replicas of one agent behind one path (docs/spec/matrix.md, "What an agent can be")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial

from edgematrix.composition.finding import Finding, compiled
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.places import Places
from edgematrix.composition.pool_course import PoolCourse
from edgematrix.composition.spec import PoolSpec
from edgematrix.errors import ExpressionError

__all__ = ["Pool", "check_pool", "replica_names"]


def replica_names(name: str, replicas: int) -> tuple[str, ...]:
    """What the replicas of the agent `name` are called: `name-1` … `name-N`."""
    return tuple(f"{name}-{number}" for number in range(1, replicas + 1))


class Pool:
    """A compiled pool. Its courses share the places of its replicas.

    Whoever drives the courses tells `gone` before it tells them that their work failed by it, and tells `Go` to the
    courses of the runs that `gone`, `back` and the `close` of a course return.
    """

    __slots__ = ("_key", "places")

    def __init__(self, places: Places, key: Judgement | None) -> None:
        self.places = places
        self._key = key

    @classmethod
    def compile(cls, spec: PoolSpec, members: Sequence[str], fields: Collection[str] | None = None) -> Pool:
        """Compile a pool of the replicas `members`; `fields` are those of its request, None where they are not known.

        Raises:
            ExpressionError: `key` is wrong; `where` is `key`, then `line:column` in it.
        """
        try:
            key = None if spec.key is None else Judgement.compile(spec.key, fields)
        except ExpressionError as error:
            raise ExpressionError(error.what, where=f"key {error.where}", remedy=error.remedy) from None
        return cls(Places(members, spec.busy_max, spec.waiting_max), key)

    def course(self, runid: str) -> PoolCourse:
        """A course for a run."""
        return PoolCourse(self.places, self._key, runid)

    def streamed(self, member: str, port: str) -> str:  # noqa: ARG002 - whichever got the request
        """What the member streams is streamed on the port of that name."""
        return port

    def gone(self, member: str) -> tuple[str, ...]:
        """A replica is not there any more; the runs that may begin elsewhere.

        Raises:
            UsageError: it is none of this pool.
        """
        return self.places.gone(member)

    def back(self, member: str) -> tuple[str, ...]:
        """A replica is there again; the runs that may begin.

        Raises:
            UsageError: it is none of this pool.
        """
        return self.places.back(member)

    def level(self) -> tuple[str, ...]:
        """Give places that are free to runs that wait, as there may be after a restart; the runs that may begin."""
        return self.places.level()


def check_pool(spec: PoolSpec, children: Collection[str], fields: Collection[str] | None = None) -> Iterator[Finding]:
    """What is wrong with a pool over the agents `children` and a request with these fields (None: not known)."""
    if not children:
        yield Finding(("pool",), "a pool has one agent below, whose replicas it makes; found none", "define it under `agents:`")
    elif len(children) > 1:
        found = ", ".join(sorted(children))
        yield Finding(("agents",), f"a pool has exactly one agent below, whose replicas it makes; found {found}", "give each its own pool")
    if spec.key is not None:
        yield from compiled(partial(Judgement.compile, spec.key, fields), ("pool", "key"))
