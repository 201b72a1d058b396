"""Who has been given which credentials: `principals.json` of an access folder. Steps on it are pure; times are given.

It holds no secret, but what brokers know of secrets; so it is its owner's alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from edgematrix.errors import StateError, UsageError
from edgematrix.identity.secret_file import read_secret, write_secret

__all__ = [
    "GENERATIONS_MAX",
    "USER_LENGTH_MAX",
    "Entry",
    "Generation",
    "Kind",
    "Registry",
    "Retired",
    "read_registry",
    "user_name",
    "write_registry",
]

USER_LENGTH_MAX = 64
"""Characters that a certificate's common name holds (X.520, ub-common-name)."""
GENERATIONS_MAX = 100
"""Credentials of one principal that are remembered; of older ones nothing is left that could be used."""
_VERSION = 1
_HASH_LENGTH = 12


class Kind(StrEnum):
    """How a principal proves itself."""

    SECRET = "secret"  # noqa: S105 - a word
    CERTIFICATE = "certificate"


class Generation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One credential.

    `ends` is when a certificate ends by itself, `until` when this one is given up for a newer one, `revoked` since when it is
    worth nothing. `serial` is the certificate's, in hexadecimal; `mosquitto` and `nats` are hashes of the secret.
    """

    number: int
    kind: Kind
    made: datetime
    ends: datetime | None = None
    until: datetime | None = None
    revoked: datetime | None = None
    serial: str = ""
    mosquitto: str = ""
    nats: str = ""

    def is_live(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked is None and all(moment is None or now < moment for moment in (self.ends, self.until))

    def state(self, now: datetime) -> str:
        """In a word, for people."""
        if self.revoked is not None:
            return "revoked"
        if self.until is not None and now >= self.until:
            return "replaced"
        if self.ends is not None and now >= self.ends:
            return "ended"
        return "valid" if self.until is None else "being replaced"


class Entry(msgspec.Struct, frozen=True):
    """A principal with its credentials, oldest first. `role` is host, device, operator or client; `subject` is what it stands for."""

    name: str
    role: str
    subject: str
    generations: tuple[Generation, ...] = ()

    def live(self, now: datetime) -> tuple[Generation, ...]:
        """Those that let it in."""
        return tuple(generation for generation in self.generations if generation.is_live(now))

    def with_new(self, generation: Generation) -> Entry:
        """With one more."""
        return msgspec.structs.replace(self, generations=(*self.generations, generation)[-GENERATIONS_MAX:])

    def replaced(self, until: datetime, now: datetime) -> Entry:
        """All that live end at `until`, or before if they would anyhow."""
        found = tuple(
            msgspec.structs.replace(one, until=min(until, one.until or until)) if one.is_live(now) else one for one in self.generations
        )
        return msgspec.structs.replace(self, generations=found)

    def revoked(self, now: datetime, number: int | None = None) -> Entry:
        """All, or that of this number, are worth nothing from now on."""
        found = tuple(
            msgspec.structs.replace(one, revoked=now) if one.revoked is None and number in (None, one.number) else one
            for one in self.generations
        )
        return msgspec.structs.replace(self, generations=found)


class Retired(msgspec.Struct, frozen=True):
    """A certificate that holds by its dates, and is worth nothing since."""

    serial: str
    since: datetime
    ends: datetime


class Registry(msgspec.Struct, frozen=True):
    """All of them, and what was said when they were made.

    `servers` are the names of the broker, `port` its first port, `tls` the oldest version that it takes, `broker` the profile for
    which addresses are written; `others` are further brokers with the same users, each a host and its first port. `retired` are
    certificates that may not be used any more; `numbers` is the newest credential's of principals that are gone: should one come
    again, no old certificate is in its name.
    """

    version: int
    matrix: str
    servers: tuple[str, ...]
    port: int
    tls: str
    broker: str
    principals: tuple[Entry, ...] = ()
    retired: tuple[Retired, ...] = ()
    numbers: Mapping[str, int] = {}
    server_names: tuple[str, ...] = ()
    """Those that the broker's certificate has now."""
    others: tuple[tuple[str, int], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that its certificate has to prove, on whichever of the machines."""
        return tuple(dict.fromkeys((*self.servers, *(host for host, _ in self.others))))

    @classmethod
    def new(cls, matrix: str, servers: Iterable[str], port: int, tls: str, broker: str) -> Registry:
        """One without principals."""
        return cls(_VERSION, matrix, tuple(servers), port, tls, broker)

    def entry(self, name: str) -> Entry | None:
        """The principal of this name."""
        return next((entry for entry in self.principals if entry.name == name), None)

    def users(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """The user names under which each principal is let in, by its name; none where it is not."""
        return {entry.name: tuple(user_name(entry.name, one.number) for one in entry.live(now)) for entry in self.principals}

    def live(self, now: datetime) -> Iterator[tuple[str, Entry, Generation]]:
        """Every credential that lets somebody in, with its user name."""
        for entry in self.principals:
            for generation in entry.live(now):
                yield user_name(entry.name, generation.number), entry, generation

    def revocations(self, now: datetime) -> list[tuple[str, datetime]]:
        """Serials of certificates that would hold by their dates and may not be used, each with since when."""
        found = {one.serial: one.since for one in self.retired if now < one.ends}
        for entry in self.principals:
            for one in entry.generations:
                if one.serial and one.ends is not None and now < one.ends and not one.is_live(now):
                    found[one.serial] = one.revoked or one.until or now
        return sorted(found.items())

    def changed(self, entry: Entry) -> Registry:
        """With a principal as it is now. Certificates that it is not remembered by any more stay on the list of those worth nothing."""
        kept = {one.serial for one in entry.generations}
        before = self.entry(entry.name)
        gone = [one for one in (() if before is None else before.generations) if one.serial and one.serial not in kept]
        retired = [Retired(one.serial, one.revoked or one.until or one.made, one.ends) for one in gone if one.ends is not None]
        found = tuple(entry if one.name == entry.name else one for one in self.principals)
        return msgspec.structs.replace(self, principals=found, retired=(*self.retired, *retired))

    def next_number(self, entry: Entry) -> int:
        """That of the next credential of a principal."""
        return max([*(one.number for one in entry.generations), self.numbers.get(entry.name, 0)]) + 1

    def following(self, wanted: Iterable[tuple[str, str, str]], now: datetime) -> Registry:
        """With those principals that there are now, by name, role and subject, in this order.

        Credentials of those that stay stay; of those that are gone, or stand for something else now, nothing is left but what
        must not be used again.
        """
        before = {entry.name: entry for entry in self.principals}
        kept: list[Entry] = []
        for name, role, subject in wanted:
            known = before.get(name)
            if known is not None and (known.role, known.subject) == (role, subject):
                kept.append(before.pop(name))
            else:
                kept.append(Entry(name, role, subject))
        retired = [one for one in self.retired if now < one.ends]
        numbers = dict(self.numbers)
        for entry in before.values():
            numbers[entry.name] = self.next_number(entry) - 1
            holds = [(one, one.ends) for one in entry.generations if one.serial and one.ends is not None and now < one.ends]
            retired += [Retired(one.serial, one.revoked or one.until or now, ends) for one, ends in holds]
        return msgspec.structs.replace(self, principals=tuple(kept), retired=tuple(retired), numbers=numbers)


def user_name(name: str, number: int) -> str:
    """The user of a principal's credential: its name for the first, else `NAME~2` and so on.

    Where that is longer than 64 characters, the name's end gives way to the first 12 hexadecimal digits of its SHA-256.
    """
    mark = "" if number == 1 else f"~{number}"
    if len(name) + len(mark) <= USER_LENGTH_MAX:
        return f"{name}{mark}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: USER_LENGTH_MAX - len(mark) - _HASH_LENGTH - 1]}~{digest}{mark}"


def read_registry(file: Path) -> Registry:
    """Read it back.

    Raises:
        UsageError: it is missing, cannot be read, or others may read it.
        StateError: it is damaged, or of another version.
    """
    if not file.exists():
        raise UsageError(
            "the list of identities is lost", where=str(file), remedy="bring it back from a copy, or make new identities in a new folder"
        )
    content = read_secret(file)
    remedy = "bring it back from a copy, or make new identities in a new folder"
    try:
        registry = msgspec.json.decode(content, type=Registry)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise StateError(f"the list of identities is damaged: {error}", where=str(file), remedy=remedy) from None
    if registry.version != _VERSION:
        raise StateError(
            f"the list of identities has version {registry.version}, known is {_VERSION}",
            where=str(file),
            remedy="use the version of edgematrix that wrote it, or a newer one",
        )
    return registry


def write_registry(registry: Registry, file: Path) -> None:
    """Write it whole, or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    write_secret(file, msgspec.json.format(msgspec.json.encode(registry), indent=1) + b"\n")
