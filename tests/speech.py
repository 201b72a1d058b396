"""Speech for tests, made by espeak-ng; and frames of it, as a microphone sends them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from edgematrix.agents.sound import wav_of
from edgematrix.agents.sound_file import sound_of

FRAME_BYTES = 1_024
FRAME_S = 0.032
SECOND = bytes(32_000)

needs_speech = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@cache
def spoken(text: str, voice: str = "en-us", speed: int = 150, pitch: int = 50) -> bytes:
    """What somebody says, 16 kHz; trailing silence is cut, so that it ends with the last voiced sample."""
    words = ["espeak-ng", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch), text]
    made = subprocess.run(words, capture_output=True, check=True).stdout
    pcm = sound_of(made[:40] + (len(made) - 44).to_bytes(4, "little") + made[44:], "espeak-ng")
    samples = memoryview(pcm).cast("h")
    last = next(place for place in range(len(samples) - 1, 0, -1) if abs(samples[place]) > 300)
    return pcm[: 2 * last + 2]


def frames(*sounds: bytes) -> Iterator[bytes]:
    """WAV files of 32 ms each."""
    pcm = b"".join(sounds)
    for place in range(0, len(pcm), FRAME_BYTES):
        yield wav_of(pcm[place : place + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))


async def say(publish: Callable[[bytes], object], *sounds: bytes, pace: float = 1.0) -> None:
    """Publish sound at its own pace, or so many times as fast."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, frame in enumerate(frames(*sounds)):
        await asyncio.sleep(max(0.0, began + number * FRAME_S / pace - loop.time()))
        publish(frame)
