"""Sentences with what they ask for, from a file: what an intent agent is measured with (docs/models.md, "Measure the cascade").

One JSON object a line:

    {"say": "kitchen light on", "kind": "plain", "want": [{"to": "kitchen/light.set", "payload": {"state": "ON"}}], "part": "tune"}

`want` holds all that is to be carried out, in any order; it is empty where nothing may be. `also` are other wants that are as good.
`kind` is one of `KINDS`; without it a sentence is plain, or unclear where it wants nothing. `part` is `tune` or `heldout`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal

import msgspec

from edgematrix.agents.device import Device
from edgematrix.agents.effect import Publish, Refuse
from edgematrix.agents.sentences import SENTENCE_LENGTH_MAX
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.errors import ConfigError, EdgeMatrixError, Issue, PathError, UsageError
from edgematrix.protocol.path import AgentPath

__all__ = ["DOING", "IDLE", "KINDS", "SENTENCES_MAX", "Command", "Receivers", "Sentence", "read_sentences"]

DOING: Final = ("plain", "paraphrase", "several")
"""Kinds of sentences that ask for something."""
IDLE: Final = ("negation", "question", "nonsense", "unclear", "attack")
"""Kinds of sentences after which nothing may be carried out."""
KINDS: Final = (*DOING, *IDLE)

SENTENCES_MAX: Final = 20_000
"""Of one file."""
_LINE_BYTES_MAX: Final = 65_536
_ISSUES_MAX: Final = 20
_WANTS_MAX: Final = 64

Kind = Literal["plain", "paraphrase", "several", "negation", "question", "nonsense", "unclear", "attack"]
Part = Literal["tune", "heldout"]


class Command(msgspec.Struct, frozen=True):
    """A payload for an input port."""

    path: AgentPath
    port: str
    payload: object

    def __str__(self) -> str:
        return f"{self.path}.{self.port} {msgspec.json.encode(self.payload).decode()}"


class Sentence(msgspec.Struct, frozen=True):
    """What is said, and what is to be carried out: all of one of `wants`, nothing where the first of them is empty."""

    say: str
    kind: str
    wants: tuple[tuple[Command, ...], ...]
    part: Part | None
    line: int


class Receivers:
    """Who may be told to do something: the input ports of a matrix, and what its devices take."""

    def __init__(self, tree: AgentTree, root: str) -> None:
        self._tree = tree
        self._root = root
        self._here = AgentPath(f"{tree.matrix.matrix}/who")  # a name of nobody: references are relative to the matrix
        self._devices: dict[AgentPath, Device] = {}

    def find(self, reference: str) -> tuple[AgentNode, str]:
        """The agent and the port that `room/lamp.set` means, from the matrix, or `/home/room/lamp.set`.

        Raises:
            PathError: there is no such agent or input; the remedy has the nearest.
        """
        target = self._tree.destination(reference, self._here)
        return target.node, target.port

    def refusal(self, path: AgentPath, port: str, payload: object) -> str:
        """Why a device does not take a command, whenever it comes; empty where it does, or where it is no device."""
        device = self._device(path)
        if device is None or port not in device.writes:
            return ""
        effects, _ = device.write(device.start(), port, payload, 0)
        return next((effect.reason for effect in effects if isinstance(effect, Refuse)), "")

    def sent(self, path: AgentPath, port: str, payload: object) -> object:
        """The command as the device reads it: a text that spells an object is that object."""
        device = self._device(path)
        if device is None or port not in device.writes:
            return payload
        effects, _ = device.write(device.start(), port, payload, 0)
        return next((effect.value for effect in effects if isinstance(effect, Publish)), payload)

    def is_critical(self, path: AgentPath, port: str) -> bool:
        """Whether a person has to agree where untrusted text asks for it."""
        node = self._tree.nodes.get(path)
        write = None if node is None or node.spec.device is None else node.spec.device.writes.get(port)
        return write is not None and bool(write.critical)

    def all(self) -> Iterator[tuple[AgentPath, str]]:
        """What devices, and boards that speak for themselves, can be told."""
        for node in self._tree:
            if node.spec.device is not None or node.is_board:
                yield from ((node.path, port) for port in sorted(self._tree.ports(node).inputs))

    def _device(self, path: AgentPath) -> Device | None:
        found = self._devices.get(path)
        node = self._tree.nodes.get(path)
        if found is None and node is not None and node.spec.device is not None:
            found = self._devices[path] = Device(node.spec.device, self._root)
        return found


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    payload: object


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    say: str
    want: list[_Wanted]
    also: list[list[_Wanted]] = []
    kind: Kind | None = None
    part: Part | None = None


_decode = msgspec.json.Decoder(_Line).decode


def read_sentences(file: Path, receivers: Receivers) -> list[Sentence]:
    """Read a file of sentences for the matrix of `receivers`.

    Raises:
        UsageError: it cannot be read, or holds no sentence.
        ConfigError: lines are wrong, each with its number and what is to be done; up to twenty are told.
    """
    found: list[Sentence] = []
    issues: list[Issue] = []
    known: dict[str, int] = {}
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LINE_BYTES_MAX + 1), b""), 1):
                if line.isspace():
                    continue
                try:
                    found.append(_sentence(line, number, known, receivers))
                except EdgeMatrixError as error:
                    issues.append(Issue("error", error.what, str(file), number, 0, error.where, error.remedy))
                if len(issues) == _ISSUES_MAX or len(line) > _LINE_BYTES_MAX:
                    break
                if len(found) > SENTENCES_MAX:
                    issues.append(Issue("error", f"there are more than {SENTENCES_MAX} sentences", str(file), number))
                    break
    except OSError as error:
        raise UsageError(f"the sentences cannot be read: {error.strerror}", where=str(file)) from None
    if issues:
        raise ConfigError(issues)
    if not found:
        raise UsageError("there is no sentence in this file", where=str(file), remedy='one a line: {"say": "…", "want": […]}')
    return found


def _sentence(text: bytes, number: int, known: dict[str, int], receivers: Receivers) -> Sentence:
    if len(text) > _LINE_BYTES_MAX:
        raise UsageError(f"the line has more than {_LINE_BYTES_MAX} bytes")
    try:
        line = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explained(str(error)) from None
    said = " ".join(line.say.casefold().split())
    if not said or len(line.say) > SENTENCE_LENGTH_MAX:
        raise UsageError(f"a sentence has from 1 to {SENTENCE_LENGTH_MAX} characters, this one has {len(line.say)}", where="say")
    if known.setdefault(said, number) != number:
        raise UsageError(f"the sentence stands in line {known[said]} already", where="say", remedy="it would count twice")
    kind = line.kind or ("plain" if line.want else "unclear")
    if bool(line.want) != (kind in DOING) or (line.also and not line.want):
        wrong = f"a sentence of the kind {kind} asks for nothing" if kind in IDLE else f"a sentence of the kind {kind} asks for something"
        raise UsageError(wrong, where="want", remedy=f"{', '.join(DOING)} have a `want`; {', '.join(IDLE)} have an empty one")
    return Sentence(line.say, kind, tuple(_wants(line, receivers)), line.part, number)


def _wants(line: _Line, receivers: Receivers) -> Iterator[tuple[Command, ...]]:
    if len(line.also) > _WANTS_MAX or max(map(len, (line.want, *line.also))) > _WANTS_MAX:
        raise UsageError(f"`want` and `also` hold at most {_WANTS_MAX} each", where="want")
    for place, wanted in enumerate((line.want, *line.also)):
        if not wanted and place:
            raise UsageError("it is empty", where=f"also.{place - 1}", remedy="what asks for nothing has an empty `want` and no `also`")
        yield tuple(_command(one, "want" if place == 0 else f"also.{place - 1}", receivers) for one in wanted)


def _command(wanted: _Wanted, where: str, receivers: Receivers) -> Command:
    try:
        node, port = receivers.find(wanted.to)
    except PathError as error:
        raise PathError(error.what, where=where, remedy=error.remedy) from None
    why = receivers.refusal(node.path, port, wanted.payload)
    if why:
        raise UsageError(f"{wanted.to} takes no {msgspec.json.encode(wanted.payload).decode()[:120]}: {why}", where=where)
    return Command(node.path, port, wanted.payload)


_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_AT = re.compile(r" - at `\$\.?(.*)`$")


def _explained(text: str) -> UsageError:
    """What msgspec says of a line, in our words where there are some."""
    unknown = _UNKNOWN.match(text)
    if unknown is not None:
        keys = _Wanted.__struct_fields__ if unknown[2] else _Line.__struct_fields__
        near = get_close_matches(unknown[1], keys, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(keys)}"
        return UsageError(f"unknown key {unknown[1][:40]!r}", remedy=remedy)
    at = _AT.search(text)
    where = at[1] if at is not None else ""
    return UsageError(_AT.sub("", text), where=where, remedy=f"kinds are {', '.join(KINDS)}" if where == "kind" else "")
