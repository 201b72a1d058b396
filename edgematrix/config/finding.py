"""What a check found, by its path in the document; line and column are looked up when it is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from edgematrix.config.document import Document, in_file_order
from edgematrix.config.yaml_position import Key
from edgematrix.errors import Issue

__all__ = ["Finding", "dotted", "error", "issues_of", "told", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong (`error`) or looks wrong (`warning`).

    `at_key` tells that the key is meant, not its value. `offset` counts the characters
    of a text that stand before the place; None means the value as a whole.
    """

    severity: Literal["error", "warning"]
    path: tuple[Key, ...]
    what: str
    remedy: str = ""
    at_key: bool = False
    offset: int | None = None


def error(path: tuple[Key, ...], what: str, remedy: str = "", *, at_key: bool = False) -> Finding:
    """Something that keeps the matrix from being used."""
    return Finding("error", path, what, remedy, at_key)


def warning(path: tuple[Key, ...], what: str, remedy: str = "", *, at_key: bool = False) -> Finding:
    """Something that is probably not meant."""
    return Finding("warning", path, what, remedy, at_key)


def dotted(path: Iterable[Key]) -> str:
    """A path as people write it: `agents.hall.triggers.dark.do[0].publish`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def issues_of(findings: Iterable[Finding], document: Document | None, prefix: tuple[Key, ...] = ()) -> list[Issue]:
    """Findings as issues, with the places that they have in `document`.

    `prefix` is where in the document the findings' paths begin. Without a document there are no lines.
    """
    known = list(findings)
    if document is None:
        return [Issue(found.severity, found.what, path=dotted(found.path), remedy=found.remedy) for found in known]
    places = document.places({prefix + found.path for found in known})
    issues: list[Issue] = []
    for found in known:
        place = places[prefix + found.path]
        line, column = (place.key_line, place.key_column) if found.at_key else (place.line, place.column)
        if found.offset is not None and place.spells_out:
            column += found.offset + place.quoted
        issues.append(Issue(found.severity, found.what, place.file, line, column, dotted(prefix + found.path), found.remedy))
    return issues


def told(issues: Iterable[Issue], document: Document | None) -> list[Issue]:
    """Issues in file order, one for each place, and not too many of them."""
    return in_file_order(issues, [] if document is None else list(document.texts))
