"""A file as text: there, of a bearable size, and UTF-8; else one clear error."""

from __future__ import annotations

import codecs
from pathlib import Path

from edgematrix.errors import ConfigError, Issue

__all__ = ["FILE_BYTES_MAX", "read_text"]

FILE_BYTES_MAX = 16 * 1024 * 1024
_PART_BYTES = 256 * 1024


def read_text(path: Path, bytes_max: int = FILE_BYTES_MAX) -> str:
    """The text of `path` without a byte order mark.

    Raises:
        ConfigError: it is missing, no regular file, larger than `bytes_max`, not readable, or not UTF-8.
    """
    try:
        if not path.exists():
            raise _refused(path, "there is no such file")
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is no regular file"
            raise _refused(path, f"{what}, expected a YAML file")
        with path.open("rb") as file:
            raw = bytearray()
            while len(raw) <= bytes_max and (part := file.read(_PART_BYTES)):
                raw += part
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read: {error.strerror if isinstance(error, OSError) else error}") from None
    if len(raw) > bytes_max:
        raise _refused(path, f"is larger than {bytes_max} bytes", "divide it with !include, or name devices by a capture")
    return _decode(path, bytes(raw))


def _decode(path: Path, raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _refused(path, "is UTF-16, expected UTF-8", "save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        what = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        raise ConfigError([Issue("error", what, str(path), line, column, remedy="save the file as UTF-8")]) from None


def _refused(path: Path, what: str, remedy: str = "") -> ConfigError:
    return ConfigError([Issue("error", what, str(path), remedy=remedy)])
