"""How a recording is played: from when, how fast, and which boards take part.

Beside `day.jsonl` may lie `day.play.yaml`:

    start: "2015-02-05T00:00:00Z"
    speed: 600
    boards:
      home/greenhouse/board: devices/greenhouse.py

A board's program is run by MicroPython with the broker's `HOST:PORT` and the path as its arguments, and finds `upy` there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass as definition

from edgematrix.config.document import read_document
from edgematrix.config.finding import Finding, error, issues_of
from edgematrix.config.validation import validate_document
from edgematrix.errors import ConfigError, PathError, UsageError
from edgematrix.protocol.fields import CLOSED, Number
from edgematrix.protocol.moment import parse_moment
from edgematrix.protocol.path import parse_path
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Board", "Play", "PlaySpec", "named_board", "play_beside", "player_words"]

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


def _moment(text: str) -> str:
    parse_moment(text)
    return text


@definition(frozen=True, slots=True, kw_only=True, config=CLOSED)
class PlaySpec:
    """The file beside a recording."""

    start: Annotated[str, AfterValidator(_moment)] | None = None
    speed: Annotated[Number, Field(gt=0, le=1_000_000)] | None = None
    boards: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Play:
    """How a recording is played. `start_us` is when it begins, since the epoch; None: now."""

    start_us: int | None = None
    speed: float | None = None
    boards: Sequence[Board] = ()


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


def play_beside(recording: Path) -> Play:
    """How a recording is to be played, as the file beside it says.

    Raises:
        ConfigError: that file is wrong, or a program is missing.
    """
    sidecar = recording.with_suffix(".play.yaml")
    if not sidecar.exists():
        return Play()
    document = read_document(sidecar)
    spec = validate_document(PlaySpec, document)
    boards = [Board(path, sidecar.parent / program) for path, program in spec.boards.items()]
    findings = [found for board in boards for found in _board_findings(board)]
    if findings:
        raise ConfigError(issues_of(findings, document, ()))
    return Play(None if spec.start is None else parse_moment(spec.start), spec.speed, boards)


def _board_findings(board: Board) -> Iterator[Finding]:
    place = ("boards", board.path)
    try:
        parse_path(board.path)
    except PathError as problem:
        yield error(place, problem.what, problem.remedy, at_key=True)
    if not board.program.is_file():
        yield error(place, f"there is no program {board.program}")


def player_words(recording: Path, url: str, speed: str) -> tuple[list[str], Mapping[str, str] | None]:
    """The words and the environment that start the player. Who connects stays out of the list of processes, as does a password."""
    options = ["--speed", speed, str(recording)]
    if urlsplit(url).username is None:
        return [sys.executable, "-m", "edgematrix.testing.player", "--url", url, *options], None
    return [sys.executable, "-c", _PLAY_FROM_ENVIRONMENT, *options], {**os.environ, _URL_VARIABLE: url}
