"""Where things are in an access folder, which `edgematrix provision` makes."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgematrix.errors import UsageError
from edgematrix.identity.secret_file import DRAFT, make_folder

__all__ = ["ADDRESS", "AccessFolder"]

ADDRESS = "broker.url"
"""The file with which a principal comes in: `--broker @broker.url`."""
LAST = "acl"
"""The broker's file without which no identities count: it is written after the registry."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWN = (ADDRESS, "ca.pem", "cert.pem", "key.pem", "signing.key", "keys.json")
_FOLDERS = {"host": "hosts", "device": "devices", "operator": "operators", "client": "clients"}


class AccessFolder:
    """The paths in it.

    Args:
        path: its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = path / "ca.pem"
        self.authority_key = path / "ca.key"
        self.registry = path / "principals.json"
        self.broker = path / "broker"

    @property
    def exists(self) -> bool:
        """Whether identities were made here before, or what is left of them is here.

        They count from when the registry is written, and the broker's files come after it: without both nobody was ever let in.

        Raises:
            UsageError: it is no folder, or holds other things.
        """
        try:
            found = {entry.name.removesuffix(DRAFT) for entry in self.path.iterdir()}
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UsageError(f"cannot be used: {error.strerror}", where=str(self.path), remedy="name another folder") from None
        ours = {self.authority.name, self.authority_key.name, self.registry.name}
        if self.registry.exists() or (found & ours and (self.broker / LAST).exists()):
            return True
        begun = {"lock", self.broker.name, *ours, *_FOLDERS.values()}  # of one that was interrupted before anything of it counted
        foreign = sorted(found - begun)
        if foreign:
            raise UsageError(
                f"holds {foreign[0][:80]!r}, and is no folder of identities", where=str(self.path), remedy="name a new or an empty folder"
            )
        return False

    def of(self, role: str, name: str) -> Path:
        """Where a principal's files are."""
        return self.path / _FOLDERS[role] / name

    def principals(self) -> Iterator[Path]:
        """The folders of all that have one."""
        for folder in _FOLDERS.values():
            with suppress(FileNotFoundError):
                yield from sorted(entry for entry in (self.path / folder).iterdir() if entry.is_dir())

    def make_for(self, role: str, name: str) -> Path:
        """Make a principal's folder.

        Raises:
            UsageError: it cannot be made, or something else is there.
        """
        folder = self.of(role, name)
        make_folder(folder.parent)
        if folder.is_symlink():
            raise UsageError("is a link to somewhere else", where=str(folder), remedy="remove it")
        make_folder(folder)
        return folder

    @staticmethod
    def clear(folder: Path) -> bool:
        """Remove what was made there, and the folder if nothing else is in it; whether that is so."""
        for name in _OWN:
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        return not folder.exists()

    @contextmanager
    def owned(self) -> Iterator[None]:
        """The folder, made if it is missing, for as long as nobody else changes it.

        Raises:
            UsageError: somebody else does or may, or it cannot be written.
        """
        make_folder(self.path)
        if self.path.stat().st_mode & _OTHERS_WRITE:
            raise UsageError("others than its owner may change it", where=str(self.path), remedy=f"chmod 700 {self.path}")
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}", where=str(self.path), remedy="name another folder") from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError("another command changes it", where=str(self.path), remedy="wait until that has ended") from None
            yield
        finally:
            os.close(lock)
