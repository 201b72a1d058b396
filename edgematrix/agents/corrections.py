"""Somebody who takes back what he said: "the kitchen light off, no wait, the hall light"."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["corrected"]

_BREAK: Final = r"[,;:.!?\u2013\u2014-]"
_HESITATION: Final = r"(?:(?:oh|er|erm|um|uh|ah|oops|ooh|hmm|wait|hang on|hold on|actually|well)\b\s*,?\s*)*"
_MARK: Final = (
    r"no,? (?:wait|sorry|no|hang on|hold on|actually|i mean|rather|not that(?: one)?|make (?:it|that))|"
    rf"no(?=\s*(?:{_BREAK}|$))|wait,? no|sorry|"
    r"scratch that|strike that|correction|i mean(?:t)?|or rather|make that|actually,? (?:no|make (?:it|that))|actually not"
)
_PLAIN_MARK: Final = r"no wait|no sorry|wait no|or rather|scratch that|strike that|i mean(?= (?:the|my|our)\b)"
_TAKEN_BACK: Final = re.compile(
    rf"(?:\s*{_BREAK}+\s*{_HESITATION}(?:{_MARK})|\s+(?:{_PLAIN_MARK}))"
    rf"(?![\w'])[\s,;:.!?\u2013\u2014-]*",
    re.IGNORECASE,
)
"""What stands between what is taken back and what is meant."""
_NOTHING: Final = " ,;:.!?\u2013\u2014-"


def corrected(text: str) -> tuple[str, str]:
    """What was taken back, and what is meant; of a text in which nothing was, nothing and all of it.

    Of several corrections the last one counts. What is meant may leave out what was said before, or be nothing at all.
    """
    found = [match for match in _TAKEN_BACK.finditer(text) if text[: match.start()].strip(_NOTHING)]
    if not found:
        return "", text
    if found[-1].group().strip(_NOTHING).casefold() == "sorry" and not text[found[-1].end() :].strip(_NOTHING):
        return "", text  # who only says that he is sorry takes nothing back
    return text[: found[-1].start()], text[found[-1].end() :]
