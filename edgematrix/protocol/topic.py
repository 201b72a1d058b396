"""Topics of the bus: `{root}/{kind}/{path…}[/{port}]` (docs/spec/topics.md, "Topics")."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from edgematrix.errors import TopicError
from edgematrix.protocol.path import AgentPath, check_name, parse_path

__all__ = ["DEFAULT_ROOT", "Address", "Kind", "check_topic", "parse_topic", "topic_for"]

DEFAULT_ROOT = "em"


class Kind(StrEnum):
    """What a topic carries; it stands before the path so that one filter serves any depth."""

    IN = "in"
    OUT = "out"
    PART = "part"
    STATE = "state"
    ACK = "ack"
    SPEC = "spec"
    OP = "op"
    CTL = "ctl"
    REPLY = "reply"
    LEASE = "lease"
    HOST = "host"
    TRACE = "trace"
    DEAD = "dead"


WITH_PORT = frozenset({Kind.IN, Kind.OUT, Kind.PART, Kind.CTL})
"""The kinds whose last level is a port (or, for `ctl`, a verb)."""


class Address(msgspec.Struct, frozen=True):
    """What a topic below the root says: the kind, whose it is, and the port where the kind has one."""

    kind: Kind
    path: AgentPath
    port: str | None = None


def topic_for(root: str, kind: Kind, path: str, port: str | None = None) -> str:
    """The topic of `path` (and `port`); the parts are taken as already checked."""
    return f"{root}/{kind}/{path}" if port is None else f"{root}/{kind}/{path}/{port}"


def parse_topic(topic: str, root: str = DEFAULT_ROOT) -> Address:
    """Read a topic below `root` whose levels after the kind are a path.

    `op` and `reply` carry other things than a path and are not read here.

    Raises:
        TopicError: it is not below `root`, or is of no such kind.
        PathError: the path or port breaks the grammar.
    """
    head = f"{root}/"
    if not topic.startswith(head):
        raise TopicError(f"topic {topic[:120]!r} is not below {root!r}")
    name, _, rest = topic[len(head) :].partition("/")
    try:
        kind = Kind(name)
    except ValueError:
        raise TopicError(f"topic {topic[:120]!r} has the unknown kind {name[:40]!r}") from None
    if kind in (Kind.OP, Kind.REPLY):
        raise TopicError(f"topic {topic[:120]!r} names an operator or a session, not an agent's path")
    if kind not in WITH_PORT:
        return Address(kind, parse_path(rest))
    path, slash, port = rest.rpartition("/")
    if not slash:
        raise TopicError(f"topic {topic[:120]!r} has no port")
    return Address(kind, parse_path(path), check_name(port, "port"))


def check_topic(topic: str, bytes_max: int = 65_535) -> str:
    """Return `topic` if a message may be published on it (MQTT 3.1.1, 4.7).

    Raises:
        TopicError: it is empty, too long, or holds a wildcard, NUL or a lone surrogate.
    """
    if not topic:
        raise TopicError("the topic is empty")
    for bad in ("+", "#", "\0"):
        if bad in topic:
            raise TopicError(f"topic {topic[:120]!r} holds {bad!r}")
    try:
        size_bytes = len(topic.encode())
    except UnicodeEncodeError:
        raise TopicError(f"topic {topic[:120]!r} is not valid UTF-8") from None
    if size_bytes > bytes_max:
        raise TopicError(f"the topic has {size_bytes} bytes, at most {bytes_max} are allowed")
    return topic
