"""A command that runs in the test's own process, to its end: it starts faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from edgematrix.cli import main

__all__ = ["Command", "Done", "command_in"]


class Done(NamedTuple):
    """What has come of it, as of a process."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]
"""Called with the words, and with `cwd` for another folder."""


def command_in(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """What runs a command in a folder."""
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(folder)

    def run(*words: object, cwd: Path = folder) -> Done:
        monkeypatch.chdir(cwd)
        code = main.main([str(word) for word in words])
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run
