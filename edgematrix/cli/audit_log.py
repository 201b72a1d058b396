"""The audit log of a host, as somebody at a command line reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgematrix.access.audit import OWN_VERBS, Entry, Head, Outcome, Trouble, Verdict, read_entry, verify
from edgematrix.cli.hosts_seen import wait_quiet
from edgematrix.cli.visit import visit
from edgematrix.errors import UsageError
from edgematrix.protocol.path import is_below
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.audit_file import audit_files

__all__ = ["AuditLog", "LoggedOrder", "heads_on", "matches"]

_HOSTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LoggedOrder:
    """An order: the entry with which it began, or the only one, and the one that says what came of it; None where none does."""

    began: Entry
    ended: Entry | None

    @property
    def outcome(self) -> str:
        """What came of it."""
        return "unknown" if self.ended is None else str(self.ended.outcome)

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return "the host went down before it was told what came of it" if self.ended is None else self.ended.reason

    def as_data(self) -> dict[str, object]:
        """For programs."""
        began = self.began
        told: dict[str, object] = {"n": began.n, "at": began.at, "host": began.host, "user": began.user, "verb": began.verb}
        return told | {"path": began.path, "asked": began.asked, "outcome": self.outcome, "reason": self.reason}


class AuditLog:
    """The lines of a log, in files."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._places: list[tuple[Path, int]] = []
        self._lines: list[bytes] = []
        for file in files:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
            lines = data.removesuffix(b"\n").split(b"\n") if data else []
            self._lines += lines
            self._places += [(file, number) for number in range(1, len(lines) + 1)]

    @classmethod
    def of(cls, files: Sequence[Path] | None, state: Path) -> AuditLog:
        """The log in these files, or in a state folder.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        found = list(files or audit_files(state))
        if not found:
            raise UsageError(
                "there is no audit log", where=str(state), remedy="--state DIR, as it was given to the host; it begins with the first order"
            )
        return cls(found)

    @property
    def host(self) -> str:
        """The host that wrote the last entry that can be read."""
        entries = (read_entry(line) for line in reversed(self._lines))
        return next((entry.host for entry in entries if isinstance(entry, Entry)), "")

    def verify(self, head: Head | None = None) -> Verdict:
        """What is wrong with it, if anything is."""
        return verify(self._lines, head)

    def place(self, trouble: Trouble) -> str:
        """Where something is wrong, as `file:line`; the last file where it is about no line."""
        if not trouble.line:
            return str(self._files[-1])
        file, number = self._places[trouble.line - 1]
        return f"{file}:{number}"

    def orders(self) -> Iterator[LoggedOrder]:
        """What was asked for, oldest first; lines that are no entries are left out."""
        entries = [entry for line in self._lines if isinstance(entry := read_entry(line), Entry)]
        ends = {entry.of: entry for entry in entries if entry.of}
        for entry in entries:
            if not (entry.verb in OWN_VERBS and not entry.user) and not entry.of:
                yield LoggedOrder(entry, ends.get(entry.n) if entry.outcome is Outcome.BEGUN else entry)


def matches(order: LoggedOrder, user: str | None, path: str | None) -> bool:
    """Whether it is of this operator, and about this agent or what is in it; None stands for any."""
    began = order.began
    return user in (None, began.user) and (path is None or began.path == path or is_below(began.path, path))


def heads_on(url: str, root: str) -> dict[str, Head]:
    """What hosts said last of their audit logs, by name.

    Raises:
        BusError: no broker answers.
        UsageError: the address is none.
    """
    return asyncio.run(_heads_on(url, root))


async def _heads_on(url: str, root: str) -> dict[str, Head]:
    found: dict[str, Head] = {}
    heard = asyncio.Event()

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        name, _, what = topic.removeprefix(f"{root}/{Kind.HOST}/").partition("/")
        if what == "audit" and len(found) < _HOSTS_MAX:
            try:
                found[name] = msgspec.json.decode(payload, type=Head)
            except msgspec.DecodeError:
                found.pop(name, None)
        heard.set()

    async with visit(url, [f"{root}/{Kind.HOST}/#"], received, qos=1):
        await wait_quiet(heard)
    return found
