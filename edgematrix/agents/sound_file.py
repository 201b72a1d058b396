"""A WAV file of any rate as the samples that a microphone's frames have."""

from __future__ import annotations

import struct
import sys
import wave
from array import array
from io import BytesIO
from typing import Final

from edgematrix.agents.resampling import resampled
from edgematrix.agents.sound import RATE, SAMPLE_BYTES
from edgematrix.errors import UsageError

__all__ = ["SOUND_S_MAX", "sound_of"]

SOUND_S_MAX: Final = 600
"""Longer files are none that somebody says."""
_RATES: Final = range(4_000, 200_000)


def sound_of(data: bytes, where: str) -> bytes:
    """The sound of a file at 16 kHz, 16 bit; of several channels their mean.

    Raises:
        UsageError: it is no WAV file, has no 16-bit samples, or is too long.
    """
    try:
        with wave.open(BytesIO(data)) as file:
            channels, width, rate, said = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            frames: bytes = file.readframes(min(said, SOUND_S_MAX * max(rate, 1) + 1))
    except (wave.Error, EOFError, struct.error, ValueError, OverflowError, RuntimeError) as error:
        raise UsageError(f"it is no WAV file that can be read: {str(error) or 'it is cut off'}", where=where) from None
    if width != SAMPLE_BYTES or rate not in _RATES:
        found = f"it has {8 * width} bit at {rate} Hz, expected 16 bit"
        raise UsageError(found, where=where, remedy="ffmpeg -i FILE -ar 16000 -ac 1 -c:a pcm_s16le NEW.wav")
    samples = array("h", frames[: len(frames) // (SAMPLE_BYTES * channels) * SAMPLE_BYTES * channels])
    if sys.byteorder == "big":
        samples.byteswap()
    if len(samples) > SOUND_S_MAX * rate * channels:
        raise UsageError(f"it is longer than {SOUND_S_MAX} s", where=where)
    if channels > 1:
        samples = array("h", [sum(samples[place : place + channels]) // channels for place in range(0, len(samples), channels)])
    return resampled(samples, rate, RATE).tobytes()
