"""Speech made of text by the program espeak-ng, where it is on PATH. It is another program, under its own licence (GPL-3)."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from edgematrix.errors import ModelError

__all__ = ["SPOKEN_MAX", "has_espeak", "speech_of"]

SPOKEN_MAX: Final = 500
"""Characters of one answer; the rest of it is not spoken."""
_PROGRAM: Final = "espeak-ng"
_TIMEOUT_S: Final = 10.0


def has_espeak() -> bool:
    """Whether it is there."""
    return shutil.which(_PROGRAM) is not None


def speech_of(text: str, speaker: str) -> bytes:
    """A text as a WAV file, 22.05 kHz, 16 bit, mono. It blocks.

    Raises:
        ModelError: the program is not there, takes too long, or does not know the voice.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise ModelError("answers are spoken by espeak-ng, which is not on PATH", remedy="apt install espeak-ng, or `answer: hermes`")
    words = [program, "--stdout", "--stdin", "-v", speaker]
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, the text comes on its input
            words, input=text[:SPOKEN_MAX].encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"espeak-ng does not speak: {error}") from None
    if done.returncode or not done.stdout.startswith(b"RIFF"):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(f"espeak-ng does not speak: {said[0][:200] if said else f'code {done.returncode}'}", remedy="espeak-ng --voices")
    size = len(done.stdout)  # it writes its length before it knows it
    return done.stdout[:4] + (size - 8).to_bytes(4, "little") + done.stdout[8:40] + (size - 44).to_bytes(4, "little") + done.stdout[44:]
