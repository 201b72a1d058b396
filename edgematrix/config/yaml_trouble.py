"""What the YAML parser found wrong, in words that say what to do."""

from __future__ import annotations

import re

import yaml

from edgematrix.errors import Issue

__all__ = ["syntax_issue"]

_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTES = "put quotes around the text"
_REMEDIES = (
    ("mapping values are not allowed", "a text with ': ' in it needs quotes; keys of one mapping stand in one column"),
    ("could not find expected ':'", "a key ends with ': '; a text over several lines needs quotes"),
    ("did not find expected key", "keys of one mapping stand in one column; a text after a quoted one needs quotes as a whole"),
    ("did not find expected ',' or", "close the { or [, or put quotes around a text with { } [ ] or , in it"),
    ("did not find expected '-' indicator", "items of one list stand in one column, each after '- '"),
    ("unexpected end of stream", "a quote is never closed"),
    ("did not find expected node content", "close the { or [, or put quotes around a text that begins with { or ["),
)


def syntax_issue(error: yaml.YAMLError, file: str, text: str) -> Issue:
    """The error as a finding with line and column."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _unreadable(error, file, text)
    mark = error.problem_mark
    line, column = mark.line + 1, mark.column + 1
    problem = error.problem or "it is malformed"
    lines = text.splitlines()
    found = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
    if found == "\t" or (mark.line < len(lines) and lines[mark.line][: mark.column + 1].lstrip(" ").startswith("\t")):
        return Issue("error", "a tab stands where YAML wants spaces", file, line, column, remedy="indent with spaces")
    what = f"this is no YAML: {problem}"
    if error.context and error.context_mark is not None:
        what += f", {error.context} that begins on line {error.context_mark.line + 1}"
    remedy = next((remedy for part, remedy in _REMEDIES if part in problem), "")
    if "cannot start any token" in problem:
        remedy = _QUOTES
    return Issue("error", what, file, line, column, remedy=remedy)


def _unreadable(error: yaml.YAMLError, file: str, text: str) -> Issue:
    bad = _NOT_PRINTABLE.search(text)
    if bad is None:
        return Issue("error", f"this is no YAML: {str(error)[:200]}", file)
    line = text.count("\n", 0, bad.start()) + 1
    column = bad.start() - text.rfind("\n", 0, bad.start())
    what = f"the character U+{ord(bad[0]):04X} may not stand in a YAML file"
    return Issue("error", what, file, line, column, remedy='write it as an escape in a text with double quotes, such as "\\0"')
