"""Frames of a microphone: what is one, and why another is none. And files of other rates."""

from __future__ import annotations

import io
import math
import wave
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.agents.sound import pcm_of, wav_of
from edgematrix.agents.sound_file import sound_of
from edgematrix.errors import CodecError, UsageError
from edgematrix.protocol.codec import decode_value


def wav(pcm: bytes = b"\1\2" * 160, *, rate: int = 16_000, width: int = 2, channels: int = 1) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return target.getvalue()


def test_a_frame_is_its_samples() -> None:
    assert pcm_of(wav(b"\1\2" * 512)) == b"\1\2" * 512
    assert pcm_of(wav_of(b"")) == b""


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (wav(rate=8_000), "8000 Hz, 16 bit, mono, expected 16000 Hz"),
        (wav(rate=44_100, channels=2), "44100 Hz, 16 bit, 2 channels"),
        (wav(width=1), "8 bit"),
        (wav()[:-7], "cut off: it has 313 of 320 bytes"),
        (wav()[:30], "can be read: it is cut off"),
        (wav(b"\0\0" * 40_000), "2.5 s of sound, at most 2 s"),
        (b"\0" * 1_024, "no WAV file, it begins with"),
        ({"a": 1}, "no WAV file"),
        (None, "no WAV file"),
    ],
)
def test_what_is_no_frame_says_why(frame: object, reason: str) -> None:
    with pytest.raises(CodecError) as caught:
        pcm_of(frame)
    assert reason in str(caught.value)


def test_bytes_that_spell_a_text_are_a_frame_all_the_same() -> None:
    silent = decode_value(wav(bytes(64), rate=50))
    assert isinstance(silent, str)
    with pytest.raises(CodecError, match="50 Hz"):
        pcm_of(silent)


@given(st.integers(0, 60).flatmap(lambda cut: st.tuples(st.just(cut), st.binary(max_size=80))))
def test_whatever_the_bytes_are_only_a_codec_error_is_raised(given: tuple[int, bytes]) -> None:
    cut, noise = given
    try:
        pcm_of(wav()[:cut] + noise)
    except CodecError:
        pass


def test_brackets_in_sound_are_no_nesting() -> None:
    frame = wav(b"[{" * 2_000)
    assert decode_value(frame) == frame


def test_a_file_of_another_rate_sounds_the_same() -> None:
    def tone(rate: int, hz: float) -> array[int]:
        return array("h", [round(9_000 * math.sin(2 * math.pi * hz * place / rate)) for place in range(rate // 4)])

    made = array("h", sound_of(wav(tone(22_050, 440).tobytes(), rate=22_050), "x"))
    wanted = tone(16_000, 440)
    assert abs(len(made) - len(wanted)) <= 1
    assert max(abs(one - other) for one, other in zip(made[100:-100], wanted[100:-100], strict=False)) < 90
    above = array("h", sound_of(wav(tone(44_100, 12_000).tobytes(), rate=44_100), "x"))
    assert max(map(abs, above[100:-100])) < 900  # 16 kHz cannot hold it


def test_a_file_with_two_channels_is_their_mean() -> None:
    assert array("h", sound_of(wav(array("h", [100, 300] * 10).tobytes(), channels=2), "x")) == array("h", [200] * 10)


def test_a_file_that_is_none_says_so() -> None:
    for data, reason in ((b"nothing", "no WAV file"), (wav(width=1), "expected 16 bit"), (wav()[:20], "no WAV file")):
        with pytest.raises(UsageError, match=reason):
            sound_of(data, "x.wav")
