"""Traces in a terminal: lines that scroll, and at its foot how near each group is to firing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edgematrix.cli.match_board import MatchBoard
from edgematrix.cli.trace_line import Told, repeated, text_line

__all__ = ["BoardFace"]

_DRAW_S = 0.1


class BoardFace:
    """Lines that scroll, and the matches below them.

    Args:
        gone: called when the terminal is gone.
    """

    def __init__(self, gone: Callable[[OSError], None], board: MatchBoard | None = None) -> None:
        self._gone = gone
        self._board = board or MatchBoard()
        self._drawing: asyncio.TimerHandle | None = None

    def begin(self, happened: Sequence[Told], matches: Sequence[Told]) -> None:
        """Show what happened before, and the board."""
        self._board.start()
        for told, times in repeated(happened):
            self._board.line(text_line(told, times))
        for told in matches:
            self._board.match(told)
        self._board.draw()

    def happens(self, told: Told) -> None:
        """Show one thing more; the board is drawn a moment later, once for all that comes at once."""
        if told.get("kind") == "match":
            self._board.match(told)
        else:
            self._board.line(text_line(told))
        self._drawing = self._drawing or asyncio.get_running_loop().call_later(_DRAW_S, self._draw)

    def end(self) -> None:
        """Take the board away."""
        if self._drawing is not None:
            self._drawing.cancel()
        self._board.stop()

    def _draw(self) -> None:
        self._drawing = None
        try:
            self._board.draw()
        except OSError as error:
            self._gone(error)
