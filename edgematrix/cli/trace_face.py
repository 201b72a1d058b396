"""Where traces are shown: lines for people, or for programs. A terminal that follows has a board (`trace_board`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edgematrix.cli.console import complain, say, style
from edgematrix.cli.trace_line import Told, json_line, repeated, text_line

__all__ = ["JsonFace", "LinesFace", "TraceFace"]


class TraceFace(Protocol):
    """Shows what happened before, then what happens.

    Its methods raise OSError where nobody reads any more.
    """

    def begin(self, happened: Sequence[Told], matches: Sequence[Told]) -> None:
        """Show what happened before, oldest first, and what the groups wait for."""

    def happens(self, told: Told) -> None:
        """Show one thing more."""

    def end(self) -> None:
        """Show nothing any more."""


class JsonFace:
    """One JSON object a line."""

    def begin(self, happened: Sequence[Told], matches: Sequence[Told]) -> None:
        """Show what happened before."""
        for told in (*happened, *matches):
            say(json_line(told))

    def happens(self, told: Told) -> None:
        """Show one thing more."""
        say(json_line(told))

    def end(self) -> None:
        """Nothing is left to do."""


class LinesFace:
    """Lines for people."""

    def begin(self, happened: Sequence[Told], matches: Sequence[Told]) -> None:
        """Show what happened before, what is the same several times in a row once."""
        for told, times in repeated(happened):
            say(text_line(told, times))
        if not happened:
            complain(style("nothing has happened here since the host began", dim=True))
        for told in matches:
            say(text_line(told))

    def happens(self, told: Told) -> None:
        """Show one thing more, unless time alone has changed it: a line a second about a window that runs down is no news."""
        if told.get("by") != "time":
            say(text_line(told))

    def end(self) -> None:
        """Nothing is left to do."""
