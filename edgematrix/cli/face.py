"""What a running host shows, and where: a live view, lines for people, or lines for programs."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from datetime import tzinfo
from threading import Event, Thread
from typing import Protocol

from edgematrix.cli.console import plain, style, wants_colour
from edgematrix.cli.display import clock_time, json_text
from edgematrix.cli.log_line import json_line, text_line
from edgematrix.protocol.moment import format_moment
from edgematrix.runtime.observation import Observation

__all__ = ["Face", "JsonLines", "TextLines"]

_WAITING_MAX = 20_000
"""Observations that wait to be written; beyond it they are counted, for no host waits for whoever reads its lines."""
_END_S = 0.5


class Face(Protocol):
    """Where a run shows what happens. `observe` is called for each hop of each message."""

    def start(self) -> None:
        """Begin to show."""

    def stop(self) -> None:
        """Show what is left, and end."""

    def observe(self, observation: Observation) -> None:
        """Take an observation; costs next to nothing."""

    def note(self, text: str) -> None:
        """Show a sentence."""

    def linked(self, text: str) -> None:
        """Show that the connection came or went."""


class _Lines:
    """Writes lines in a thread of its own: a pipe that nobody reads must not stop the host.

    Args:
        gone: called, in that thread, when standard output is closed.
        now_us: the time that the host goes by.
    """

    def __init__(self, gone: Callable[[], None], now_us: Callable[[], int]) -> None:
        self._gone = gone
        self._now_us = now_us
        self._waiting: deque[Observation | str] = deque()
        self._left_out = 0
        self._wake = Event()
        self._ended = False
        self._thread = Thread(target=self._write_on, name="lines", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._ended = True
        self._wake.set()
        if self._thread.ident is None:
            self._write_on()
        else:
            self._thread.join(_END_S)

    def observe(self, observation: Observation) -> None:
        """Queue one."""
        if len(self._waiting) >= _WAITING_MAX:
            self._left_out += 1
            return
        self._waiting.append(observation)
        if not self._wake.is_set():
            self._wake.set()

    def note(self, text: str) -> None:
        """Queue a sentence."""
        self._waiting.append(self._sentence(text, self._now_us()))
        self._wake.set()

    def linked(self, text: str) -> None:
        """Queue what became of the connection."""
        self.note(text)

    def _sentence(self, text: str, at_us: int) -> str:
        raise NotImplementedError

    def _line(self, observation: Observation) -> str | None:
        raise NotImplementedError

    def _write_on(self) -> None:
        try:
            while not self._ended or self._waiting:
                self._wake.wait()
                self._wake.clear()
                self._write()
        except OSError:
            self._gone()

    def _write(self) -> None:
        lines: list[str] = []
        while self._waiting:
            waiting = self._waiting.popleft()
            line = waiting if isinstance(waiting, str) else self._line(waiting)
            if line is not None:
                lines.append(line)
        if self._left_out:
            count, self._left_out = self._left_out, 0
            lines.append(self._sentence(f"{count:,} lines are left out: whoever reads them is too slow", self._now_us()))
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()


class TextLines(_Lines):
    """Lines for people."""

    def __init__(self, gone: Callable[[], None], now_us: Callable[[], int], zone: tzinfo) -> None:
        super().__init__(gone, now_us)
        self._zone = zone
        self._colour = wants_colour(sys.stdout)

    def _sentence(self, text: str, at_us: int) -> str:
        moment = clock_time(at_us, self._zone)
        return f"{style(moment, dim=True) if self._colour else moment}  {plain(text)}"

    def _line(self, observation: Observation) -> str | None:
        return text_line(observation, colour=self._colour, zone=self._zone)


class JsonLines(_Lines):
    """One JSON object a line."""

    def _sentence(self, text: str, at_us: int) -> str:
        return json_text({"time": format_moment(at_us), "kind": "note", "text": text})

    def _line(self, observation: Observation) -> str | None:
        return json_line(observation)
