"""Where an utterance begins and ends: with detectors that say what they are told, so that nothing of it depends on a model."""

from __future__ import annotations

from array import array

import pytest

from edgematrix.models.voice_session import PIECE, VoiceSession
from edgematrix.models.voice_wire import Ears, Noticed, Sound

SILENCE, SPEECH, WAKE = (array("h", [level, -level] * (PIECE // 2)).tobytes() for level in (0, 1_000, 2_000))
SECOND = 31


class Told:
    """A recogniser that counts what it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.is_whole = True
        self.busy = False

    def begin(self) -> None:
        assert not self.busy
        self.busy = True
        self.given.append(0)

    def hear(self, pcm: bytes) -> None:
        assert self.busy
        self.given[-1] += 1

    def finish(self) -> Noticed:
        self.drop()
        return Noticed("words", "done", 1.0)

    def drop(self) -> None:
        assert self.busy
        self.busy = False


def session(wake: str = "none") -> tuple[VoiceSession, Told]:
    told = Told()
    ears = Ears(wake, "pocketsphinx", "", pause=4_800, patience=5 * 16_000, longest=15 * 16_000)
    word = (lambda pcm: 1.0 if pcm == WAKE else 0.0) if wake == "alexa" else None
    return VoiceSession(ears, told, lambda pcm: 1.0 if pcm != SILENCE else 0.0, word), told


def heard(found: VoiceSession, *pieces: tuple[bytes, int], cut: int = 1_000) -> list[tuple[str, str]]:
    """What is noticed; the sound comes in frames of another size than pieces have."""
    sound = b"".join(piece * count for piece, count in pieces)
    noticed = [found.answer(Sound(sound[place : place + cut])).noticed for place in range(0, len(sound), cut)]
    return [(one.kind, one.text) for some in noticed for one in some]


def test_what_is_said_ends_with_a_pause() -> None:
    found, told = session()
    assert heard(found, (SILENCE, SECOND), (SPEECH, SECOND), (SILENCE, 9)) == []
    assert heard(found, (SILENCE, 2)) == [("words", "done")]
    assert told.given == [12 - 1 + SECOND + 10]  # with what came right before it


def test_a_sentence_that_is_not_whole_is_waited_for() -> None:
    found, told = session()
    told.is_whole = False
    assert heard(found, (SPEECH, SECOND), (SILENCE, 13), (SPEECH, 10), (SILENCE, 13)) == []
    told.is_whole = True
    assert heard(found, (SILENCE, 2)) == [("words", "done")]


def test_a_click_is_nothing() -> None:
    found, told = session()
    assert heard(found, (SPEECH, 3), (SILENCE, SECOND)) == []
    assert not told.busy


def test_after_the_wake_word_somebody_may_take_their_time_and_may_say_nothing() -> None:
    found, told = session("alexa")
    assert heard(found, (SPEECH, SECOND), (SILENCE, SECOND)) == []
    assert heard(found, (WAKE, 1), (SILENCE, 2 * SECOND), (SPEECH, 20), (SILENCE, 11)) == [("wake", "alexa"), ("words", "done")]
    assert heard(found, (WAKE, 1), (SILENCE, 6 * SECOND)) == [("wake", "alexa"), ("unheard", "nobody said anything for 5 s")]
    assert not told.busy


def test_somebody_who_never_stops_is_given_up_once_and_heard_again_after_a_pause() -> None:
    found, told = session()
    assert heard(found, (SPEECH, 60 * SECOND)) == [("unheard", "somebody speaks for longer than 15 s")]
    assert told.given[0] < 17 * SECOND
    assert heard(found, (SILENCE, SECOND), (SPEECH, SECOND), (SILENCE, SECOND)) == [("words", "done")]


def test_a_button_begins_and_ends_it() -> None:
    found, _ = session("push")
    assert heard(found, (SPEECH, SECOND), (SILENCE, SECOND)) == []
    assert found.answer(Sound(b"", button=1)).is_awake
    assert heard(found, (SPEECH, SECOND)) == []
    assert found.answer(Sound(b"", button=0)).noticed == [Noticed("words", "done", 1.0)]
    found.answer(Sound(b"", button=1))
    assert found.answer(Sound(b"", button=0)).noticed == [Noticed("unheard", "nobody said anything")]
    assert found.answer(Sound(b"", button=0)).noticed == []


def test_a_gap_ends_what_is_said() -> None:
    found, told = session()
    heard(found, (SPEECH, SECOND))
    assert found.answer(Sound(SILENCE, after_gap=True)).noticed == [Noticed("unheard", "sound was lost while somebody spoke")]
    assert not told.busy


@pytest.mark.parametrize("wake", ["none", "alexa", "push"])
def test_long_silence_leaves_nothing_behind(wake: str) -> None:
    found, told = session(wake)
    for _ in range(600):
        assert found.answer(Sound(SILENCE * SECOND)).noticed == []
    assert told.given == []
    assert len(found._newest) <= 36
    assert len(found._rest) < 1_024
