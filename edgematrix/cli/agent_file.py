"""A file with the definition of one agent, read and checked as far as it can be without its neighbours."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from edgematrix.cli.finding import show_issue
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.check_compiled import check_compiled
from edgematrix.config.check_composites import check_composites
from edgematrix.config.check_names import check_names
from edgematrix.config.document import Document, parse_document, read_document
from edgematrix.config.file_text import FILE_BYTES_MAX
from edgematrix.config.finding import Finding, issues_of, told
from edgematrix.config.spec import AgentSpec, LocationSpec, MatrixSpec
from edgematrix.config.validation import validate_document
from edgematrix.errors import ConfigError, Issue
from edgematrix.protocol.path import AgentPath

__all__ = ["read_agent"]

_STDIN = "<stdin>"
_KEYS = frozenset(field.name for field in fields(AgentSpec))
_SOMEWHERE = LocationSpec(lat=0.0, lon=0.0)
"""Where the matrix stands is known to its host alone; without any place each sun event would look wrong."""


def read_agent(file: str, path: AgentPath, root: str) -> dict[str, Any]:
    """The definition in a file, as plain values. What looks wrong in it nevertheless is told on standard error.

    Args:
        file: YAML; `-` for standard input.
        path: the agent that it is to define.
        root: what stands first in the bus's topics.

    Raises:
        ConfigError: it is no definition of an agent; each issue has line and column.
    """
    document = parse_document(_read_stdin(), _STDIN) if file == "-" else read_document(Path(file))
    _refuse_wrapped(document, path)
    spec = validate_document(AgentSpec, document)
    issues = told(issues_of(_findings(spec, path, root), document), document)
    if any(issue.severity == "error" for issue in issues):
        raise ConfigError([issue for issue in issues if issue.severity == "error"])
    for issue in issues:
        show_issue(issue)
    assert isinstance(document.value, dict)  # noqa: S101 - it would be no AgentSpec
    return document.value


def _read_stdin() -> str:
    raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError([Issue("error", f"is larger than {FILE_BYTES_MAX} bytes", _STDIN)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Issue("error", f"the byte 0x{raw[error.start]:02x} is not UTF-8", _STDIN, line)]) from None


def _refuse_wrapped(document: Document, path: AgentPath) -> None:
    """Tell who gives a whole matrix, or the definition with its name before it, what is wanted instead."""
    value, name = document.value, path.rpartition("/")[2]
    if not isinstance(value, Mapping):
        return
    what = ""
    if "matrix" in value:
        key, what = "matrix", "this is a whole matrix, expected the definition of one agent"
    elif list(value) == [name] and name not in _KEYS:
        key, what = name, "the agent's name stands in its path, expected the definition alone"
    if what:
        found = Finding("error", (key,), what, "give what stands below the agent's name in a matrix file", at_key=True)
        raise ConfigError(issues_of([found], document))


def _findings(spec: AgentSpec, path: AgentPath, root: str) -> Iterator[Finding]:
    """What is wrong with the agent by itself, by places in its own definition. Whom it refers to, its host knows."""
    name, *inner = path.split("/")
    agents: dict[str, AgentSpec] = {}
    for segment in reversed(inner):
        agents = {segment: AgentSpec(agents=agents) if agents else spec}
    tree = AgentTree.of(MatrixSpec(matrix=name, root=root, location=_SOMEWHERE, agents=agents))
    depth = 2 * len(inner)
    for found in (*tree.findings, *check_names(tree), *check_compiled(tree), *check_composites(tree)):
        if len(found.path) >= depth:
            yield msgspec.structs.replace(found, path=found.path[depth:])
