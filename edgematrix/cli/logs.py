"""The library's log lines, for people: only the command line says where they go."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgematrix.cli.console import complain, style

__all__ = ["show_logs"]

_COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class _Lines(logging.Handler):
    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; an exception's traceback is told where there is one, for it is a fault of the program."""
        head = style(f"{record.levelname.lower()}:", fg=_COLOURS.get(record.levelno, "yellow"))
        self._show(f"{head} {self.format(record)}")


def show_logs(show: Callable[[str], None] = complain) -> None:
    """Let warnings and errors of the library go to `show`. The transport's word on outages is left out: its owner gives it."""
    library = logging.getLogger("edgematrix")
    library.handlers = [_Lines(show)]
    library.propagate = False
    logging.getLogger("edgematrix.transport").setLevel(logging.ERROR)
