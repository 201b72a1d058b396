"""Several commands of one sentence: whether they can be meant together, and what is left of them without some."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from edgematrix.agents.sentences import Besides, Command
from edgematrix.protocol.path import AgentPath

__all__ = ["contradiction", "without"]


def contradiction(commands: Sequence[Command]) -> str:
    """Why these cannot be meant together: two of them tell one port different things. Empty where they can."""
    told: dict[tuple[AgentPath, str], list[object]] = {}
    for sent in (one for command in commands for one in _sent(command)):
        for other in told.setdefault((sent.path, sent.port), []):
            if not _agree(other, sent.payload):
                return f"it asks for two things of {sent.path}.{sent.port} at once"
        told[sent.path, sent.port].append(sent.payload)
    return ""


def without(commands: Sequence[Command], is_out: Callable[[AgentPath], bool]) -> tuple[tuple[Command, ...], int]:
    """The commands without what goes to some agents, and how much that was."""
    kept, gone = [], 0
    for command in commands:
        sent = _sent(command)
        stays = [one for one in sent if not is_out(one.path)]
        gone += len(sent) - len(stays)
        if len(stays) == len(sent):
            kept.append(command)
        elif stays:
            first, *more = stays
            kept.append(msgspec.structs.replace(command, path=first.path, port=first.port, payload=first.payload, besides=tuple(more)))
    return tuple(kept), gone


def _sent(command: Command) -> list[Besides]:
    first = [] if command.path is None else [Besides(command.path, command.port, command.payload)]
    return [*first, *command.besides]


def _agree(one: object, other: object) -> bool:
    """Whether two payloads say nothing different: they are the same, or objects that are the same in what both have."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(other[name] == value for name, value in one.items() if name in other)
    return one == other
