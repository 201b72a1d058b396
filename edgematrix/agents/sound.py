"""Sound as it comes from a microphone: frames of 16 kHz, 16 bit, mono, each a small WAV file, as in Hermes' `audioFrame`."""

from __future__ import annotations

import struct
import wave
from io import BytesIO
from typing import Final

from edgematrix.errors import CodecError

__all__ = ["FRAME_BYTES_MAX", "RATE", "SAMPLE_BYTES", "pcm_of", "wav_of"]

RATE: Final = 16_000
"""Samples a second."""
SAMPLE_BYTES: Final = 2
FRAME_BYTES_MAX: Final = 2 * RATE * SAMPLE_BYTES
"""Of the sound of one frame: 2 s."""
_REMEDY: Final = "16 kHz, 16 bit, mono"


def pcm_of(payload: object) -> bytes:
    """The samples of one frame, little endian.

    Raises:
        CodecError: it is no WAV file, one that is cut off, too long, or sounds in another way.
    """
    if isinstance(payload, str):
        payload = payload.encode()  # bytes that spell a text came as one
    if not isinstance(payload, bytes):
        raise CodecError("the frame is no WAV file", remedy=_REMEDY)
    if payload[:4] != b"RIFF":
        raise CodecError(f"the frame is no WAV file, it begins with {payload[:4]!r}", remedy=_REMEDY)
    try:
        with wave.open(BytesIO(payload)) as file:
            channels, width, rate, said = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            pcm: bytes = file.readframes(min(said, FRAME_BYTES_MAX + 1))
    except (wave.Error, EOFError, struct.error, ValueError, OverflowError, RuntimeError) as error:
        raise CodecError(f"the frame is no WAV file that can be read: {str(error) or 'it is cut off'}", remedy=_REMEDY) from None
    if (rate, width, channels) != (RATE, SAMPLE_BYTES, 1):
        found = f"{rate} Hz, {8 * width} bit, {'mono' if channels == 1 else f'{channels} channels'}"
        raise CodecError(f"the frame has {found}, expected {RATE} Hz, {8 * SAMPLE_BYTES} bit, mono")
    if len(pcm) > FRAME_BYTES_MAX:
        raise CodecError(f"the frame has {said / RATE:g} s of sound, at most {FRAME_BYTES_MAX / RATE / SAMPLE_BYTES:g} s are taken")
    if len(pcm) != said * SAMPLE_BYTES:
        raise CodecError(f"the frame is cut off: it has {len(pcm)} of {said * SAMPLE_BYTES} bytes of sound")
    return pcm


def wav_of(pcm: bytes) -> bytes:
    """Samples as a WAV file, as one frame is."""
    target = BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return target.getvalue()
