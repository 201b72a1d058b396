"""`edgematrix test`: scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import say, style
from edgematrix.errors import ConfigError, UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix test
edgematrix test scenarios/ night.scenario.yaml"""

_SUFFIX = ".scenario.yaml"


def command(
    paths: Annotated[list[Path] | None, typer.Argument(help="Scenario files, or folders with some in them. Default: here.")] = None,
    seed: Annotated[int, typer.Option(help="From which ids are made.")] = 0,
) -> None:
    """Run scenarios in virtual time. A failure shows what was expected beside what was seen, and why nothing fired."""
    from edgematrix.cli.finding import show_error  # noqa: PLC0415 - only who fails pays for it
    from edgematrix.testing.report import run_with_report  # noqa: PLC0415 - a wrong path is told first
    from edgematrix.testing.scenario import read_scenario  # noqa: PLC0415

    files = list(_files(paths or [Path()]))
    if not files:
        raise UsageError("there is no scenario here", remedy=f"name a file or a folder with *{_SUFFIX}")
    failed = 0
    for file in files:
        try:
            report = run_with_report(read_scenario(file), seed)
        except ConfigError as error:
            failed += 1
            show_error(error)
            continue
        if report.passed:
            say(f"{style('✓', fg='green')} {report.name}")
        else:
            failed += 1
            say(f"{style('✗', fg='red')} {report.text}")
    say(f"{len(files) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob(f"*{_SUFFIX}") if not any(part.startswith(".") for part in found.parts[:-1]))
        elif path.is_file():
            yield path
        else:
            raise UsageError("there is no such file or folder", where=str(path))
