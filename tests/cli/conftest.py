"""A project as `init` makes it, and commands that are ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_process import Running
from typer.testing import CliRunner, Result

from edgematrix.cli import main


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Runs a command in this process. What `main` adds around it (errors as exit codes) is part of it."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main.application([str(argument) for argument in arguments]), [str(argument) for argument in arguments])

    return run


@pytest.fixture
def project(tmp_path: Path, cli: Callable[..., Result]) -> Path:
    """A new project."""
    folder = tmp_path / "my home"
    assert cli("init", folder).exit_code == 0
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts commands that go on; they are killed with the test."""
    started: list[Running] = []

    def run(*arguments: object, cwd: Path) -> Running:
        started.append(Running(*arguments, cwd=cwd, name=f"running{len(started)}"))
        return started[-1]

    yield run
    for running in started:
        running.kill()
