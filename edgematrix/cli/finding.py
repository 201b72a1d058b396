"""Errors and warnings as people read them: where, what, the line itself, what to do."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from edgematrix.cli.console import complain, plain, style
from edgematrix.errors import ConfigError, EdgeMatrixError, Issue

__all__ = ["show_error", "show_issue"]

_PASSWORD = re.compile(r"(://(?:\$\{[^{}]*\}|[^/?@:\s$])*:)(?!\$\{)([^/?@\s]+)(?=@)")
"""In an address: a line is shown to whoever looks at the screen, or reads a build's log."""
_WORD = re.compile(r"[^\s:,\[\]{}]+")
_CONTEXT_WIDTH = 120
"""Columns of a source line that are shown."""


def show_error(error: EdgeMatrixError) -> None:
    """Tell on standard error what went wrong."""
    if isinstance(error, ConfigError):
        for issue in error.issues:
            show_issue(issue)
        return
    where = f"{plain(error.where)}: " if error.where else ""
    for line in _lines(f"{where}{style('error:', fg='red', bold=True)} ", error.what, error.remedy):
        complain(line)


def show_issue(issue: Issue) -> None:
    """Tell one finding on standard error, with the line that it is about."""
    place = ":".join(str(part) for part in (plain(issue.file), issue.line, issue.column) if part)
    colour = "yellow" if issue.severity == "warning" else "red"
    head = f"{style(place, bold=True)}: " if place else ""
    at = style(f"  at {plain(issue.path)}", dim=True) if issue.path else ""
    complain(f"{head}{style(issue.severity + ':', fg=colour, bold=True)} {_body(issue.what)}{at}")
    for line in _source(issue, colour):
        complain(line)
    if issue.remedy:
        complain(f"  → {_body(issue.remedy)}")


def _lines(head: str, what: str, remedy: str) -> list[str]:
    told = [head + _body(what)]
    if remedy:
        told.append(f"  → {_body(remedy)}")
    return told


def _body(text: str) -> str:
    """Several lines stay several lines, indented."""
    return "\n  ".join(plain(line) for line in text.splitlines())


def _source(issue: Issue, colour: str) -> list[str]:
    if not issue.line:
        return []
    lines = _lines_of(issue.file)
    if issue.line > len(lines):
        return []
    line = _PASSWORD.sub(lambda found: found[1] + "*" * len(found[2]), lines[issue.line - 1])
    text = "".join(letter if letter.isprintable() else " " for letter in line)
    column = min(max(issue.column, 1), len(text) + 1) - 1
    found = _WORD.match(text, column)
    marked = found[0] if found and issue.column else text[column : column + 1]
    start = max(0, column - _CONTEXT_WIDTH // 2)
    shown = text[start : start + _CONTEXT_WIDTH]
    number = str(issue.line)
    gutter = " " * len(number)
    before = " " * _width(shown[: column - start])
    carets = "^" * max(1, min(_width(marked), _CONTEXT_WIDTH - len(before)))
    return [
        f"  {style(number + ' │', dim=True)} {shown.rstrip()}",
        f"  {style(gutter + ' │', dim=True)} {before}{style(carets, fg=colour, bold=True)}",
    ]


@lru_cache(maxsize=16)
def _lines_of(file: str) -> list[str]:
    """The lines of a file; none if it is gone by now, or is no text."""
    try:
        return Path(file).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError):
        return []


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
