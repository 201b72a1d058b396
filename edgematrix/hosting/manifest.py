"""A deployment as it travels: the definition of each agent by itself, and the manifest that makes them one revision, published last.

Plain JSON, retained on `{root}/spec/{path}` and `{root}/spec/{matrix}` (docs/spec/topics.md, `spec`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from edgematrix.errors import CodecError, PathError
from edgematrix.hosting.capability import PROTOCOL_VERSION
from edgematrix.hosting.plain_object import plain_object
from edgematrix.protocol.path import AgentPath, check_name, parent_of, parse_path

__all__ = [
    "DEFINITIONS_MAX",
    "DEFINITION_BYTES_MAX",
    "MANIFEST_BYTES_MAX",
    "Manifest",
    "ProtocolMismatchError",
    "definition_hash",
    "deploying_user",
    "encode_definition",
    "encode_manifest",
    "grown",
    "next_revision",
    "read_manifest",
]

DEFINITION_BYTES_MAX = 1 << 20
MANIFEST_BYTES_MAX = 1 << 20
"""About 18,000 agents; what every broker carries in one message."""
_PATHS_MAX = 100_000
DEFINITIONS_MAX = 2 * _PATHS_MAX
"""Definitions that a host keeps of those that it hears: of this deployment and the next one. More are made up by somebody."""
_CLAIMED_MAX = 1 << 52
"""The highest revision that is believed of hosts. Above it there is room for more than anybody deploys."""
_HOSTS_MAX = 1_000
_HASH_LENGTH = 16
_VERSION = 1

_encode = msgspec.json.Encoder().encode


class ProtocolMismatchError(CodecError):
    """A manifest was written for hosts of another protocol. `revision` is its number, 0 where that cannot be read."""

    def __init__(self, what: str, revision: int) -> None:
        super().__init__(what, remedy="the same version of edgematrix on every host, and where it is deployed from")
        self.revision = revision


class Manifest(msgspec.Struct, frozen=True):
    """One revision of a deployed matrix.

    `head` is the definition of the matrix without its agents. `paths` are all that are defined, in written order, each with the hash
    of its definition. `places` are the hosts of an agent in order: it runs on the first, and moves to the next where it has
    `failover`; one that is not in it goes with the agent that it is in.
    """

    revision: int
    head: dict[str, Any]
    paths: dict[AgentPath, str]
    places: dict[AgentPath, tuple[str, ...]]
    protocol: int = PROTOCOL_VERSION
    deployer: str = ""
    """Who made it: of two of the same revision, which it is."""

    @property
    def matrix(self) -> str:
        """The matrix's name."""
        return str(self.head["matrix"])

    def hosts_of(self, path: AgentPath) -> tuple[str, ...]:
        """Where an agent may run, in order; none where it was given to nobody, as a board."""
        above: AgentPath | None = path
        while above is not None:
            found = self.places.get(above)
            if found is not None:
                return found
            above = parent_of(above)
        return ()

    @property
    def hosts(self) -> frozenset[str]:
        """All that run anything, or may have to."""
        return frozenset(name for names in self.places.values() for name in names)


def deploying_user(manifest: Manifest) -> str:
    """The name of the operator that `deployer` begins with, `NAME/…`; empty where it says none. It is a claim."""
    name, slash, _ = manifest.deployer.partition("/")
    return name if slash else ""


def definition_hash(data: bytes) -> str:
    """The hash of the bytes of a definition."""
    return hashlib.sha256(data).hexdigest()[:_HASH_LENGTH]


def encode_definition(plain: Mapping[str, Any]) -> bytes:
    """Write the definition of one agent as it travels."""
    return _encode(plain)


def encode_manifest(manifest: Manifest) -> bytes:
    """Write it as it travels.

    Raises:
        CodecError: it is larger than hosts take.
    """
    data = _encode(
        {
            "v": _VERSION,
            "protocol": manifest.protocol,
            "revision": manifest.revision,
            "deployer": manifest.deployer,
            "matrix": manifest.head,
            "places": manifest.places,
            "paths": manifest.paths,
        }
    )
    if len(data) > MANIFEST_BYTES_MAX:
        raise CodecError(f"the manifest has {len(data)} bytes, hosts take at most {MANIFEST_BYTES_MAX}")
    return data


def next_revision(standing: int, claimed: Iterable[int]) -> int:
    """The number of the next deployment.

    Args:
        standing: the number of the one that stands; 0 for none.
        claimed: what hosts say that they follow. What none can have counts for nothing: one host must not end all deploying.
    """
    return max([standing, *(number for number in claimed if number < _CLAIMED_MAX)]) + 1


