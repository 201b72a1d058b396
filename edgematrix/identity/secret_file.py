"""Files and folders that nobody but their owner may read: made so from the first byte, and refused when they are not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgematrix.errors import UsageError

__all__ = ["DRAFT", "FOLDER_MODE", "SECRET_MODE", "make_folder", "read_secret", "write_secret"]

SECRET_MODE = 0o600
FOLDER_MODE = 0o700
DRAFT = ".new"
"""What the name of a file ends with while it is written."""
_BYTES_MAX = 64 * 1024 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path) -> None:
    """Make it and what is missing above it; the folder itself is its owner's alone.

    Raises:
        UsageError: it cannot be made, or something else is there.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder cannot be made: {error.strerror}", where=str(folder), remedy="name another one") from None


def write_secret(file: Path, content: bytes | str, *, synced: bool = True) -> None:
    """Write it whole or not at all; who may not read it may not for a moment either.

    Args:
        file: where.
        content: a text is written as UTF-8.
        synced: wait until the disk has it; without, whoever writes many files does that for all.

    Raises:
        UsageError: it cannot be written.
    """
    draft = file.with_name(f"{file.name}{DRAFT}")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET_MODE), "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            if synced:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(file), remedy="write where you may, or name another one"
        ) from None


def read_secret(file: Path) -> bytes:
    """What a secret file holds.

    Raises:
        UsageError: it is missing or no file, cannot be read, is far too large, or others than its owner may read it.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # a pipe must not stop us
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError("is no file", where=str(file))
            if mode & _OTHERS:
                raise UsageError("others than its owner may read it", where=str(file), remedy=f"chmod 600 {file}")
            content = stream.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
    if len(content) > _BYTES_MAX:
        raise UsageError(f"has more than {_BYTES_MAX} bytes", where=str(file))
    return content
