"""What a host says of itself, at its birth and whenever it changes: that it is there, what it can do, and what it runs.

Plain JSON, retained on `{root}/host/{name}` (docs/spec/topics.md, `host`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from edgematrix.errors import CodecError
from edgematrix.hosting.plain_object import plain_object

__all__ = ["BIRTH_BYTES_MAX", "PROTOCOL_VERSION", "Birth", "Capability", "Refused", "as_plain", "encode_birth", "read_birth"]

PROTOCOL_VERSION = 1
"""Hosts of another one take no part: what travels between them means something else there."""

BIRTH_BYTES_MAX = 65_536
_VERSION = 1
_NAMES_MAX = 1_000
_TEXT_MAX = 200
_REASON_MAX = 2_000
_LISTS = ("labels", "devices", "packages", "modules")

_encode = msgspec.json.Encoder().encode


class Capability(msgspec.Struct, frozen=True):
    """What a host can do.

    `memory_mb` is how much it has in all, 0 where it does not know; `packages` are those that can be imported there, `modules` those
    whose agents' code it allows: each stands for itself and for all in it.
    """

    labels: tuple[str, ...] = ()
    memory_mb: int = 0
    devices: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def bounded(self) -> Capability:
        """With no more of each than a birth may hold, each name once, in order."""
        lists = {name: tuple(sorted(set(getattr(self, name)))[:_NAMES_MAX]) for name in _LISTS}
        return msgspec.structs.replace(self, **lists)


class Refused(msgspec.Struct, frozen=True):
    """A deployment that a host does not carry out, and why."""

    revision: int
    reason: str


class Birth(msgspec.Struct, frozen=True):
    """What a host has said last. Of one that is offline nothing but its session is known.

    `matrix` is what it runs a part of, `revision` that of the deployment that it follows, `agents` how many it runs; `load` is the
    work that waits for each of its processors, 1.0 where they are just busy. `follows` tells whether it takes what is deployed:
    one that runs a matrix file does not.
    """

    name: str
    is_online: bool
    session: str = ""
    since: str = ""
    protocol: int = PROTOCOL_VERSION
    version: str = ""
    agents: int = 0
    matrix: str = ""
    revision: int = 0
    load: float = 0.0
    follows: bool = False
    capability: Capability = Capability()
    refused: Refused | None = None
    warnings: tuple[str, ...] = ()
    """What whoever looks after it should know, in sentences: certificates that end soon."""
    number: int = 0
    """How often this life of the host has said so: it tells an echo from an older one."""


def encode_birth(birth: Birth) -> bytes:
    """Write it as it travels."""
    return _encode(as_plain(birth))


def as_plain(birth: Birth) -> dict[str, Any]:
    """What travels, as plain values. What says nothing is left out."""
    able = birth.capability
    plain: dict[str, Any] = {
        "v": _VERSION,
        "status": "online" if birth.is_online else "offline",
        "session": birth.session,
        "number": birth.number,
        "since": birth.since,
        "protocol": birth.protocol,
        "version": birth.version,
        "agents": birth.agents,
        "matrix": birth.matrix,
        "revision": birth.revision,
        "load": round(birth.load, 2),
        "follows": birth.follows,
        "memory_mb": able.memory_mb,
        **{name: list(getattr(able, name)) for name in _LISTS},
    }
    if birth.warnings:
        plain["warnings"] = [text[:_TEXT_MAX] for text in birth.warnings[:_NAMES_MAX]]
    if birth.refused is not None:
        plain["refused"] = {"revision": birth.refused.revision, "reason": birth.refused.reason[:_REASON_MAX]}
    return {key: value for key, value in plain.items() if value not in ("", []) or key in ("session", "since")}


def read_birth(name: str, payload: bytes) -> Birth:
    """Read what a host says. Keys that are unknown here say nothing: another version of the package may have more.

    Args:
        name: the host's, as the topic spells it.
        payload: the message.

    Raises:
        CodecError: it is no birth; what was found, and what was expected.
    """
    plain = plain_object(f"the birth of {name}", payload, BIRTH_BYTES_MAX)
    status = plain.get("status")
    if status not in ("online", "offline"):
        raise CodecError(f"the birth of {name} has the status {str(status)[:40]!r}, expected online or offline")
    about = _Reader(name, plain)
    if about.whole("v", _VERSION) != _VERSION:
        # What else it says may mean something else: only that it is another one is known.
        protocol = about.whole("protocol", 0)
        return Birth(name, status == "online", protocol=protocol if protocol != PROTOCOL_VERSION else 0, version=about.text("version"))
    return Birth(
        name,
        status == "online",
        session=about.text("session"),
        since=about.text("since"),
        protocol=about.whole("protocol", PROTOCOL_VERSION),
        version=about.text("version"),
        agents=about.whole("agents"),
        matrix=about.text("matrix"),
        revision=about.whole("revision"),
        load=about.number("load"),
        follows=plain.get("follows") is True,
        capability=Capability(memory_mb=about.whole("memory_mb"), **{key: about.names(key) for key in _LISTS}),
        refused=about.refused(),
        warnings=about.names("warnings"),
        number=about.whole("number"),
    )


class _Reader:
    """Takes keys out of a birth, each with its type and bound."""

    def __init__(self, name: str, plain: dict[str, Any]) -> None:
        self._name = name
        self._plain = plain

    def text(self, key: str, length_max: int = _TEXT_MAX) -> str:
        value = self._plain.get(key)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > length_max:
            raise self._wrong(key, f"a text of at most {length_max} characters")
        return value

    def whole(self, key: str, default: int = 0) -> int:
        value = self._plain.get(key, default)
        if type(value) is not int or not 0 <= value < 1 << 53:
            raise self._wrong(key, "a whole number from 0")
        return value

    def number(self, key: str) -> float:
        value = self._plain.get(key, 0.0)
        if type(value) not in (int, float) or not 0 <= value < 1 << 53:
            raise self._wrong(key, "a number from 0")
        return float(value)

    def names(self, key: str) -> tuple[str, ...]:
        value = self._plain.get(key, [])
        fits = isinstance(value, list) and len(value) <= _NAMES_MAX
        if not fits or not all(isinstance(name, str) and len(name) <= _TEXT_MAX for name in value):
            raise self._wrong(key, f"a list of at most {_NAMES_MAX} texts")
        return tuple(value)

    def refused(self) -> Refused | None:
        value = self._plain.get("refused")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong("refused", "an object")
        inside = _Reader(self._name, value)
        return Refused(inside.whole("revision"), inside.text("reason", _REASON_MAX))

    def _wrong(self, key: str, expected: str) -> CodecError:
        return CodecError(f"the birth of {self._name}: {key} has to be {expected}, found {str(self._plain.get(key))[:40]!r}")
