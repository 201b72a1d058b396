"""Files written to a MicroPython board over its serial line, by mpremote."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgematrix.errors import BusError, UsageError

__all__ = ["write_files"]

_CHUNK_BYTES = 256
"""What a board with 16 KiB of memory can still compile."""
_WAIT_S = 120
_SAID_CHARACTERS_MAX = 300
_CHECK = """
def check(name):
    total = length = 0
    with open(name, "rb") as file:
        while True:
            data = file.read(64)
            if not data:
                break
            length += len(data)
            for byte in data:
                total = (total * 31 + byte) % 65521
    print("edgematrix", name, length, total)
check({name!r})
"""


def write_files(line: str, files: Mapping[str, bytes]) -> None:
    """Write files into a board's flash, and read each back.

    It goes by the board's REPL, a piece at a time, so it needs neither much memory nor a file system with folders. The pieces are
    in a folder that nobody else may read meanwhile, for there are secrets among them.

    Args:
        line: `/dev/ttyACM0`, `COM3`, or what else mpremote takes, such as `socket://host:port`.
        files: by their names on the board.

    Raises:
        UsageError: mpremote is not installed.
        BusError: the board does not answer, refuses to write, or has something else in the file than was written.
    """
    if importlib.util.find_spec("mpremote") is None:
        raise UsageError("mpremote is not installed", remedy="pip install 'edgematrix[board]'")
    with tempfile.TemporaryDirectory(prefix="edgematrix-") as folder:
        words = [sys.executable, "-m", "mpremote", "connect", line]
        for number, program in enumerate(_programs(files)):
            piece = Path(folder) / f"{number}.py"
            piece.write_text(program, encoding="ascii")
            words += ["run", str(piece)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=False)  # noqa: S603 - words of ours
        except subprocess.TimeoutExpired:
            raise BusError(f"the board does not answer within {_WAIT_S} s", where=line) from None
    told = done.stdout + done.stderr
    if done.returncode:
        raise BusError(f"the board cannot be written to: {_last(told)}", where=line, remedy="is it MicroPython, and the line free?")
    for name, data in files.items():
        if f"edgematrix {name} {len(data)} {_total(data)}" not in told:
            raise BusError(f"the board has something else in {name} than was written", where=line, remedy="is its flash full?")


def _programs(files: Mapping[str, bytes]) -> Iterator[str]:
    for name, data in files.items():
        for start in range(0, max(1, len(data)), _CHUNK_BYTES):
            opening = "" if start else f"file = open({name!r}, 'wb')\n"
            yield f"{opening}file.write({data[start : start + _CHUNK_BYTES]!r})\n"
        yield "file.close()\n"
        yield _CHECK.format(name=name)


def _total(data: bytes) -> int:
    total = 0
    for byte in data:
        total = (total * 31 + byte) % 65_521
    return total


def _last(told: str) -> str:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1][:_SAID_CHARACTERS_MAX] if lines else "it said nothing"
