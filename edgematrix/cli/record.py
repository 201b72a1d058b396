"""`edgematrix record`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, plain, shorten, style
from edgematrix.cli.options import Duration, ForOption, UrlOption
from edgematrix.cli.stop import on_stop
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.visit import visit
from edgematrix.errors import TopicError, UsageError
from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.filter import TopicFilter
from edgematrix.testing.recorder import Recorder

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix record --out day.jsonl                          # what the matrix that runs here listens to, until Ctrl-C
edgematrix record 'zigbee2mqtt/#' --out day.jsonl --for 1d
edgematrix record 'tele/+/SENSOR' --count 100 > sensors.jsonl
edgematrix simulate home.yaml --input day.jsonl            # what to do with it"""

_FILTERS_SHOWN_MAX = 5
_REASONS_SHOWN_MAX = 10
_MICROSECOND_NS = 1_000


def command(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="MQTT filters. Default: what the matrix that runs here listens to.")
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Where it goes; - for standard output.")] = "-",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    duration: ForOption = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.")] = None,
    url: UrlOption = None,
) -> None:
    """Record what is published, one JSON object a line, until Ctrl-C: for `simulate`, `replay`, and `run --play`.

    With both --for and --count the exit code is 1 if there were fewer messages in that time.
    """
    given = [_subscription(text) for text in filters or ()]
    target = find_target(url, None)
    wanted = given or _heard_by_matrix(target)
    with _opened(out, force) as file:
        recording = Recording(Recorder(file), count, file if Path(out).is_file() and out != "-" else None)
        _introduce(wanted, out)
        asyncio.run(_record(target, wanted, recording, duration))
        _conclude(recording)
    if recording.failure is not None:
        raise recording.failure
    if recording.refused or (count is not None and duration is not None and recording.recorder.count < count):
        raise typer.Exit(1)


@dataclass(slots=True)
class Recording:
    """How far it is. Times are those of the monotonic clock, in microseconds. `before` is a file that is emptied at the beginning."""

    recorder: Recorder
    count_max: int | None
    before: FileIO | None
    began_us: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: OSError | None = None
    refused: bool = False

    def begin(self) -> None:
        """Time 0 is now, unless a message was faster."""
        if self.began_us is None:
            if self.before is not None:
                self.before.truncate(0)
            self.began_us = time.monotonic_ns() // _MICROSECOND_NS

    @property
    def elapsed_us(self) -> int:
        """Since time 0."""
        return 0 if self.began_us is None else time.monotonic_ns() // _MICROSECOND_NS - self.began_us

    def take(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Write one message."""
        if self.ended.is_set():
            return
        try:
            self.begin()
            self.recorder.take(self.elapsed_us, topic, payload, retain=retained, qos=qos)
        except OSError as error:
            self.failure = error
            self.ended.set()
        if self.recorder.count == self.count_max:
            self.ended.set()


async def _record(target: Target, filters: Sequence[str], recording: Recording, duration: Duration | None) -> None:
    with on_stop(recording.ended.set):
        async with visit(target.url, filters, recording.take, qos=1, changed=_note) as guest:
            recording.begin()
            ended = asyncio.create_task(recording.ended.wait())
            waited = {ended, guest.running} if guest.running else {ended}
            await asyncio.wait(waited, timeout=None if duration is None else duration.seconds, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            recording.ended.set()
            for trouble in guest.trouble:
                recording.refused = True
                _note(trouble)
            if guest.running is not None and guest.running.done():
                guest.running.result()


def _subscription(text: str) -> str:
    try:
        return TopicFilter.parse(text).subscription
    except TopicError as error:
        raise UsageError(error.what, remedy="such as 'zigbee2mqtt/#'") from None


def _heard_by_matrix(target: Target) -> list[str]:
    """What the sources of the matrix that runs here listen to."""
    if target.run is None:
        raise UsageError("no matrix runs here that tells what to record", remedy="name filters, such as 'zigbee2mqtt/#'")
    from edgematrix.config.hearing import foreign_filters  # noqa: PLC0415 - who names filters needs no matrix
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - as above

    found = foreign_filters(open_matrix(Path(target.run.matrix), imports=False).spec)
    if not found:
        raise UsageError("the matrix listens to nothing outside its root", where=target.run.matrix, remedy="name filters")
    return found


@contextmanager
def _opened(out: str, force: bool) -> Iterator[FileIO]:
    """The file, unbuffered: what is written is written. One that nothing was written to is not left behind, nor emptied."""
    if out == "-":
        with FileIO(sys.stdout.fileno(), "wb", closefd=False) as file:
            yield file
        return
    path = Path(out)
    is_there = path.exists()
    if path.is_file() and path.stat().st_size and not force:
        raise UsageError("is there already", where=out, remedy="name another file, or write over it with --force")
    try:
        file = FileIO(out, "ab")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=out) from None
    with file:
        try:
            yield file
        except BaseException:
            if not is_there and file.tell() == 0:
                path.unlink(missing_ok=True)
            raise


def _introduce(filters: Sequence[str], out: str) -> None:
    more = f" and {len(filters) - _FILTERS_SHOWN_MAX} more" if len(filters) > _FILTERS_SHOWN_MAX else ""
    place = "standard output" if out == "-" else out
    complain(style(f"recording {', '.join(filters[:_FILTERS_SHOWN_MAX])}{more} to {place}; Ctrl-C ends", dim=True))


def _conclude(recording: Recording) -> None:
    recorder = recording.recorder
    span = format_duration(recording.elapsed_us // SECOND_US * SECOND_US)
    sign = style("✓", fg="green") if recorder.count else style("!", fg="yellow")
    complain(f"{sign} {recorder.count} messages on {len(recorder.topics)} topics in {span}")
    for reason, times in recorder.left_out.most_common(_REASONS_SHOWN_MAX):
        complain(style(f"  left out {times}: {plain(shorten(reason, 200))}", fg="yellow"))


def _note(text: str) -> None:
    complain(style(text, fg="yellow"))
