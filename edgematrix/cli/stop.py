"""Ctrl-C and SIGTERM as something that a command can wait for."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["on_stop"]


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the event loop when the user or the system wants this process to end, or the terminal is closed."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        numbers = [signal.SIGINT, signal.SIGTERM]
        before = [signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means it
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
