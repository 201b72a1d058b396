"""`edgematrix replay`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, style
from edgematrix.cli.options import Duration, UrlOption, read_duration
from edgematrix.cli.run_file import without_password
from edgematrix.cli.target import find_target
from edgematrix.errors import UsageError
from edgematrix.protocol.duration import format_duration

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix replay day.jsonl                             # to the run in this folder, as it was
edgematrix replay day.jsonl --speed 60                  # an hour in a minute
edgematrix replay day.jsonl --from 6h --until 9h --fast # as fast as the broker takes it
edgematrix replay day.jsonl --url mqtt://192.168.1.10"""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, one JSON object a line.")],
    speed: Annotated[str, typer.Option("--speed", metavar="N", help="How many seconds of it pass in one; or max.")] = "1",
    fast: Annotated[bool, typer.Option("--fast", help="As fast as the broker takes it: --speed max.")] = False,
    from_: Annotated[
        Duration | None, typer.Option("--from", metavar="AT", parser=read_duration, help="Begin here, such as 6h; it is now.")
    ] = None,
    until: Annotated[Duration | None, typer.Option("--until", metavar="AT", parser=read_duration, help="End here, included.")] = None,
    url: UrlOption = None,
) -> None:
    """Publish what was recorded, each message at its moment; what was retained is retained.

    The exit code is 1 if a message is lost, because the broker is away.
    """
    from edgematrix.testing.player import Player, perform  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.testing.recording import read_recording  # noqa: PLC0415 - as above
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - as above

    pace = _pace(speed, fast)
    from_us, until_us = from_.us if from_ else 0, until.us if until else None
    if until_us is not None and until_us < from_us:
        raise UsageError(f"it ends at {format_duration(until_us)}, before it begins", where="--until")
    messages = read_recording(file)
    target = find_target(url, None)
    player = Player(Endpoint.parse(target.url), speed=pace)
    shown = "as fast as it goes" if math.isinf(pace) else "as it was" if pace == 1 else f"{pace:g} times as fast"
    complain(style(f"{file} to {without_password(target.url)}, {shown}", dim=True))
    raise typer.Exit(perform(player, messages, from_us, until_us))


def _pace(speed: str, fast: bool) -> float:
    """How many seconds pass in one.

    Raises:
        UsageError: it is none, or there are two.
    """
    if fast and speed not in ("1", "max"):
        raise UsageError("--fast and --speed are two ways to say how fast", remedy="leave one of them out")
    try:
        pace = math.inf if fast or speed == "max" else float(speed)
    except ValueError:
        pace = math.nan
    if not pace > 0:
        raise UsageError(f"expected a number above 0, or max, found {speed[:40]!r}", where="--speed")
    return pace
