"""`edgematrix voice`: a WAV file, or what arecord hears, becomes the frames of a microphone."""

from __future__ import annotations

import os
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, call, no_traceback

from edgematrix.agents.sound import pcm_of

TOPIC = "hermes/audioServer/kitchen/audioFrame"


@pytest.fixture
def ear(mosquitto: BrokerProcess) -> Iterator[Ear]:
    found = Ear(mosquitto.port, "hermes/#")
    yield found
    found.close()


def sound(folder: Path, *, rate: int = 16_000, width: int = 2) -> Path:
    file = folder / "said.wav"
    with wave.open(str(file), "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(width)
        made.setframerate(rate)
        made.writeframes(array("h", range(1, rate // 4 + 1)).tobytes())
    return file


def test_a_file_is_published_as_a_microphone_would(tmp_path: Path, ear: Ear, mosquitto: BrokerProcess) -> None:
    done = call("voice", "play", sound(tmp_path), "--site", "kitchen", "--url", mosquitto.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ear.wait_for(lambda topic, payload: b"\xa0\x0f" in payload)  # its last sample, 4000
    assert "0.2 s, to hermes/audioServer/kitchen/audioFrame" in done.stderr
    assert "55 messages, 0 lost" in done.stdout  # a quarter of a second, and 1.5 s of silence around it


def test_a_microphone_is_published_until_it_ends_and_its_reason_is_told(
    tmp_path: Path, ear: Ear, mosquitto: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = tmp_path / "bin" / "arecord"
    recorder.parent.mkdir()
    recorder.write_text('#!/bin/sh\nhead -c 3072 /dev/zero\necho "arecord: the card is gone" >&2\nexit 1\n')
    recorder.chmod(0o755)
    monkeypatch.setitem(__import__("cli_process").CALM, "PATH", f"{recorder.parent}{os.pathsep}{os.environ['PATH']}")
    done = call("voice", "listen", "--site", "kitchen", "--url", mosquitto.url, cwd=tmp_path)
    no_traceback(done)
    assert done.returncode == 1
    assert "the card is gone" in done.stderr
    assert "played 3 messages" in done.stdout
    topic, frame = ear.wait_for(lambda topic, payload: True)
    assert (topic, pcm_of(frame)) == (TOPIC, bytes(1_024))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("play", "said.wav", "--site", "a/b"), "is no site"),
        (("play", "nowhere.wav", "--site", "kitchen"), "No such file"),
        (("play", "broken.wav", "--site", "kitchen"), "no WAV file"),
        (("play", "narrow.wav", "--site", "kitchen"), "expected 16 bit"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    sound(tmp_path, width=1).rename(tmp_path / "narrow.wav")
    sound(tmp_path)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    done = call("voice", *words, "--url", "mqtt://127.0.0.1:1", cwd=tmp_path)
    no_traceback(done)
    assert done.returncode == 2
    assert reason in done.stderr
