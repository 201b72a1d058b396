"""Why something failed, as a text that can be stored, sent and shown, whatever an error says of itself."""

from __future__ import annotations

from edgematrix.errors import EdgeMatrixError

__all__ = ["REASON_LENGTH_MAX", "reason_of", "sayable"]

REASON_LENGTH_MAX = 2_000
"""Characters of a reason; what is beyond is cut, or the word that something failed might be too large to leave its host."""


def reason_of(error: BaseException) -> str:
    """What an error says, with its kind where it is none of ours; not cut yet, for values of secrets may have to go first."""
    try:
        return str(error) if isinstance(error, EdgeMatrixError) else f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - whatever an error's own code does, it has failed
        return f"{type(error).__name__}, which does not say why"


def sayable(reason: str, length_max: int = REASON_LENGTH_MAX) -> str:
    """A reason of at most `length_max` characters and an ellipsis, without half surrogates: these have no UTF-8 form."""
    shown = reason if len(reason) <= length_max else f"{reason[:length_max]}…"
    return shown if shown.isascii() else shown.encode(errors="backslashreplace").decode()
