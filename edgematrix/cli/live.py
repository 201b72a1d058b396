"""The live view in a terminal. It draws in a thread of its own, so that a slow terminal slows no agent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Event, Thread

from rich.console import Console
from rich.live import Live

from edgematrix.cli.about import About
from edgematrix.cli.screen import Picture, picture
from edgematrix.cli.tally import Tally
from edgematrix.protocol.duration import SECOND_US

__all__ = ["LiveView"]

_REDRAW_S = 0.3
_STILL_S = 1.0
"""A screen on which nothing happens is drawn this often, for its clock."""
_RATE_WINDOW_S = 60
_END_S = 0.5
_NOTES_MAX = 100


class LiveView:
    """Shows a tally until it is stopped. `about` may be changed meanwhile.

    Args:
        gone: called, in its thread, when the terminal is gone.
        now_us: the time that the host goes by.
    """

    def __init__(self, tally: Tally, about: About, gone: Callable[[], None], now_us: Callable[[], int]) -> None:
        self.observe = tally
        self._tally = tally
        self._gone = gone
        self._about = about
        self._now_us = now_us
        self._console = Console(highlight=False)
        self._notes: deque[str] = deque(maxlen=_NOTES_MAX)
        self._ended = Event()
        self._thread = Thread(target=self._draw_on, name="view", daemon=True)
        self._started_s = time.monotonic()
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=_RATE_WINDOW_S + 1)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def note(self, text: str) -> None:
        """Print a line above the view; it stays."""
        self._notes.append(text)

    def linked(self, text: str) -> None:
        """Show how it stands with the connection."""
        self._about.link = text

    def stop(self) -> None:
        """Draw a last time and give the terminal back."""
        self._ended.set()
        if self._thread.ident is None:
            self._print_notes()
        else:
            self._thread.join(_END_S)

    def _draw_on(self) -> None:
        try:
            self._draw_until_ended()
        except OSError:
            self._gone()

    def _draw_until_ended(self) -> None:
        with Live(
            console=self._console, auto_refresh=False, vertical_overflow="crop", redirect_stdout=False, redirect_stderr=False
        ) as live:
            drawn, drawn_s = -1, 0.0
            while not self._ended.wait(_REDRAW_S if drawn >= 0 else 0):
                happened = self._tally.counts.total()
                now_s = time.monotonic()
                if happened != drawn or self._notes or now_s - drawn_s >= _STILL_S:
                    drawn, drawn_s = happened, now_s
                    self._draw(live, now_s)
            self._draw(live, time.monotonic())

    def _draw(self, live: Live, now_s: float) -> None:
        self._print_notes()
        uptime_us = int((now_s - self._started_s) * SECOND_US)
        live.update(
            picture(Picture(self._tally, self._about, uptime_us, self._now_us(), self._a_minute_ago(now_s), self._console.height)),
            refresh=True,
        )

    def _print_notes(self) -> None:
        while self._notes:
            self._console.print(self._notes.popleft(), markup=False)

    def _a_minute_ago(self, now_s: float) -> dict[str, int]:
        samples = self._samples
        if not samples or now_s - samples[-1][0] >= 1:
            samples.append((now_s, {path: row.fired_count for path, row in self._tally.agents.items()}))
        while len(samples) > 1 and now_s - samples[1][0] >= _RATE_WINDOW_S:
            samples.popleft()
        return samples[0][1] if now_s - samples[0][0] >= _RATE_WINDOW_S else {}
