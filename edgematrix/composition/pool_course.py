"""One request on its way through a pool."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from edgematrix.composition.course import Done, Effect, Emit, Event, Fail, Failed, Finish, Go, Invoke, Note, Wake
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.places import Places
from edgematrix.composition.request import passed_on, request_of
from edgematrix.errors import ExpressionError, QueueFullError, StateError, UsageError
from edgematrix.expression import written

__all__ = ["PoolCourse"]

_WANTED: Final = frozenset({"out"})
_KEY_LENGTH_MAX: Final = 128
_HASH_BYTES: Final = 32
_MOVES_LEAST: Final = 30
"""How often work is moved at least before it is held to be what its replicas die of; hosts that come and go are no fault of it."""


class PoolCourse:
    """It has a place of a replica, or waits for one; a replica that dies under its work is left for another."""

    __slots__ = ("_judgement", "_key", "_member", "_moves", "_over", "_places", "_request", "_runid", "_step")

    def __init__(self, places: Places, judgement: Judgement | None, runid: str) -> None:
        self._places = places
        self._judgement = judgement
        self._runid = runid
        self._request: tuple[tuple[str, object], ...] = ()
        self._key: str | None = None
        self._member = ""
        self._step = 0
        self._moves = 0
        self._over = False

    @property
    def deadline_us(self) -> int | None:
        """Never: the agent has a deadline of its own."""
        return None

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it takes time
        """Give the request to a replica, or wait."""
        self._request = passed_on(inputs)
        try:
            self._key = None if self._judgement is None else _key_of(self._judgement, request_of(inputs))
            member = self._places.enter(self._runid, self._key)
        except ExpressionError as error:
            return self._fail(f"its replica cannot be told: {error}")
        except QueueFullError as error:
            return self._fail(error.what)
        return self._invoke(member) if member else [Note(f"it waits for {self._awaited()}")]

    def take(self, event: Event, now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it takes time
        """Take that there may be a place, or how the replica's work ended."""
        if self._over:
            return []
        if isinstance(event, Go):
            member = "" if self._member else self._places.collect(self._runid)
            return self._invoke(member) if member else []
        if not isinstance(event, (Done, Failed)) or event.step != self._step or not self._member:
            return []
        if isinstance(event, Failed):
            return self._move(event) if event.gone else self._fail(event.reason, self._member)
        self._over = True
        said: list[Effect] = [Emit(port, value) for port, value in event.outputs.items()]
        return [*(said or [Note(f"`{self._member}` returned nothing")]), Finish()]

    def standing(self) -> tuple[object, ...]:
        """Its step, the replica that works on it, how often it was moved, its key, and its place among those that wait."""
        return (self._step, self._member, self._moves, self._key, None if self._member else self._places.rank(self._runid))

    def stand(self, inputs: Mapping[str, object], standing: Sequence[object]) -> dict[int, str]:
        """Have its place again, or wait for one where it waited.

        Raises:
            StateError: this is no standing of such a course.
        """
        self._request = passed_on(inputs)
        try:
            step, member, moves, key, rank = standing
        except ValueError:
            raise StateError(f"where it stood has {len(standing)} parts, expected 5") from None
        if not (isinstance(step, int) and isinstance(member, str) and isinstance(moves, int) and (key is None or isinstance(key, str))):
            raise StateError("where it stood is damaged")
        self._step, self._moves, self._key = step, moves, key
        if not member:
            if not isinstance(rank, int):
                raise StateError("its place among those that wait is damaged")
            self._places.queue(self._runid, key, rank)
            return {}
        try:
            self._places.hold(self._runid, key, member)
        except UsageError:
            return {}  # there are fewer replicas now
        self._member = member
        return {step: member}

    def waits_for(self) -> str:
        """What it waits for."""
        if self._over:
            return "nothing, it is over"
        return f"`{self._member}`, which has its request" if self._member else self._awaited()

    def close(self) -> tuple[str, ...]:
        """Give its place back; the runs that get one by that."""
        self._over = True
        return self._places.leave(self._runid)

    # Inside

    def _invoke(self, member: str) -> list[Effect]:
        self._member = member
        self._step += 1
        return [Invoke(self._step, member, self._request, _WANTED)]

    def _move(self, event: Failed) -> list[Effect]:
        """Give the work to another replica, after a replica was lost; not for ever."""
        left, self._member = self._member, ""
        self._moves += 1
        if self._moves > max(len(self._places.members), _MOVES_LEAST):
            return self._fail(f"{self._moves} replicas in turn were gone with its work, at last: {event.reason}", left)
        ready = self._places.move(self._runid, self._key)
        others = tuple(runid for runid in ready if runid != self._runid)
        effects: list[Effect] = [Wake(others)] if others else []
        member = self._places.collect(self._runid)
        if member:
            return [Note(f"`{left}` is gone ({event.reason}), so `{member}` gets its work"), *effects, *self._invoke(member)]
        return [Note(f"`{left}` is gone ({event.reason}), so it waits for {self._awaited()}"), *effects]

    def _fail(self, reason: str, member: str = "") -> list[Effect]:
        self._over = True
        return [Fail(reason, member)]

    def _awaited(self) -> str:
        places = self._places
        if not places.alive:
            return f"a replica to come back, as all {len(places.members)} are gone"
        waiting = places.waiting
        if self._runid not in waiting:
            return "its turn, as a replica is free for it"
        what = "a free replica" if self._key is None else "a free replica for its key"
        return f"{what}, at place {waiting.index(self._runid) + 1} of {len(waiting)}"


def _key_of(judgement: Judgement, request: object) -> str | None:
    """The key of a request; None where it has none, and any replica will do."""
    found = judgement.evaluate(request)
    if found is None:
        return None
    if not isinstance(found, (str, int, float)):
        raise ExpressionError(f"`key` gave {type(found).__name__}, expected a text, a number or a flag")
    text = written(found)
    if len(text) <= _KEY_LENGTH_MAX:
        return text
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).hexdigest()
