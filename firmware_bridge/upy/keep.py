"""A few hundred bytes that outlive a reset: in a file, or in the memory of the real-time clock, which outlives deep sleep."""

import binascii
import os

__all__ = ["FileKeep", "RtcKeep"]

_HEAD = b"EM1"


class FileKeep:
    """One value in a file. What is stored is there whole or not at all, whenever the power goes.

    It is written beside the old one, which it then takes the place of; each has a checksum, for file systems whose rename may
    be cut in two.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> bytes:
        """What was stored last; empty if nothing was, or nothing whole is there."""
        for path in (self._path, self._path + ".new"):
            try:
                with open(path, "rb") as file:
                    data = _opened(file.read())
            except OSError:
                continue
            if data is not None:
                return data
        return b""

    def store(self, data: bytes) -> None:
        """Keep this from now on.

        Raises:
            OSError: there is no room.
        """
        with open(self._path + ".new", "wb") as file:
            file.write(_sealed(data))
            file.flush()
        if hasattr(os, "sync"):
            os.sync()
        _replace(self._path + ".new", self._path)


class RtcKeep:
    """One value in the memory of the real-time clock (`machine.RTC().memory()`: 2,048 bytes on an ESP32). Without power it is gone."""

    def __init__(self, bytes_max: int = 2_048) -> None:
        from machine import RTC  # type: ignore[import-not-found]  # noqa: PLC0415 - boards alone have it

        self._memory = RTC().memory
        self._bytes_max = bytes_max

    def load(self) -> bytes:
        """What was stored last; empty if nothing was."""
        return _opened(bytes(self._memory())) or b""

    def store(self, data: bytes) -> None:
        """Keep this from now on.

        Raises:
            OSError: it is too long.
        """
        sealed = _sealed(data)
        if len(sealed) > self._bytes_max:
            raise OSError("%d bytes for a memory of %d" % (len(sealed), self._bytes_max))
        self._memory(sealed)


def _sealed(data: bytes) -> bytes:
    return _HEAD + len(data).to_bytes(2, "big") + binascii.crc32(data).to_bytes(4, "big") + data


def _opened(sealed: bytes) -> bytes | None:
    """What was sealed, None if it is not whole."""
    if sealed[:3] != _HEAD or len(sealed) < 9:
        return None
    data = sealed[9 : 9 + int.from_bytes(sealed[3:5], "big")]
    whole = len(data) == int.from_bytes(sealed[3:5], "big") and binascii.crc32(data) == int.from_bytes(sealed[5:9], "big")
    return data if whole else None


def _replace(new: str, old: str) -> None:
    """Rename; some file systems do not rename onto what is there, and `load` looks at both meanwhile."""
    try:
        os.rename(new, old)
    except OSError:
        os.remove(old)
        os.rename(new, old)
