"""Agent paths, ports and the names that they are made of (docs/spec/topics.md, "Paths")."""

from __future__ import annotations

import re
from typing import NewType

from edgematrix.errors import PathError

__all__ = ["NAME_LENGTH_MAX", "SEGMENTS_MAX", "AgentPath", "check_name", "is_below", "join", "parent_of", "parse_path", "resolve"]

AgentPath = NewType("AgentPath", str)
"""A checked path such as `home/hall/lamp_rule`; the first segment is the matrix's name."""

NAME_LENGTH_MAX = 64
SEGMENTS_MAX = 16

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = frozenset({"parent", "self"})


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it may be a segment of a path, a port or a verb.

    Raises:
        PathError: it breaks the grammar or is reserved.
    """
    if _NAME.fullmatch(name) is None:
        problem = f"is longer than {NAME_LENGTH_MAX} characters" if len(name) > NAME_LENGTH_MAX else "does not match [a-z0-9][a-z0-9_-]*"
        raise PathError(f"{what} {name[:80]!r} {problem}", remedy="lower-case letters, digits, _ and - are allowed")
    if name in _RESERVED:
        raise PathError(f"{what} {name!r} is reserved")
    return name


def parse_path(text: str) -> AgentPath:
    """Check a whole path.

    Raises:
        PathError: a segment breaks the grammar, or there are too many of them.
    """
    segments = text.split("/")
    if len(segments) > SEGMENTS_MAX:
        raise PathError(f"path {text[:120]!r} has {len(segments)} segments, at most {SEGMENTS_MAX} are allowed")
    for segment in segments:
        check_name(segment, "segment")
    return AgentPath(text)


def join(path: AgentPath, name: str) -> AgentPath:
    """The path of the child `name` of `path`.

    Raises:
        PathError: as `parse_path`.
    """
    check_name(name, "segment")
    if path.count("/") + 2 > SEGMENTS_MAX:
        raise PathError(f"path {path}/{name} has more than {SEGMENTS_MAX} segments")
    return AgentPath(f"{path}/{name}")


def parent_of(path: AgentPath) -> AgentPath | None:
    """The composite that `path` is in; None for a matrix itself."""
    head, slash, _ = path.rpartition("/")
    return AgentPath(head) if slash else None


def is_below(path: str, ancestor: str) -> bool:
    """Whether `path` is a descendant of `ancestor` (not itself)."""
    return path.startswith(ancestor + "/")


def resolve(reference: str, agent: AgentPath, default_port: str = "out") -> tuple[AgentPath, str]:
    """Read the `agent.port` of a `from:` or `to:` that stands in the definition of `agent`.

    `lux.illuminance` is a sibling's port, `/home/hall/lux.illuminance` an absolute one, `parent.port` the
    composite's own, `self.port` the agent's own; without a port it is `default_port`.

    Raises:
        PathError: the reference breaks the grammar, or there is no parent.
    """
    name, dot, port = reference.partition(".")
    port = check_name(port, "port") if dot else default_port
    if name.startswith("/"):
        return parse_path(name[1:]), port
    if name == "self":
        return agent, port
    parent = parent_of(agent)
    if parent is None:
        raise PathError(f"{reference!r} names a neighbour, but {agent!r} is the matrix itself")
    if name == "parent":
        return parent, port
    path = parent
    for segment in name.split("/"):
        path = join(path, segment)
    return path, port
