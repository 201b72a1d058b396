"""Where values stand in a YAML file: a second reading that keeps only what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from yaml import events

from edgematrix.config.yaml_build import INCLUDE_TAG, LOADER, MERGE

__all__ = ["Key", "Place", "locate"]

Key = str | int
"""One step into a document: the key of a mapping, or the index of a list (also as text)."""

_STARTS = (events.MappingStartEvent, events.SequenceStartEvent)
_ENDS = (events.MappingEndEvent, events.SequenceEndEvent)


class Place(msgspec.Struct, frozen=True):
    """Where a value and its key stand; lines and columns count from 1.

    `spells_out` tells that the file has a text's characters one by one on this line, after `quoted` quotes.
    """

    file: str
    line: int
    column: int
    key_line: int
    key_column: int
    spells_out: bool = False
    quoted: int = 0


class _Wanted(msgspec.Struct):
    """A tree of the paths that are asked for, and what was found at each."""

    children: dict[Key, _Wanted] = {}
    place: Place | None = None


def locate(texts: Mapping[str, str], file: str, wanted: Iterable[tuple[Key, ...]]) -> dict[tuple[Key, ...], Place]:
    """The places of paths in a file that was read without error, and in what it includes.

    A path that the file does not spell out (what an alias or a merge brought, what is missing) gets the place of what holds it.
    """
    paths = list(wanted)
    root = _Wanted()
    for path in paths:
        node = root
        for key in path:
            node = node.children.setdefault(key, _Wanted())
    if paths:
        _Locator(texts, file).document(root, Place(file, 1, 1, 1, 1))
    return {path: _nearest(root, path) for path in paths}


def _nearest(root: _Wanted, path: tuple[Key, ...]) -> Place:
    found = root.place
    node = root
    for key in path:
        node = node.children[key]
        found = node.place or found
    assert found is not None  # noqa: S101 - the root always has a place
    return found


class _Locator:
    """Walks the events of one file along the wanted paths."""

    def __init__(self, texts: Mapping[str, str], file: str) -> None:
        self._texts = texts
        self._file = file
        self._next: Callable[[], Any] = LOADER(texts[file]).get_event

    def document(self, root: _Wanted, fallback: Place) -> None:
        root.place = fallback
        self._next()
        if type(self._next()) is events.StreamEndEvent:
            return
        event = self._next()
        self._value(event, event, root)

    def _value(self, event: Any, key_event: Any, wanted: _Wanted) -> None:
        mark, key_mark = event.start_mark, key_event.start_mark
        quoted, spells_out = _spelling(event) if type(event) is events.ScalarEvent else (0, False)
        wanted.place = Place(self._file, mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1, spells_out, quoted)
        if type(event) is events.MappingStartEvent:
            self._mapping(wanted)
        elif type(event) is events.SequenceStartEvent:
            self._list(wanted)
        elif type(event) is events.ScalarEvent and event.tag == INCLUDE_TAG:
            included = str(Path(self._file).parent / event.value)
            if included in self._texts and wanted.children:
                _Locator(self._texts, included).document(wanted, wanted.place)

    def _mapping(self, wanted: _Wanted) -> None:
        spelt: set[Key] = set()
        merge: Any = None
        while type(key := self._next()) is not events.MappingEndEvent:
            if type(key) is not events.ScalarEvent:
                self._skip(key)
                self._skip(self._next())
                continue
            child = wanted.children.get(key.value)
            value = self._next()
            if key.value == MERGE and not key.style:
                merge = key
            if child is None or key.value in spelt:
                self._skip(value)
            else:
                spelt.add(key.value)
                self._value(value, key, child)
        if merge is not None:
            mark = merge.start_mark
            for name, child in wanted.children.items():
                if name not in spelt:
                    child.place = Place(self._file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1)

    def _list(self, wanted: _Wanted) -> None:
        index = 0
        while type(event := self._next()) is not events.SequenceEndEvent:
            child = wanted.children.get(index) or wanted.children.get(str(index))
            if child is None:
                self._skip(event)
            else:
                self._value(event, event, child)
            index += 1

    def _skip(self, event: Any) -> None:
        depth = 1 if isinstance(event, _STARTS) else 0
        while depth:
            kind = type(self._next())
            if kind in _STARTS:
                depth += 1
            elif kind in _ENDS:
                depth -= 1


def _spelling(event: Any) -> tuple[int, bool]:
    quoted = 1 if event.style in ("'", '"') else 0
    length = event.end_mark.index - event.start_mark.index
    return quoted, event.style not in ("|", ">") and length == len(event.value) + 2 * quoted
