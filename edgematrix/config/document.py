"""A YAML file as plain values, and where in it (or in what it includes) each value stands.

Positions are not kept: a second reading finds those that are asked for, which costs a correct file nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from edgematrix.config.file_text import read_text
from edgematrix.config.yaml_build import Reader, Stage
from edgematrix.config.yaml_position import Key, Place, locate
from edgematrix.errors import ConfigError, Issue

__all__ = ["ISSUES_MAX", "Document", "Key", "Place", "in_file_order", "parse_document", "read_document"]

ISSUES_MAX = 50
"""How many errors of one file are told; the rest waits until these are mended."""


class Document(msgspec.Struct):
    """What a file holds. `issues` are errors that did not keep it from being read, such as a variable that is not set.

    `warnings` tells what is probably not meant.
    """

    file: str
    value: object
    texts: dict[str, str] = {}
    """The text of the file and of all that it includes, by name."""
    issues: list[Issue] = []
    warnings: list[Issue] = []

    def places(self, wanted: Iterable[tuple[Key, ...]]) -> dict[tuple[Key, ...], Place]:
        """Where the values at these paths stand; for what is not in the file, what holds it."""
        return locate(self.texts, self.file, wanted)


def read_document(path: Path, variables: Mapping[str, str] | None = None, stage: Stage | None = None) -> Document:
    """Read a file and what it includes.

    Args:
        path: the file.
        variables: stands in for the environment.
        stage: what of it is made into objects at once.

    Raises:
        ConfigError: it cannot be read, or is no YAML.
    """
    return parse_document(read_text(path), str(path), variables, stage)


def parse_document(
    text: str,
    file: str,
    variables: Mapping[str, str] | None = None,
    stage: Stage | None = None,
    texts: Mapping[str, str] | None = None,
) -> Document:
    """Read YAML that is at hand as text; `file` is its name, and what it includes lies beside it, unless it is in `texts`.

    Raises:
        ConfigError: it is no YAML.
    """
    reader = Reader(os.environ if variables is None else variables)
    reader.texts.update(texts or {})
    value = reader.read(file, text, stage=stage)
    if reader.fatal:
        raise ConfigError(in_file_order(reader.issues, list(reader.texts)))
    return Document(file, value, reader.texts, _sorted(reader.issues, list(reader.texts)), reader.warnings)


def in_file_order(issues: Iterable[Issue], files: list[str]) -> list[Issue]:
    """Issues as a reader meets them, one for each place in the tree, at most `ISSUES_MAX`.

    What is wrong with the YAML itself hides what follows from it at the same place.
    """
    ordered = _sorted(issues, files)
    malformed = {(issue.file, issue.line, issue.column) for issue in ordered if issue.line and not issue.path}
    first: dict[tuple[object, ...], Issue] = {}
    for issue in ordered:
        place = (issue.file, issue.line, issue.column)
        if not issue.path or place not in malformed:
            first.setdefault((*place, issue.severity, issue.path or issue.what), issue)
    kept = list(first.values())
    if len(kept) <= ISSUES_MAX:
        return kept
    last = kept[ISSUES_MAX - 1]
    more = Issue(last.severity, f"and {len(kept) - ISSUES_MAX} more", last.file)
    return [*kept[:ISSUES_MAX], more]


def _sorted(issues: Iterable[Issue], files: list[str]) -> list[Issue]:
    rank = {file: position for position, file in enumerate(files)}
    return sorted(issues, key=lambda issue: (rank.get(issue.file, len(rank)), issue.line, issue.column))
