"""`edgematrix check`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say, style
from edgematrix.cli.finding import show_issue
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.document import Document
from edgematrix.config.finding import issues_of
from edgematrix.config.opened import Opened
from edgematrix.config.opening import open_matrix
from edgematrix.config.schema import json_schema
from edgematrix.errors import ConfigError, Issue, UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix check home.yaml
edgematrix check . --strict                              # every matrix in this folder; a warning fails too
edgematrix check --schema > matrix.schema.json           # for completion in an editor"""

_SUFFIXES = (".yaml", ".yml")
_SCENARIO = ".scenario"
_MATRIX_KEY = re.compile(r"^matrix\s*:", re.MULTILINE)


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Matrix files, or folders that hold some.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a matrix file instead.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="MODULE", help="An installed module that agents may come from.")
    ] = None,
) -> None:
    """Find what is wrong in matrix files, and what looks wrong.

    Each finding names file, line and column. The exit code is 1 if there is an error. The modules of agents with code that stand
    beside the matrix are imported, so that the types on both ends of an edge can be compared.
    """
    if schema:
        say(json.dumps(json_schema(), indent=2))
        return
    if not paths:
        raise UsageError("there is nothing to check", remedy="edgematrix check home.yaml")
    files = [file for path in paths for file in _files(path)]
    found: list[Issue] = []
    pushed: list[str] = []
    for file in files:
        found += _issues(file, allow or (), pushed)
    for issue in found:
        show_issue(issue)
    for line in pushed:
        say(line)
    errors = sum(issue.severity == "error" for issue in found)
    warnings = len(found) - errors
    summary = f"{_count(len(files), 'file')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    if errors or (strict and warnings):
        complain(style(f"✗ {summary}", fg="red"))
        raise typer.Exit(1)
    say(style(f"✓ {summary}", fg="green"))


def _files(path: Path) -> list[Path]:
    """The file itself, or the matrix files directly in a folder."""
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.suffix in _SUFFIXES and not file.stem.endswith(_SCENARIO) and _is_matrix(file)]
    if not files:
        raise UsageError(
            "there is no matrix file in this folder", where=str(path), remedy="a matrix file is YAML with a `matrix:` at its top"
        )
    return files


def _is_matrix(file: Path) -> bool:
    try:
        return _MATRIX_KEY.search(file.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return True


def _issues(file: Path, allowed: Collection[str], pushed: list[str]) -> list[Issue]:
    """What is wrong with a file. Of one that is right, `pushed` gets a line for each group that reads a board."""
    if file.stem.endswith(_SCENARIO):
        return [Issue("error", "is a scenario, not a matrix", str(file), remedy=f"edgematrix test {file}")]
    try:
        opened = open_matrix(file, allowed)
        pushed += _pushed_down(opened)
        return [*opened.warnings, *_missing_secrets(opened, file)]
    except ConfigError as error:
        return error.issues


def _pushed_down(opened: Opened) -> list[str]:
    """What boards judge themselves, and what not and why."""
    tree = AgentTree.of(opened.spec)
    if not any(node.is_board for node in tree):
        return []
    from edgematrix.config.board_rules import board_rules  # noqa: PLC0415 - few matrices have boards

    return [verdict.describe() for verdict in board_rules(tree)[1]]


def _missing_secrets(opened: Opened, file: Path) -> list[Issue]:
    """Secrets that cannot be read here; another host may have them."""
    spec = opened.spec
    if "${secret:" not in spec.broker and not any(node.spec.secrets for node in AgentTree.of(spec)):
        return []
    from edgematrix.config.check_secrets import missing  # noqa: PLC0415 - few matrices refer to any
    from edgematrix.config.launch import secrets_beside  # noqa: PLC0415

    document = Document(str(file), None, opened.texts) if opened.texts else None
    return issues_of(missing(spec, secrets_beside(file.parent)), document)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