def read_manifest(matrix: str, payload: bytes) -> Manifest:
    """Read a manifest.

    Args:
        matrix: its name, as the topic spells it.
        payload: the message.

    Raises:
        ProtocolMismatchError: it is for hosts of another protocol.
        CodecError: it is none; what was found, and what was expected.
    """
    plain = plain_object(f"the manifest of {matrix}", payload, MANIFEST_BYTES_MAX)
    revision = plain.get("revision")
    number = revision if type(revision) is int and 0 < revision < 1 << 53 else 0
    for key, ours in (("protocol", PROTOCOL_VERSION), ("v", _VERSION)):
        found = plain.get(key, ours)
        if found != ours:
            what = f"revision {number} of {matrix} is for hosts of the protocol version {str(found)[:20]}, and this one speaks {ours}"
            raise ProtocolMismatchError(what, number)
    if not number:
        raise CodecError(f"the manifest of {matrix}: revision has to be a whole number from 1, found {str(revision)[:40]!r}")
    head, deployer = plain.get("matrix"), plain.get("deployer", "")
    if not isinstance(head, dict) or head.get("matrix") != matrix:
        raise CodecError(f"the manifest of {matrix}: matrix has to be the head of its definition, with that name")
    if not isinstance(deployer, str):
        raise CodecError(f"the manifest of {matrix}: deployer has to be a text")
    return Manifest(number, head, _paths(matrix, plain.get("paths")), _places(matrix, plain.get("places")), PROTOCOL_VERSION, deployer)


def _paths(matrix: str, value: object) -> dict[AgentPath, str]:
    if not isinstance(value, dict) or len(value) > _PATHS_MAX:
        raise CodecError(f"the manifest of {matrix}: paths has to be an object of at most {_PATHS_MAX} agents")
    found: dict[AgentPath, str] = {}
    for text, hashed in value.items():
        path = _path(matrix, text)
        if not isinstance(hashed, str) or len(hashed) != _HASH_LENGTH:
            raise CodecError(f"the manifest of {matrix}: the hash of {path} has to be {_HASH_LENGTH} characters")
        above = parent_of(path)
        if above != matrix and above not in found:
            raise CodecError(f"the manifest of {matrix}: {path} stands before the agent that it is in")
        found[path] = hashed
    return found


def _places(matrix: str, value: object) -> dict[AgentPath, tuple[str, ...]]:
    if not isinstance(value, dict) or len(value) > _PATHS_MAX:
        raise CodecError(f"the manifest of {matrix}: places has to be an object of at most {_PATHS_MAX} agents")
    found: dict[AgentPath, tuple[str, ...]] = {}
    for text, names in value.items():
        path = _path(matrix, text)
        if not isinstance(names, list) or len(names) > _HOSTS_MAX or not all(isinstance(name, str) for name in names):
            raise CodecError(f"the manifest of {matrix}: the places of {path} have to be a list of at most {_HOSTS_MAX} hosts")
        try:
            found[path] = tuple(check_name(name, "host") for name in names)
        except PathError as error:
            raise CodecError(f"the manifest of {matrix}: the places of {path}: {error.what}") from None
    return found


def _path(matrix: str, text: str) -> AgentPath:
    try:
        path = parse_path(text)
    except PathError as error:
        raise CodecError(f"the manifest of {matrix}: {error.what}") from None
    if not path.startswith(f"{matrix}/"):
        raise CodecError(f"the manifest of {matrix}: {path} is in another matrix")
    return path


def grown(manifest: Manifest, definitions: Mapping[AgentPath, bytes]) -> dict[str, Any]:
    """The whole definition of the matrix as plain values, put together from those of its agents.

    Raises:
        CodecError: a definition is no JSON object, or holds agents itself.
    """
    whole: dict[str, Any] = {**manifest.head, "agents": {}}
    agents: dict[AgentPath, dict[str, Any]] = {AgentPath(manifest.matrix): whole}
    for path in manifest.paths:
        above = parent_of(path)
        assert above is not None  # noqa: S101 - reading the manifest made sure
        plain = _definition(path, definitions[path])
        agents[above].setdefault("agents", {})[path.rpartition("/")[2]] = plain
        agents[path] = plain
    return whole


def _definition(path: AgentPath, data: bytes) -> dict[str, Any]:
    plain = plain_object(f"the definition of {path}", data)
    if "agents" in plain:
        raise CodecError(f"the definition of {path} has to be a JSON object without agents")
    return plain
