"""Says in a file what runs here, for as long as it runs; and keeps a second run off the same states."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgematrix.cli.run_file import FOLDER, RunFile, live_run, process_birth
from edgematrix.errors import BusError
from edgematrix.protocol.moment import format_moment

__all__ = ["announced", "refuse_second_run"]


def refuse_second_run(state: Path) -> None:
    """Make sure that nobody else works on these states.

    Raises:
        BusError: a run does.
    """
    other = live_run(state)
    if other is not None:
        raise BusError(
            f"{other.matrix} runs here already, as process {other.pid}",
            where=str(state),
            remedy="end it, or keep the states of this run elsewhere with --state DIR",
        )


@contextmanager
def announced(state: Path, *, url: str, matrix: Path, name: str, root: str, host: str) -> Iterator[None]:
    """Leave `run.json` in the folder of the states and in this project's, where no other run's is.

    Raises:
        UsageError: a folder cannot be written.
    """
    run = RunFile(
        url=url,
        matrix=str(matrix.absolute()),
        name=name,
        root=root,
        host=host,
        pid=os.getpid(),
        birth=process_birth(os.getpid()),
        started=format_moment(time.time_ns() // 1_000),
        state=str(state.absolute()),
    )
    project = Path(FOLDER)
    folders = [state] if live_run(project) is not None or project.absolute() == state.absolute() else [state, project]
    try:
        for folder in folders:
            run.write(folder)
        yield
    finally:
        for folder in folders:
            run.remove(folder)
