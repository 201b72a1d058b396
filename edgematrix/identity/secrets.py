"""The secrets of a machine: a folder with one file for each, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from edgematrix.errors import PathError, RunError, SecretError
from edgematrix.identity.redaction import Redaction, guard_logs, release_logs
from edgematrix.identity.reference import fill
from edgematrix.identity.secret import Secret
from edgematrix.protocol.path import check_name

__all__ = ["FILE_BYTES_MAX", "FOLDER", "VARIABLE", "OwnSecrets", "SecretStore", "Source", "StandIns"]

VARIABLE = "EDGEMATRIX_SECRETS"
"""The environment variable that names the folder."""
_SYSTEMD = "CREDENTIALS_DIRECTORY"
FOLDER = "secrets"
"""The folder's name where nobody names one: beside the matrix file, or in the state folder of a host."""
FILE_BYTES_MAX = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ANYBODY = stat.S_IRWXO
_NAMES_MAX = 1_000


class Source(Protocol):
    """Where secrets come from."""

    @property
    def redaction(self) -> Redaction:
        """What knows the values that were read."""

    def read(self, name: str, wanted_by: str) -> Secret:
        """The secret of this name.

        Raises:
            SecretError: there is none, or its file is not as it has to be.
        """


class SecretStore:
    """A folder of secrets. Nothing is kept: each use reads the file anew, so that a change is taken up with the next one.

    Args:
        folder: one file for each secret, of its name. A last line break is no part of the value.
        why: who says that it is this folder.
        kept_by_system: systemd made it, and lets nobody but the service in; its files may show bits of an access list as those
            of the group.
    """

    def __init__(self, folder: Path, why: str = "", *, kept_by_system: bool = False) -> None:
        self.folder = folder
        self._why = f" ({why})" if why else ""
        self._foreign = _ANYBODY if kept_by_system else _OTHERS
        self.redaction = Redaction()

    @classmethod
    def found(cls, otherwise: Path, why: str, environment: Mapping[str, str] | None = None) -> SecretStore:
        """The folder that the environment names, by EDGEMATRIX_SECRETS or as systemd does; else `otherwise`."""
        known = os.environ if environment is None else environment
        if known.get(VARIABLE):
            return cls(Path(known[VARIABLE]), VARIABLE)
        if known.get(_SYSTEMD):
            return cls(Path(known[_SYSTEMD]), _SYSTEMD, kept_by_system=True)
        return cls(otherwise, why)

    def read(self, name: str, wanted_by: str) -> Secret:
        """The secret of this name, as its file says now.

        Args:
            name: which.
            wanted_by: the agent's path, or the key of the file that uses it, for the error.

        Raises:
            SecretError: there is none, others may read its file, or that is empty, too large or no text in UTF-8.
        """
        file = self.folder / _checked(name, wanted_by)
        try:
            data = self._bytes(file, wanted_by)
        except FileNotFoundError:
            raise self._missing(name, wanted_by) from None
        except OSError as error:
            raise SecretError(f"the secret {name}, which {wanted_by} uses, cannot be read: {error.strerror}", where=str(file)) from None
        try:
            value = data.decode()
        except UnicodeDecodeError:
            raise SecretError(f"the secret {name}, which {wanted_by} uses, is no text in UTF-8", where=str(file)) from None
        value = value.removesuffix("\n").removesuffix("\r")
        if not value:
            raise SecretError(f"the secret {name}, which {wanted_by} uses, is empty", where=str(file))
        secret = Secret(name, value)
        self.redaction.learn(secret)
        guard_logs(self.redaction)
        return secret

    def fill(self, text: str, wanted_by: str) -> str:
        """A text with the values of the secrets that it refers to: for settings, such as the key of a model's provider.

        Raises:
            SecretError: as `read`.
            ValueError: a reference is malformed.
        """
        return fill(text, lambda name: self.read(name, wanted_by).reveal())

    def names(self) -> list[str]:
        """The secrets that there are."""
        try:
            with os.scandir(self.folder) as entries:
                return sorted(entry.name for entry, _ in zip(entries, range(_NAMES_MAX), strict=False) if _is_name(entry.name))
        except OSError:
            return []

    def close(self) -> None:
        """Look for the values in log lines no longer."""
        release_logs(self.redaction)

    def _bytes(self, file: Path, wanted_by: str) -> bytes:
        number = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))  # a pipe must not stop us
        try:
            about = os.fstat(number)
            if not stat.S_ISREG(about.st_mode):
                raise SecretError(f"the secret {file.name}, which {wanted_by} uses, is no file", where=str(file))
            if os.name == "posix" and about.st_mode & self._foreign:
                what = f"the secret {file.name}, which {wanted_by} uses, may be used by others than its owner"
                raise SecretError(f"{what} (mode {stat.S_IMODE(about.st_mode):04o})", where=str(file), remedy=f"chmod 600 {file}")
            with open(number, "rb", closefd=False) as stream:
                data = stream.read(FILE_BYTES_MAX + 1)
        finally:
            os.close(number)
        if len(data) > FILE_BYTES_MAX:
            raise SecretError(f"the secret {file.name}, which {wanted_by} uses, has more than {FILE_BYTES_MAX} bytes", where=str(file))
        return data

    def _missing(self, name: str, wanted_by: str) -> SecretError:
        near = get_close_matches(name, self.names(), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"write it there: install -m 600 /dev/stdin {self.folder / name}"
        what = f"there is no secret {name!r}, which {wanted_by} uses; looked for in {self.folder}{self._why}"
        return SecretError(what, remedy=remedy)


class StandIns:
    """Secrets for a simulation, which reads none: each is its own name in angle brackets, `<door_pin>`."""

    def __init__(self) -> None:
        self.redaction = Redaction()

    def read(self, name: str, wanted_by: str) -> Secret:
        """The stand-in of this name.

        Raises:
            SecretError: it is no name.
        """
        secret = Secret(name, f"<{_checked(name, wanted_by)}>")
        self.redaction.learn(secret)
        return secret


class OwnSecrets:
    """What one agent's code may have, and what it may not put out.

    Args:
        source: where they come from.
        agent: its path.
        names: the secrets that its definition names.
    """

    def __init__(self, source: Source, agent: str, names: Sequence[str]) -> None:
        self._source = source
        self._agent = agent
        self.names = tuple(names)
        self._known = Redaction()

    def read(self, name: str) -> Secret:
        """One of them.

        Raises:
            RunError: the agent's definition does not name it.
            SecretError: there is none, or its file is not as it has to be.
        """
        if name not in self.names:
            raise RunError(f"{self._agent} may not have the secret {name!r}", where=self._agent, remedy="name it in the agent's `secrets`")
        secret = self._source.read(name, self._agent)
        self._known.learn(secret)
        return secret

    def refuse_in(self, value: object, what: str) -> None:
        """Let nothing pass that holds the value of one of them that was read.

        Raises:
            RunError: it does; the message names the secret, and not its value.
        """
        name = self._known.found_in(value)
        if name:
            raise RunError(
                f"{what} holds the secret {name!r}",
                where=self._agent,
                remedy="what is on the bus is traced and kept; `Context.publish` takes it to a topic outside the root",
            )

    def holds(self, value: object) -> bool:
        """Whether a value holds one of them that was read."""
        return bool(self._known.found_in(value))

    def veiled(self, value: object) -> object:
        """What may be told of a value."""
        return self._known.veiled(value)


def _checked(name: str, wanted_by: str) -> str:
    try:
        return check_name(name, "the secret")
    except PathError as error:
        raise SecretError(error.what, where=wanted_by, remedy=error.remedy) from None


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except PathError:
        return False
    return True
