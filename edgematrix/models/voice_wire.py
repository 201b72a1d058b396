"""What a host and the process of a voice's models say to each other (`wire`), and what the process is told at its start."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Ears", "Noticed", "Sound", "Sounded"]


class Ears(msgspec.Struct, frozen=True):
    """How to listen. Times are in samples of 16 kHz.

    `arcs` are what can be said, from state 0 to 1: from, to, word; empty with whisper. `pronounced` are words with their phones, each
    in one of the ways in which it is said, `phones` all that there are, and `language` the folder of the acoustic model; or, with
    whisper, a language.
    """

    wake: str
    recognise: Literal["pocketsphinx", "whisper"]
    language: str
    pause: int
    patience: int
    longest: int
    arcs: tuple[tuple[int, int, str], ...] = ()
    pronounced: dict[str, list[str]] = {}
    phones: tuple[str, ...] = ()


class Sound(msgspec.Struct, frozen=True, array_like=True):
    """A piece of the stream: 16-bit samples. `after_gap`: something before it is lost.

    `button`: 1 listen now, 0 all is said, -1 nothing.
    """

    pcm: bytes
    after_gap: bool = False
    button: int = -1


class Noticed(msgspec.Struct, frozen=True, array_like=True):
    """What was noticed: the wake word, something said (words as spoken, or a text), or that nothing can be made of it."""

    kind: Literal["wake", "words", "text", "unheard"]
    text: str = ""
    confidence: float = 0.0


class Sounded(msgspec.Struct, frozen=True, array_like=True):
    """What was noticed in a piece. `is_awake`: somebody is listened to."""

    noticed: list[Noticed] = []
    is_awake: bool = False
