"""YAML to plain dicts, lists and scalars, straight from the parser's events.

No tree of nodes is made: for 10,000 rules that tree takes 90 MB and eight times the time of the parser itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import yaml
from yaml import events

from edgematrix.config.environment import credentials_in, has_password, substitute
from edgematrix.config.file_text import FILE_BYTES_MAX, read_text
from edgematrix.config.scalar import resolve_plain
from edgematrix.config.yaml_trouble import syntax_issue
from edgematrix.errors import ConfigError, Issue

__all__ = ["DEPTH_MAX", "INCLUDES_MAX", "INCLUDE_TAG", "LOADER", "NODES_MAX", "Reader", "Stage"]

DEPTH_MAX = 64
"""How deep mappings and lists may nest, included files counted in."""
NODES_MAX = 1_000_000
"""Values of a file, those that an alias repeats counted each time: a few lines of aliases can ask for billions."""
INCLUDES_MAX = 200
_INCLUDE_DEPTH_MAX = 8
_ISSUES_MAX = 200
INCLUDE_TAG = "!include"
MERGE = "<<"
_REMEDY = "use ${secret:name} in `broker:` or `api_key:`, or name it in `secrets:` of an agent with code (Context.secret)"

LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""libyaml's parser; PyYAML's own where it was built without."""


class Stage(msgspec.Struct):
    """Which mappings are made into objects as soon as they are read, so that their plain form need not be kept.

    `children` and `rest` are the stages of the values under certain keys, and under all others. `make` gives the object, or
    the mapping itself where it is not well-formed. What has an anchor stays plain, for others may merge it.

    `may_refer` is for a value that may refer to secrets: the address of a broker, the key of a model's server.
    """

    children: dict[str, Stage] = {}
    rest: Stage | None = None
    make: Callable[[dict[str, object]], object] | None = None
    may_refer: bool = False

    def child(self, key: str) -> Stage | None:
        """The stage of the value under a key."""
        return self.children.get(key, self.rest)


class _Anchored(msgspec.Struct, frozen=True):
    """What an alias stands for, how many values it holds, and how deep they nest."""

    value: object
    size: int
    height: int


class Reader:
    """Reads a file and what it includes. Problems gather in `issues`; `fatal` tells that no value came of it.

    `warnings` tells what is probably not meant.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.issues: list[Issue] = []
        self.warnings: list[Issue] = []
        self.texts: dict[str, str] = {}
        self.fatal = False
        self._variables = variables
        self._open: list[Path] = []
        self._nodes = 0
        self._bytes = 0
        self._includes = 0

    def read(self, file: str, text: str, depth: int = 0, stage: Stage | None = None) -> object:
        """The value of a whole file; None if its syntax is wrong."""
        self.texts[file] = text
        self._bytes += len(text)
        self._open.append(Path(file).resolve())
        try:
            return _Builder(self, file, text).document(depth, stage)
        except ConfigError as error:
            self.issues.extend(error.issues)
        except yaml.YAMLError as error:
            self.issues.append(syntax_issue(error, file, text))
        finally:
            self._open.pop()
        self.fatal = True
        return None

    def include(self, name: str, file: str, depth: int, stage: Stage | None) -> object:
        """The value of an included file.

        Raises:
            ValueError: it includes itself, or too much is included.
            ConfigError: it cannot be read.
        """
        path = Path(file).parent / name
        if path.resolve() in self._open:
            raise ValueError(f"{name} includes itself")
        self._includes += 1
        if self._includes > INCLUDES_MAX or len(self._open) > _INCLUDE_DEPTH_MAX:
            raise ValueError(f"more than {INCLUDES_MAX} files are included, or deeper than {_INCLUDE_DEPTH_MAX}")
        known = self.texts.get(str(path))
        text = read_text(path, FILE_BYTES_MAX - min(self._bytes, FILE_BYTES_MAX)) if known is None else known
        return self.read(str(path), text, depth, stage)

    def count(self, nodes: int) -> None:
        """Take note of values.

        Raises:
            ValueError: there are too many by now.
        """
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise ValueError(f"the file holds more than {NODES_MAX} values, aliases counted each time they are used")

    def counted(self) -> int:
        """How many values there are by now."""
        return self._nodes

    def report(self, what: str, file: str, event: events.Event) -> None:
        """Note an error and go on; ends the reading when there are too many."""
        self.issues.append(issue_at(what, file, event))
        if len(self.issues) > _ISSUES_MAX:
            raise ConfigError([])

    def warn(self, what: str, file: str, event: events.Event) -> None:
        """Note what is probably not meant; too many are not told."""
        if len(self.warnings) < _ISSUES_MAX:
            self.warnings.append(replace(issue_at(what, file, event), severity="warning"))

    def substitute(self, text: str) -> str:
        """`text` with the environment's values in it."""
        return substitute(text, self._variables)


