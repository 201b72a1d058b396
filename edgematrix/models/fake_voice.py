"""A voice that hears what it was told to: for scenarios about what follows from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.voice_wire import Noticed, Sound, Sounded

__all__ = ["FakeVoice"]


class _Heard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a script."""

    text: str | None = None
    confidence: float = 1.0
    unheard: str | None = None
    error: str | None = None


class FakeVoice:
    """Hears the next text of a script in each frame, whatever is in it, and nothing once there is none left.

    Args:
        name: of the agent, for errors.
        script: texts, `{text, confidence}`, `{unheard: why}` or `{error: why}`.
        wake: the word that is noticed before each; empty for none.

    Raises:
        ModelError: an answer is none of these.
    """

    def __init__(self, name: str, script: Sequence[object], wake: str) -> None:
        self._left = deque(_read(name, number, given) for number, given in enumerate(script, 1))
        self._wake = wake

    def listen(self, sound: Sound, timeout_s: float) -> Sounded:  # noqa: ARG002 - it hears nothing by itself
        """The next answer.

        Raises:
            ModelError: the script says so.
        """
        if not self._left or sound.button >= 0:
            return Sounded()
        heard = self._left.popleft()
        if heard.error is not None:
            raise ModelError(heard.error)
        woken = [Noticed("wake", self._wake)] if self._wake else []
        if heard.text is None:
            return Sounded([*woken, Noticed("unheard", heard.unheard or "nothing was heard")])
        return Sounded([*woken, Noticed("text", heard.text, heard.confidence)])

    def close(self) -> None:
        """It holds nothing."""


def _read(name: str, number: int, given: object) -> _Heard:
    if isinstance(given, str):
        return _Heard(given)
    try:
        heard = msgspec.convert(given, _Heard)
    except msgspec.ValidationError as problem:
        raise ModelError(f"answer {number} for {name}: {problem}", remedy=_REMEDY) from None
    if [heard.text, heard.unheard, heard.error].count(None) != 2:  # noqa: PLR2004 - one of three
        raise ModelError(f"answer {number} for {name} has a text, or `unheard`, or an `error`, one of them", remedy=_REMEDY)
    return heard


_REMEDY = "a text, {text: …, confidence: 0.9}, {unheard: …} or {error: …}"
