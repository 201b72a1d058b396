"""A project as `init` makes it, that runs on a broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli_process import Running
from typer.testing import CliRunner

from edgematrix.cli import main


@contextmanager
def running_project(folder: Path, url: str, name: str) -> Iterator[Path]:
    """The folder of the project, while it runs by this name."""
    assert CliRunner().invoke(main.application(["init"]), ["init", str(folder)]).exit_code == 0
    running = Running("run", "home.yaml", "--broker", url, "--name", name, cwd=folder)
    try:
        running.wait_for("  connected")
        yield folder
    finally:
        running.kill()
