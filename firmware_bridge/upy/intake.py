"""An image on its way into a slot: its manifest, what is there of it already, and whether all of it is right.

It begins with a table of its files, which is kept in the slot like a file, so that the way goes on from wherever it was cut.
"""

import binascii
import hashlib
import json

from .slots import Files

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["TABLE", "Intake", "read_manifest"]

TABLE = "files"
_TABLE_BYTES_MAX = 6_144
_TAKEN = (TABLE, "manifest", "manifest.new")

_FILES_MAX = 64
_NAME_LENGTH_MAX = 64
_DEPTH_MAX = 4
_CHUNK_BYTES_MIN = 64
_CHUNK_BYTES_MAX = 16_384
_FLUSH_BYTES = 4_096
_SPARE_BLOCKS = 4
"""For folders and what is remembered; each file may leave most of its last block empty."""
_READ_BYTES = 512


def read_manifest(data: bytes) -> dict:  # type: ignore[type-arg]
    """A manifest, its fields as they have to be.

    Raises:
        ValueError: they are not.
    """
    try:
        found = json.loads(data)
        numbers = [found["version"], found["size"], found["chunk"], found["table"]]
        good = all(isinstance(number, int) and number > 0 for number in numbers)
        good = good and _CHUNK_BYTES_MIN <= found["chunk"] <= _CHUNK_BYTES_MAX
        good = good and found["table"] < found["size"] and found["table"] <= _TABLE_BYTES_MAX
        good = good and isinstance(found["board"], str) and len(binascii.unhexlify(found["sha256"])) == 32
    except (KeyError, TypeError):
        good = False
    if not good:
        raise ValueError("the manifest is not as it has to be")
    return found  # type: ignore[no-any-return]


class Intake:
    """Writes an image into a slot, one file after the other. `at` is how many bytes are there: it goes on from what it finds."""

    def __init__(self, files: Files, slot: str, manifest: dict) -> None:  # type: ignore[type-arg]
        self._files = files
        self._slot = slot + "/"
        self._parts: list = [[TABLE, manifest["table"]]]  # type: ignore[type-arg]
        self._sha256 = manifest["sha256"]
        self._file: "BinaryIO | None" = None
        self._unsynced = 0
        self.size = manifest["size"]
        self.at = self._found()

    @property
    def lacks_bytes(self) -> int:
        """How much room is lacking, as far as the system tells; 0 if there is enough."""
        blocks, block_bytes = self._files.room()
        needed = self.size - self.at + block_bytes * (len(self._parts) + _SPARE_BLOCKS)
        return 0 if blocks < 0 else max(0, needed - blocks * block_bytes)

    def write(self, data: memoryview) -> None:
        """Go on with these bytes; what is not flushed yet may be lost when the power fails.

        Raises:
            OSError: they cannot be written.
            ValueError: the table is none, so they were not signed.
        """
        start = 0
        for name, size in self._parts:  # which grows by what the table tells
            end = start + size
            if start <= self.at < end:
                count = min(len(data), end - self.at)
                file = self._file = self._file or self._opened(name, self.at - start)
                file.write(data[:count])
                self.at += count
                self._unsynced += count
                if self.at == end:
                    self.close()
                    self._look_up()
                elif self._unsynced >= _FLUSH_BYTES:
                    self._files.sync(file)
                    self._unsynced = 0
                data = data[count:]
                if not data:
                    return
            start = end

    def close(self) -> None:
        """Flush what was written.

        Raises:
            OSError: it cannot be written.
        """
        file, self._file = self._file, None
        self._unsynced = 0
        if file is not None:
            try:
                self._files.sync(file)
            finally:
                file.close()

    def is_right(self) -> bool:
        """Whether what can be read back is what was signed.

        Raises:
            OSError: it cannot be read, or an empty file cannot be made.
        """
        if len(self._parts) < 2:
            return False
        whole, buffer = hashlib.sha256(), bytearray(_READ_BYTES)
        view = memoryview(buffer)
        for name, size in self._parts:
            if not size:
                self._opened(name, 0).close()
            if self._files.size(self._slot + name) != size:
                return False
            file = self._files.open(self._slot + name, "rb")
            try:
                while True:
                    count = file.readinto(buffer)  # type: ignore[attr-defined]
                    if not count:
                        break
                    whole.update(view[:count])
            finally:
                file.close()
        return bool(binascii.hexlify(whole.digest()).decode() == self._sha256)

    def clear(self) -> None:
        """Begin again from nothing.

        Raises:
            OSError: something cannot be taken away.
        """
        self.close()
        for name, _ in self._parts:
            self._files.remove(self._slot + name)
        del self._parts[1:]
        self.at = 0

    def _found(self) -> int:
        """Whole files, and the beginning of one."""
        count = 0
        for name, size in self._parts:
            found = max(0, self._files.size(self._slot + name))
            if found < size:
                return int(count + found)
            count += size
            try:
                self._look_up()
            except ValueError:
                self._files.remove(self._slot + TABLE)
                return 0
        return int(count)

    def _look_up(self) -> None:
        """Read the table, once it is there."""
        if len(self._parts) > 1:
            return
        good = True
        try:
            table = json.loads(self._files.read(self._slot + TABLE))
            for name, size in table:
                good = good and isinstance(size, int) and size >= 0 and name not in _TAKEN and _is_name(name)
            good = good and len(table) <= _FILES_MAX and sum([size for _, size in table]) == self.size - self._parts[0][1]
        except (ValueError, TypeError, AttributeError):
            good = False
        if not good:
            raise ValueError("the table of files is none")
        self._parts += table

    def _opened(self, name: str, at: int) -> "BinaryIO":
        if "/" in name:
            self._files.make_folder(self._slot + name.rpartition("/")[0])
        return self._files.open(self._slot + name, "ab" if at else "wb")


def _is_name(name: str) -> bool:
    parts = name.split("/")
    good = len(name) <= _NAME_LENGTH_MAX and len(parts) <= _DEPTH_MAX
    for part in parts:
        good = good and part != "" and part[0] != "."
        good = good and all("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "_-." for c in part)
    return good
