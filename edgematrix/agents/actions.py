"""A run of a plan as a step machine: no clock, no I/O; it can be stored between any two advances."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import msgspec

from edgematrix.agents.effect import Call, Effect, Emit, Publish, Send
from edgematrix.agents.place import placed
from edgematrix.agents.plan import RESULT, Plan
from edgematrix.agents.step import Delay, Step, Stop
from edgematrix.errors import EdgeMatrixError, RunError, StateError
from edgematrix.expression import Scope, Timestamp

__all__ = ["ActionRun", "Answer", "Awaiting", "Done", "Failed", "Pause", "Plan", "Waiting"]

_VERSION = 1
_EXT_TIMESTAMP, _EXT_WHOLE = 1, 2


class Done(msgspec.Struct, frozen=True):
    """The run is over. `stopped_at` is the `stop` that ended it, as in `do.1.stop`; empty if it came to its end."""

    stopped_at: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """Advance again at `until_us`."""

    until_us: int


class Awaiting(msgspec.Struct, frozen=True):
    """Advance again with the answer to the call, or without one at `until_us`: then the run fails."""

    until_us: int


class Failed(msgspec.Struct, frozen=True):
    """The run is over by an error; its `where` says which action."""

    error: EdgeMatrixError


Pause: TypeAlias = Done | Waiting | Awaiting | Failed


class Answer(msgspec.Struct, frozen=True):
    """The answer to a call; `error` says why there is none."""

    value: object = None
    error: str = ""


class ActionRun:
    """One run: a position in a plan, and the scope that its firing froze.

    Args:
        plan: what to do.
        scope: what its expressions see; it is read only.
        done: actions that have been carried out already, by their numbers; they stand at its beginning.
    """

    __slots__ = ("_done", "_pause", "_plan", "_position", "_scope")

    def __init__(self, plan: Plan, scope: Scope, done: Collection[int] = ()) -> None:
        self._done = done
        self._plan = plan
        self._scope: dict[str, object] = dict(scope)
        if plan.calls:
            self._scope.setdefault(RESULT, None)
        self._position = 0
        self._pause: Pause | None = None

    def advance(self, now_us: int, answer: Answer | None = None, *, wall_us: int | None = None) -> tuple[list[Effect], Pause]:
        """Go on until the next pause.

        Args:
            now_us: the host's timeline.
            answer: the answer to the call that the run awaits.
            wall_us: what expressions see as `now`; the timeline where it is not given.

        Returns:
            What to carry out, in order, also where the run then fails; and why it went no further. Before its time,
            or once it is over, a run gives no effects and the pause that it is in.
        """
        if not self._resume(now_us, answer):
            return [], self._pause or Done()
        self._scope["now"] = Timestamp(now_us if wall_us is None else wall_us)
        effects: list[Effect] = []
        self._pause = None
        steps = self._plan.steps
        while self._pause is None:
            if self._position == len(steps):
                self._pause = Done()
                break
            step = steps[self._position]
            self._position += 1
            if self._done and step.number in self._done:
                continue
            try:
                self._pause = self._take(step, effects, now_us)
            except EdgeMatrixError as error:
                self._pause = Failed(placed(error, step.place))
        return effects, self._pause

    def dump(self) -> bytes:
        """The run as bytes (MessagePack) that `load` reads.

        Raises:
            StateError: it is over by an error, or the scope holds what cannot be stored.
        """
        pause = self._pause
        if isinstance(pause, Failed):
            raise StateError("a failed run has nothing to go on with")
        until_us = pause.until_us if isinstance(pause, (Waiting, Awaiting)) else None
        kind = "" if pause is None else type(pause).__name__.lower()
        stopped_at = pause.stopped_at if isinstance(pause, Done) else ""
        state = (_VERSION, self._plan.mark, self._position, kind, until_us, stopped_at, self._scope)
        try:
            return _encode(state)
        except OverflowError:
            return _encode(_with_wide_numbers(state))
        except (TypeError, ValueError, RecursionError) as error:
            raise StateError(f"the run cannot be stored: {error}") from None

    @classmethod
    def load(cls, plan: Plan, data: bytes) -> ActionRun:
        """The run that `dump` wrote.

        Raises:
            StateError: it is damaged, of an unknown version, or of another plan.
        """
        try:
            version, mark, position, kind, until_us, stopped_at, scope = _decode(data)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise StateError(f"the stored run is damaged: {error}") from None
        if version != _VERSION:
            raise StateError(f"the stored run is of version {version!r}, expected {_VERSION}")
        if mark != plan.mark:
            raise StateError("the stored run is of another definition", remedy="runs end when their agent's actions are changed")
        if type(position) is not int or not 0 <= position <= len(plan.steps) or type(scope) is not dict:
            raise StateError("the stored run is damaged")
        run = cls(plan, scope)
        run._position = position
        run._pause = _pause_of(kind, until_us, stopped_at)
        return run

    def _resume(self, now_us: int, answer: Answer | None) -> bool:
        """Whether the run may go on."""
        pause = self._pause
        if isinstance(pause, (Done, Failed)):
            return False
        if isinstance(pause, Waiting):
            return now_us >= pause.until_us
        if not isinstance(pause, Awaiting):
            return True
        step = self._plan.steps[self._position - 1]
        if answer is not None and not answer.error:
            self._scope[RESULT] = answer.value
            return True
        if answer is not None:
            self._pause = Failed(RunError(f"the call failed: {answer.error}", where=step.place))
        elif now_us >= pause.until_us:
            self._pause = Failed(RunError("the call was not answered in time", where=step.place))
        return False

    def _take(self, step: Step, effects: list[Effect], now_us: int) -> Pause | None:
        if step.when is not None and not step.when.holds(self._scope):
            return None
        outcome = step.act(self._scope)
        if type(outcome) is list:
            if step.number in self._plan.of_answers:
                for effect in outcome:
                    if isinstance(effect, (Publish, Emit, Send, Call)):
                        effect.of_request = False
            effects.extend(outcome)
            return Awaiting(now_us + outcome[0].timeout_us) if step.calls else None  # type: ignore[union-attr]  # a call gives one Call
        if isinstance(outcome, Delay):
            return Waiting(now_us + outcome.length_us)
        return Done(step.place) if isinstance(outcome, Stop) else None


def _pause_of(kind: object, until_us: object, stopped_at: object) -> Pause | None:
    if kind == "":
        return None
    if kind == "done" and type(stopped_at) is str:
        return Done(stopped_at)
    if type(until_us) is int and kind in ("waiting", "awaiting"):
        return Waiting(until_us) if kind == "waiting" else Awaiting(until_us)
    raise StateError("the stored run is damaged")


def _extend(value: Any) -> Any:
    if type(value) is Timestamp:
        return msgspec.msgpack.Ext(_EXT_TIMESTAMP, str(int(value)).encode())
    raise TypeError(f"{type(value).__name__} has no stored form")


def _read_extension(code: int, data: memoryview) -> object:
    if code == _EXT_TIMESTAMP:
        return Timestamp(bytes(data))
    if code == _EXT_WHOLE:
        return int(bytes(data), 16)
    raise ValueError(f"unknown extension {code}")


def _with_wide_numbers(value: Any) -> Any:
    """The value with each whole number beyond 64 bits as an extension."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_EXT_WHOLE, f"{value:x}".encode())
    if isinstance(value, dict):
        return {key: _with_wide_numbers(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_wide_numbers(part) for part in value]
    return value


_encode = msgspec.msgpack.Encoder(enc_hook=_extend).encode
_decode = msgspec.msgpack.Decoder(ext_hook=_read_extension).decode
