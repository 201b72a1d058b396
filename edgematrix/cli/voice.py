"""`edgematrix voice`."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from edgematrix.cli.console import complain, style
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.options import UrlOption
from edgematrix.cli.run_file import without_password
from edgematrix.cli.target import find_target
from edgematrix.errors import BusError, UsageError

if TYPE_CHECKING:
    from edgematrix.testing.recording import Recorded

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix voice play command.wav --site kitchen       # a WAV file, as if somebody spoke in the kitchen
edgematrix voice listen --site kitchen                 # the microphone of this machine, until Ctrl-C"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_FRAME_SAMPLES: Final = 512
_SILENCE_S: Final = 1.0
_SiteOption = Annotated[str, typer.Option("--site", metavar="SITE", help="The `site` of the agent that is to hear it.")]


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Publish a WAV file as a microphone would.",
    epilog="edgematrix voice play command.wav --site kitchen\nedgematrix voice play command.wav --site kitchen --url mqtt://192.168.1.10",
)
def play(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A WAV file, 16 bit, of any rate.")],
    site: _SiteOption,
    url: UrlOption = None,
) -> None:
    """Publish a WAV file as frames of 16 kHz mono, at its own pace, with half a second of silence before it and a second after it."""
    pcm = _read(file)
    target = find_target(url, None)
    complain(style(f"{file}, {len(pcm) / 32_000:.1f} s, to {_topic(site)} at {without_password(target.url)}", dim=True))
    padded = bytes(round(16_000 * _SILENCE_S)) + pcm + bytes(round(32_000 * _SILENCE_S))
    step = 2 * _FRAME_SAMPLES
    pieces = [padded[place : place + step] for place in range(0, len(padded), step)]
    _publish(target.url, (_frame(site, piece, place * _FRAME_SAMPLES * 1_000_000 // 16_000) for place, piece in enumerate(pieces)))


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Publish what this machine's microphone hears.",
    epilog="edgematrix voice listen --site kitchen\nedgematrix voice listen --site kitchen --device plughw:1,0",
)
def listen(
    site: _SiteOption,
    device: Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="One of `arecord -L`.")] = None,
    url: UrlOption = None,
) -> None:
    """Publish what a microphone hears, by the program arecord (package alsa-utils), until Ctrl-C."""
    program = shutil.which("arecord")
    if program is None:
        raise UsageError("arecord, which records from a microphone, is not on PATH", remedy="apt install alsa-utils")
    target = find_target(url, None)
    words = [program, "-q", "-t", "raw", "-f", "S16_LE", "-r", "16000", "-c", "1", *(["-D", device] if device else [])]
    complain(style(f"the microphone, to {_topic(site)} at {without_password(target.url)}; Ctrl-C ends", dim=True))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as recorder:  # noqa: S603 - the words are ours
        assert recorder.stdout is not None  # noqa: S101 - it was asked for
        assert recorder.stderr is not None  # noqa: S101
        try:
            _publish(target.url, _recorded(site, recorder.stdout))
        finally:
            recorder.terminate()
            said = recorder.stderr.read().decode(errors="replace").strip()
    raise BusError(f"arecord ended: {said.splitlines()[-1][:200] if said else 'it said nothing'}", remedy="arecord -L lists devices")


def _recorded(site: str, stream: IO[bytes]) -> Iterator[Recorded]:
    began_s = time.monotonic()
    while len(piece := stream.read(2 * _FRAME_SAMPLES)) == 2 * _FRAME_SAMPLES:
        yield _frame(site, piece, round((time.monotonic() - began_s) * 1_000_000))


def _publish(url: str, frames: Iterator[Recorded]) -> None:
    from edgematrix.testing.player import Player, perform  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - as above

    code = perform(Player(Endpoint.parse(url), speed=1.0), frames, 0, None)
    if code:
        raise typer.Exit(code)


def _frame(site: str, pcm: bytes, at_us: int) -> Recorded:
    from edgematrix.agents.sound import wav_of  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.testing.recording import Recorded  # noqa: PLC0415 - as above

    return Recorded(at_us, _topic(site), wav_of(pcm), False, 0)


def _topic(site: str) -> str:
    if not site or any(character in site for character in "/+#") or site.split() != [site]:
        raise UsageError(f"{site[:40]!r} is no site: a name without / + # and white space", where="--site")
    return f"hermes/audioServer/{site}/audioFrame"


def _read(file: Path) -> bytes:
    from edgematrix.agents.sound_file import sound_of  # noqa: PLC0415 - what is typed is checked first

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=str(file)) from None
    return sound_of(data, str(file))
