"""Writes what is heard as a recording, while it is heard."""

from __future__ import annotations

from collections import Counter
from io import FileIO

from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.codec import decode_value
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.topic import check_topic
from edgematrix.testing.recording import LINE_BYTES_MAX, Recorded, format_line

__all__ = ["Recorder"]

_LIMITS = Limits()
_REASONS_MAX = 100
_TOPICS_MAX = 100_000


class Recorder:
    """Adds lines to a file. Each goes out in one write, so that it is there whole or not at all, whatever ends the process.

    What no recording can hold (and no host would take: a payload that is too large or too deep) is left out and counted.

    Args:
        file: where the lines go; unbuffered.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._last_us = 0
        self.count = 0
        self.topics: set[str] = set()
        """On which something came, up to a hundred thousand."""
        self.left_out: Counter[str] = Counter()

    def take(self, at_us: int, topic: str, payload: bytes, *, retain: bool, qos: int) -> bool:
        """Write one message; False if it is left out.

        Args:
            at_us: microseconds from the start. One that goes back is written as that of the message before.
            topic: where it came.
            payload: its bytes.
            retain: the flag as delivered.
            qos: 0 or 1.

        Raises:
            OSError: it cannot be written; the file ends with the line before.
        """
        self._last_us = at_us = max(at_us, self._last_us)
        try:
            check_topic(topic, _LIMITS.topic_bytes_max)
            line = format_line(Recorded(at_us, topic, decode_value(payload, _LIMITS), retain, qos)).encode()
            if len(line) >= LINE_BYTES_MAX:  # text that JSON has to escape sixfold
                line = format_line(Recorded(at_us, topic, payload, retain, qos)).encode()
        except EdgeMatrixError as error:
            self.left_out[error.what if len(self.left_out) < _REASONS_MAX else "for other reasons"] += 1
            return False
        self._write(line + b"\n")
        self.count += 1
        if len(self.topics) < _TOPICS_MAX:
            self.topics.add(topic)
        return True

    def _write(self, line: bytes) -> None:
        written = self._file.write(line) or 0
        if written == len(line):
            return
        if self._file.seekable():
            self._file.truncate(self._file.tell() - written)
        raise OSError(f"only {written} of {len(line)} bytes could be written")
