"""The partial matches of a moment at the foot of a terminal, below what has happened."""

from __future__ import annotations

from collections import OrderedDict

from rich.console import Console
from rich.live import Live
from rich.text import Text

from edgematrix.cli.console import plain
from edgematrix.cli.trace_line import Told, match_name

__all__ = ["MatchBoard"]

_ROWS_MAX = 20
_KEPT_MAX = 500
_NAME_WIDTH = 36


class MatchBoard:
    """Lines scroll above, the matches stay below.

    A terminal that is not high shows those that changed last.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._matches: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop", redirect_stdout=False)

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Take the board away; the lines above stay."""
        self._live.stop()

    def line(self, text: str) -> None:
        """Write a line above; it may hold colours."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def match(self, told: Told) -> None:
        """Show how far a group is."""
        name = (plain(str(told.get("path"))), plain(match_name(told)))
        self._matches[name] = plain(str(told.get("text")))
        self._matches.move_to_end(name)
        if len(self._matches) > _KEPT_MAX:
            self._matches.popitem(last=False)

    def draw(self) -> None:
        """Show the board as it is now."""
        self._live.update(self.picture(), refresh=True)

    def picture(self) -> Text:
        """The board: a line for each match, in order of names."""
        room = max(1, min(_ROWS_MAX, self._console.height // 2))
        newest = list(self._matches)[-room:]
        rows = [Text("waiting for", style="dim")] if newest else []
        for path, group in sorted(newest):
            row = Text.assemble((f"{path} ", "dim"), (group, "bold"))
            row.pad_right(max(0, _NAME_WIDTH - row.cell_len))
            rows.append(row.append("  ").append(self._matches[path, group]))
        if len(self._matches) > room:
            rows.append(Text(f"and {len(self._matches) - room} more", style="dim"))
        for row in rows:
            row.no_wrap = True
            row.truncate(max(20, self._console.width - 1), overflow="ellipsis")
        return Text("\n").join(rows)
