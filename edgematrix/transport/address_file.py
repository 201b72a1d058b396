"""A broker's address that stands in a file, `@FILE`: it holds a secret, so that no command line and no matrix file has to."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote, unquote_plus

from edgematrix.errors import UsageError

__all__ = ["MARK", "check_owner_only", "read_address"]

MARK = "@"
_BYTES_MAX = 10_000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FILES = ("ca", "cert", "key")
_SYSTEMD = "CREDENTIALS_DIRECTORY"


def check_owner_only(file: Path) -> None:
    """Refuse a secret file that others may read. What is missing is for whoever opens it to tell.

    Raises:
        UsageError: others than its owner may.
    """
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    kept_by_system = os.environ.get(_SYSTEMD, "") == str(file.parent)
    # systemd lets nobody but the service in; bits of its access list show as those of the group.
    if mode & (stat.S_IRWXO if kept_by_system else _OTHERS):
        raise UsageError("others than its owner may read it, and it holds a secret", where=str(file), remedy=f"chmod 600 {file}")


def read_address(text: str) -> str:
    """The address in the file that `@FILE` names, with the paths of certificates in it made absolute: they are relative to that file.

    Raises:
        UsageError: there is no such file, it holds something else, or others than its owner may read it. The message holds nothing of it.
    """
    file = Path(text.removeprefix(MARK)).expanduser()
    if not text.removeprefix(MARK):
        raise UsageError("after @ the name of a file is missing", where=text, remedy="--broker @hosts/pi/broker.url")
    check_owner_only(file)
    try:
        # Not opened as usual: a pipe to which nobody writes must not stop us.
        with os.fdopen(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError("the broker's address is no file", where=str(file))
            content = stream.read(_BYTES_MAX + 1).decode()
    except UnicodeDecodeError:
        content = ""
    except OSError as error:
        raise UsageError(f"the broker's address cannot be read: {error.strerror}", where=str(file)) from None
    lines = [line.strip() for line in content.splitlines() if line.strip() and not line.startswith("#")]
    if len(content) > _BYTES_MAX or len(lines) != 1 or "://" not in lines[0] or lines[0].startswith(MARK):
        raise UsageError("expected one line with a broker's address, mqtts://user:password@host", where=str(file))
    return _absolute(lines[0], file)


def _absolute(url: str, file: Path) -> str:
    """With its files where they are, seen from anywhere."""
    head, mark, query = url.partition("?")
    if not mark:
        return url
    folder = os.path.abspath(file.parent)  # noqa: PTH100 - a link on the way to it stays one
    parts = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if name in _FILES and value:
            value = quote(os.path.join(folder, unquote_plus(value)), safe="/")  # noqa: PTH118 - as above
        parts.append(f"{name}{equals}{value}")
    return f"{head}{mark}{'&'.join(parts)}"
