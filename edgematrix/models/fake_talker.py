"""A language model that says what it was told to: for tests and simulations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.halt import Halt
from edgematrix.models.talk import Reply, Saying, Talk, ToolCall

__all__ = ["FakeTalker"]

_ANSWERS: Final = frozenset({"wait", "answer", "error", "tool"})
_SCRIPTED: Final = _ANSWERS | {"arguments", "confidence"}


class FakeTalker:
    """Gives the answers of a script, one for each question.

    An answer is a text, a value that stands for its JSON, `{"tool": name, "arguments": {…}}`, or `{"error": why}`. With `wait`, in
    seconds, beside `tool`, `error` or `answer`, it takes so long; with `confidence` it is so sure.

    Args:
        script: the answers.
        over: what it says once they are over.
    """

    def __init__(self, script: Sequence[Any], over: str = "") -> None:
        self._script = iter(tuple(script))
        self._over = over
        self._lock = threading.Lock()
        self._count = 0

    @property
    def trouble(self) -> str:
        """It has none."""
        return ""

    def talk(self, talk: Talk, timeout_s: float, *, heard: Callable[[Saying], None] | None = None, halt: Halt | None = None) -> Reply:
        """Say what comes next in the script.

        Raises:
            ModelError: the script is over, says so, or it was stopped.
        """
        with self._lock:
            self._count += 1
            number = self._count
            said = next(self._script, None)
        if said is None:
            raise ModelError(self._over or f"the script of the fake model is over after {number - 1} answers")
        confidence: float | None = None
        if isinstance(said, dict) and said.keys() <= _SCRIPTED and said.keys() & _ANSWERS:
            self._wait(float(said.get("wait", 0)), timeout_s, halt)
            confidence = None if "confidence" not in said else float(said["confidence"])
            if "error" in said:
                raise ModelError(str(said["error"]))
            if "tool" in said:
                call = ToolCall(f"call-{number}", str(said["tool"]), dict(said.get("arguments") or {}))
                return Reply("", (call,), 1, confidence=confidence)
            said = said.get("answer", "")
        text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
        words = text.split(" ")
        if heard is not None and talk.streams:
            for index, word in enumerate(words):
                heard(Saying(word if index == 0 else f" {word}"))
        return Reply(text, tokens=len(words), confidence=confidence)

    def close(self) -> None:
        """It holds nothing."""

    def _wait(self, wait_s: float, timeout_s: float, halt: Halt | None) -> None:
        """Take so long, if nobody stops it."""
        if not wait_s:
            return
        stopped = threading.Event()
        if halt is not None:
            halt.attach(stopped.set)
            if halt.is_wanted:
                stopped.set()
        if stopped.wait(min(wait_s, timeout_s)):
            raise ModelError("the fake model was stopped")
        if wait_s > timeout_s:
            raise ModelError(f"the fake model did not answer within {timeout_s:g} s")
