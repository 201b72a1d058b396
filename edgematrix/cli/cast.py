"""Who takes part when a recording is played: the player, and the boards that stand beside the recording.

Beside `day.jsonl` may lie `day.devices.yaml`: the path of each board's agent, and its program.

    home/greenhouse/board: devices/greenhouse.py

A program is run by MicroPython with the broker's `HOST:PORT` and the path as its arguments, and finds `upy` there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgematrix.config.document import read_document
from edgematrix.config.validation import validate_document
from edgematrix.errors import ConfigError, Issue, PathError, UsageError
from edgematrix.protocol.path import parse_path
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Board", "boards_beside", "named_board", "player_words"]

_URL_VARIABLE = "EDGEMATRIX_URL"
_PLAY_FROM_ENVIRONMENT = (
    f"import os, sys; from edgematrix.testing.player import main; sys.exit(main(['--url', os.environ['{_URL_VARIABLE}'], *sys.argv[1:]]))"
)


@dataclass(frozen=True, slots=True)
class Board:
    """A board's program, and the path of its agent."""

    path: str
    program: Path

    @property
    def name(self) -> str:
        """How it is called in what is shown."""
        return f"board {self.path}"

    def words(self, endpoint: Endpoint) -> tuple[list[str], Mapping[str, str]]:
        """The words and the environment that start it.

        Raises:
            UsageError: there is no MicroPython here, or the broker is none that a board can speak to.
        """
        from firmware_bridge import micropython  # noqa: PLC0415 - most runs have no board

        if endpoint.tls or endpoint.username is not None:
            raise UsageError("a board that is started here knows neither TLS nor a user", where=str(endpoint))
        place = f"{endpoint.host}:{endpoint.port}"
        return [*micropython.command(), str(self.program), place, self.path], micropython.environment()


def named_board(text: str) -> Board:
    """Read `PATH=PROGRAM.py`.

    Raises:
        UsageError: it is none, or there is no such program.
    """
    path, separator, program = text.partition("=")
    if not separator:
        raise UsageError(f"{text[:200]!r} names no program", where="--device", remedy="--device home/greenhouse/board=greenhouse.py")
    try:
        board = Board(parse_path(path), Path(program))
    except PathError as error:
        raise UsageError(error.what, where="--device", remedy=error.remedy) from None
    if not board.program.is_file():
        raise UsageError("there is no such program", where=program)
    return board


def boards_beside(recording: Path) -> list[Board]:
    """The boards that take part in a recording.

    Raises:
        ConfigError: the file that lists them is wrong, or a program is missing.
    """
    sidecar = recording.with_suffix(".devices.yaml")
    if not sidecar.exists():
        return []
    document = read_document(sidecar)
    listed = validate_document(dict[str, str], document)
    boards: list[Board] = []
    issues: list[Issue] = []
    places = document.places((path,) for path in listed)
    for path, program in listed.items():
        found = Board(path, sidecar.parent / program)
        place = places[path,]
        try:
            parse_path(path)
        except PathError as error:
            issues.append(Issue("error", error.what, place.file, place.key_line, place.key_column, remedy=error.remedy))
        if not found.program.is_file():
            issues.append(Issue("error", f"there is no program {found.program}", place.file, place.line, place.column))
        boards.append(found)
    if issues:
        raise ConfigError(issues)
    return boards


def player_words(recording: Path, url: str, speed: str) -> tuple[list[str], Mapping[str, str] | None]:
    """The words and the environment that start the player. A password stays out of the list of processes."""
    options = ["--speed", speed, str(recording)]
    if urlsplit(url).password is None:
        return [sys.executable, "-m", "edgematrix.testing.player", "--url", url, *options], None
    return [sys.executable, "-c", _PLAY_FROM_ENVIRONMENT, *options], {**os.environ, _URL_VARIABLE: url}
