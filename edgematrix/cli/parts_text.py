"""Pieces of outputs that agents stream, as running text."""

from __future__ import annotations

from collections import OrderedDict

from edgematrix.cli.console import plain, style
from edgematrix.cli.display import value_text
from edgematrix.cli.sighting import Sighting
from edgematrix.protocol.topic import Kind

__all__ = ["PartsText"]

_OPEN_MAX = 1_000
"""Outputs that are followed at once; the one that was heard of longest ago is forgotten."""


class PartsText:
    """Each output is a paragraph: its name, then its pieces one after the other as they come.

    Where two outputs are streamed at once, each piece of the other begins a line. A gap is told; so is a stream that begins anew.
    """

    def __init__(self) -> None:
        self._sequences: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._line: tuple[str, str] | None = None
        """Of which output the line is that is not ended."""

    def piece(self, seen: Sighting) -> str:
        """What is to be written for a piece. One that came late, or twice, is nothing."""
        stream = (seen.subject, seen.trail.runid)
        sequence = seen.sequence or 0
        before = self._sequences.get(stream)
        if before is not None and 1 < sequence <= before:
            return ""
        notes = ""
        if sequence == 1 and before:
            notes = style("[it begins anew] ", fg="yellow")
        elif sequence > (before or 0) + 1:
            lost = sequence - (before or 0) - 1
            notes = style(f"[{lost} piece{'' if lost == 1 else 's'} missing] ", fg="yellow")
        self._sequences[stream] = sequence
        self._sequences.move_to_end(stream)
        if len(self._sequences) > _OPEN_MAX:
            self._sequences.popitem(last=False)
        head = "" if self._line == stream and not (sequence == 1 and before) else self._begun(stream)
        return head + notes + _text_of(seen.value)

    def whole(self, seen: Sighting) -> str:
        """What is to be written when an output is there as a whole: the end of its line, where it was streamed."""
        stream = (seen.subject, seen.trail.runid)
        if self._sequences.pop(stream, None) is None or self._line != stream:
            return ""
        return self.end()

    def take(self, seen: Sighting) -> str:
        """What is to be written for a message: a piece, or a whole."""
        if seen.kind == Kind.PART:
            return self.piece(seen)
        return self.whole(seen) if seen.kind == Kind.OUT else ""

    def end(self) -> str:
        """What is to be written before anything else is: the end of a line that has begun."""
        begun, self._line = self._line is not None, None
        return "\n" if begun else ""

    def _begun(self, stream: tuple[str, str]) -> str:
        before = self.end()
        self._line = stream
        return f"{before}{style(plain(stream[0]), fg='green')}  "


def _text_of(value: object) -> str:
    """A text as it is, line by line; any other value as JSON."""
    if isinstance(value, str):
        return "\n".join(map(plain, value.split("\n")))
    return f"{value_text(value)} "