def issue_at(what: str, file: str, event: events.Event) -> Issue:
    """An error where an event begins. A remedy may follow the text after a semicolon."""
    mark = event.start_mark
    assert mark is not None  # noqa: S101 - both parsers mark every event
    what, _, remedy = what.partition("; ")
    return Issue("error", what, file, mark.line + 1, mark.column + 1, remedy=remedy)


class _Builder:
    """Builds the value of one file."""

    def __init__(self, reader: Reader, file: str, text: str) -> None:
        self._reader = reader
        self._file = file
        self._next: Callable[[], Any] = LOADER(text).get_event
        self._anchors: dict[str, _Anchored] = {}
        self._texts: dict[str, str] = {}  # the same key or word is one object, however often it stands in the file

    def document(self, depth: int, stage: Stage | None) -> object:
        self._next()
        first = self._next()
        if type(first) is events.StreamEndEvent:
            return None
        value = self._value(self._next(), depth, stage)
        self._next()
        after = self._next()
        if type(after) is not events.StreamEndEvent:
            raise ConfigError([issue_at("a second document begins here, expected one per file; remove the --- line", self._file, after)])
        return value

    def _value(self, event: Any, depth: int, stage: Stage | None = None) -> object:
        kind = type(event)
        if kind is events.AliasEvent:
            return self._alias(event, depth)
        stage = None if event.anchor is not None else stage
        before = self._reader.counted()
        value = self._scalar(event, depth, stage) if kind is events.ScalarEvent else self._collection(event, depth, stage)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, self._reader.counted() - before + 1, _height(value))
        return value

    def _collection(self, event: Any, depth: int, stage: Stage | None) -> object:
        if event.tag is not None:
            self._reader.report(_tag_refused(event.tag), self._file, event)
        if depth >= DEPTH_MAX:
            raise ConfigError([issue_at(f"mappings and lists nest deeper than {DEPTH_MAX}", self._file, event)])
        if type(event) is not events.MappingStartEvent:
            return self._list(depth + 1)
        made = self._mapping(depth + 1, stage)
        return made if stage is None or stage.make is None else stage.make(made)

    def _count(self, event: events.Event, nodes: int) -> None:
        try:
            self._reader.count(nodes)
        except ValueError as error:
            raise ConfigError([issue_at(str(error), self._file, event)]) from None

    def _list(self, depth: int) -> list[object]:
        items: list[object] = []
        while type(event := self._next()) is not events.SequenceEndEvent:
            items.append(self._value(event, depth))
        self._count(event, len(items))
        return items

    def _mapping(self, depth: int, stage: Stage | None) -> dict[str, object]:
        found: dict[str, object] = {}
        merged: set[str] = set()
        while type(event := self._next()) is not events.MappingEndEvent:
            key = self._key(event, depth)
            value_event = self._next()
            value = self._value(value_event, depth, None if stage is None or key is None else stage.child(key))
            if key is None:
                continue
            if key == MERGE and not event.style:
                merged.update(self._merge(found, value, value_event))
            elif key in found and key not in merged:
                self._reader.report(f"the key {key[:80]!r} is there twice; one of them would be lost", self._file, event)
            else:
                merged.discard(key)
                found[key] = value
        self._count(event, len(found))
        return found

    def _key(self, event: Any, depth: int) -> str | None:
        if type(event) is not events.ScalarEvent:
            if type(event) is not events.AliasEvent:
                self._value(event, depth)
            what = "a key is a mapping, a list or an alias, expected a text; put quotes around a text with { or ["
            self._reader.report(what, self._file, event)
            return None
        if event.tag is not None or event.anchor is not None or not event.value:
            self._reader.report("expected a text as key, found a tag, an anchor or nothing", self._file, event)
            return None
        key: str = event.value
        return self._texts.setdefault(key, key)

    def _merge(self, found: dict[str, object], value: object, event: events.Event) -> set[str]:
        """Take over what a `<<` brings; a key that stands in the mapping itself wins."""
        new: set[str] = set()
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                self._reader.report("<< merges mappings, found something else; name one by an alias such as *base", self._file, event)
                return new
            for key, taken in part.items():
                if key not in found:
                    found[key] = taken
                    new.add(key)
        return new

    def _alias(self, event: Any, depth: int) -> object:
        found = self._anchors.get(event.anchor)
        if found is None:
            what = f"the alias *{event.anchor[:80]} has no anchor before it; put quotes around a text that begins with *"
            self._reader.report(what, self._file, event)
            return None
        self._count(event, found.size)
        if depth + found.height > DEPTH_MAX:
            raise ConfigError([issue_at(f"with this alias mappings and lists nest deeper than {DEPTH_MAX}", self._file, event)])
        return found.value

    def _scalar(self, event: Any, depth: int, stage: Stage | None) -> object:
        text: str = event.value
        plain: bool = event.implicit[0]
        try:
            if stage is not None and stage.may_refer and has_password(text):
                what = "a password stands in the file, for whoever reads it; write ${secret:name} for it, or @FILE for the address"
                self._reader.warn(what, self._file, event)
            if "${" in text:
                text = self._filled(event, text, may_refer=stage is not None and stage.may_refer)
            if event.tag is not None:
                return self._tagged(event.tag, text, depth, stage)
            value = resolve_plain(text) if plain else text
        except ValueError as error:
            self._reader.report(str(error), self._file, event)
            return text
        return self._texts.setdefault(value, value) if plain and type(value) is str else value

    def _filled(self, event: Any, text: str, *, may_refer: bool) -> str:
        """A text with the environment's values in it. It refers to secrets only where they may stand."""
        if "${env:" in text:
            if not may_refer:
                for name in credentials_in(text):
                    what = f"the value of {name} becomes part of the definition, which is published and kept; {_REMEDY}"
                    self._reader.warn(what, self._file, event)
            text = self._reader.substitute(text)
        if "${secret:" in text and not may_refer:
            from edgematrix.identity.reference import may_refer as refers  # noqa: PLC0415 - few files refer to secrets

            if refers(text):
                raise ValueError(f"a secret may not stand here, for what stands here is published, traced and kept; {_REMEDY}")
        return text

    def _tagged(self, tag: str, text: str, depth: int, stage: Stage | None) -> object:
        if tag != INCLUDE_TAG:
            raise ValueError(_tag_refused(tag))
        return self._include(text, depth, stage)

    def _include(self, name: str, depth: int, stage: Stage | None) -> object:
        try:
            return self._reader.include(name, self._file, depth, stage)
        except ConfigError as error:
            issue = error.issues[0]
            if issue.line:
                raise
            raise ValueError(f"{issue.file}: {issue.what}") from None


def _height(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_height, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_height, value), default=0)
    return 0


def _tag_refused(tag: str) -> str:
    return f"the tag {tag[:80]} is not known here; {INCLUDE_TAG} is the only one"
