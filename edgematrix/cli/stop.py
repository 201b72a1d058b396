"""Ctrl-C and SIGTERM as something that a command can wait for."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["on_stop"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the event loop when the user or the system wants this process to end."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        before = [signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop)) for number in _SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(_SIGNALS, before, strict=True):
                signal.signal(number, handler)
        return
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
