"""A message that was seen on the bus, as a line."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgematrix.cli.console import plain, style
from edgematrix.cli.display import clock_time, json_text, value_text
from edgematrix.errors import CodecError, EdgeMatrixError
from edgematrix.protocol.codec import decode
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import is_below
from edgematrix.protocol.topic import Kind, parse_topic

__all__ = ["Sighting", "json_line", "text_line"]

_COLOURS = {"out": "green", "in": "cyan", "state": "blue", "host": "blue", "part": "green", "dead": "red", "topic": "magenta"}
_KIND_WIDTH = 5
_SUBJECT_WIDTH = 36


@dataclass(frozen=True, slots=True)
class Sighting:
    """`kind` is that of the bus's topic, or `topic` for a foreign one; `subject` is `path.port`, or the topic."""

    at_us: int
    topic: str
    kind: str
    path: str
    port: str | None
    value: object
    qos: int
    retained: bool
    source: str = ""
    trail: Trail = NO_TRAIL
    problem: str = ""
    sequence: int | None = None

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.path if self.port is None else f"{self.path}.{self.port}"

    @classmethod
    def of(cls, topic: str, payload: bytes, qos: int, retained: bool, root: str) -> Sighting:
        """Read a message; one that breaks the rules is shown as it is, with what is wrong."""
        at_us = time.time_ns() // 1_000
        try:
            address = parse_topic(topic, root)
            kind, path, port = str(address.kind), str(address.path), address.port
        except EdgeMatrixError:
            kind, path, port = _unread(topic, root)
        try:
            message = decode(topic, payload, retained=retained, qos=qos)
        except CodecError as error:
            return cls(at_us, topic, kind, path, port, payload.decode(errors="replace"), qos, retained, problem=error.what)
        return cls(at_us, topic, kind, path, port, message.value, qos, retained, message.source, message.trail, sequence=message.sequence)


def text_line(seen: Sighting, before: str = "") -> str:
    """A line for people. What its subject shares with `before`, by whole names, is dim, so that a run of lines looks like a tree."""
    subject = plain(seen.subject)
    cut = _shared(subject, plain(before))
    shown = style(subject[:cut], dim=True) + subject[cut:]
    filling = " " * max(0, _SUBJECT_WIDTH - len(subject))
    notes = [text for text, said in (("retained", seen.retained), (f"from {seen.source}", not _is_own(seen))) if said]
    if seen.trail.taint:
        notes.append(f"tainted by {seen.trail.taint}")
    tail = style(f"  ({plain(', '.join(notes))})", dim=True) if notes else ""
    problem = style(f"  {plain(seen.problem)}", fg="red") if seen.problem else ""
    kind = style(seen.kind.ljust(_KIND_WIDTH), fg=_COLOURS.get(seen.kind, "yellow"))
    return f"{style(clock_time(seen.at_us), dim=True)}  {kind}  {shown}{filling}  {value_text(seen.value)}{tail}{problem}"


def json_line(seen: Sighting) -> str:
    """A line for programs."""
    trail = seen.trail
    optional = {
        "source": seen.source,
        "id": trail.id,
        "runid": trail.runid,
        "hops": trail.hops,
        "taint": trail.taint,
        "sequence": seen.sequence,
        "problem": seen.problem,
    }
    about = {"time": format_moment(seen.at_us), "topic": seen.topic, "kind": seen.kind}
    if seen.kind != "topic":
        about |= {"path": seen.path} if seen.port is None else {"path": seen.path, "port": seen.port}
    known = {name: value for name, value in optional.items() if value}
    return json_text({**about, "value": seen.value, "qos": seen.qos, "retained": seen.retained, **known})


def _shared(subject: str, before: str) -> int:
    """How many letters of `subject` are names that it has in common with `before`."""
    cut = 0
    for index, (letter, other) in enumerate(zip(subject, before, strict=False)):
        if letter != other:
            break
        if letter in "/.":
            cut = index + 1
    return cut


def _is_own(seen: Sighting) -> bool:
    """Whether the source is who one expects: the agent itself, or an ancestor."""
    return not seen.source or seen.source == seen.path or is_below(seen.path, seen.source)


def _unread(topic: str, root: str) -> tuple[str, str, str | None]:
    """Topics without an agent's path: foreign ones, and those of the bus that name an operator, a session or a host."""
    head, _, rest = topic.removeprefix(f"{root}/").partition("/")
    if topic.startswith(f"{root}/") and head in set(Kind):
        return head, rest, None
    return "topic", topic, None
