"""Speech on a bus: what somebody says in the kitchen is done, with real models; what they do not come to, and what is no sound, is told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from bus_fixtures import Bus, Ear

pytest.importorskip("pocketsphinx", reason="the extra `voice` is not installed")

from edgematrix.agents.sound import wav_of
from edgematrix.runtime.observation import Dropped
from edgematrix.runtime.voice_desk import VoiceDesks
from tests.speech import SECOND, needs_speech, say, spoken

OnBus = Callable[[Callable[[Bus], Awaitable[None]]], None]
MATRIX = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: t/lamp, schema: {type: object}}}}}
  helper:
    sentences:
      slots: {state: {"on": "ON", "off": "OFF"}}
      numbers: {level: [0, 100]}
      rules:
        - {say: ["turn {state} the light"], send: {to: lamp.set, payload: {state: "${state}"}}, answer: "it is ${state}"}
        - {say: ["dim the light to {level} percent"], send: {to: lamp.set, payload: {brightness: "${level}"}}}
  ears: {voice: {site: kitchen, wake: WAKE, to: helper, answer: ANSWER}}
"""
FRAME = "hermes/audioServer/kitchen/audioFrame"
TEXT, UNHEARD = "em/out/home/ears/text", "em/out/home/ears/unheard"


def matrix(wake: str = "alexa", answer: str = "none") -> str:
    return MATRIX.replace("WAKE", wake).replace("ANSWER", answer)


async def loaded(bus: Bus) -> VoiceDesks:
    """The voices of the bus, once their models listen."""
    voices = next(models for models in bus.models if isinstance(models, VoiceDesks))
    async with asyncio.timeout(60):
        while not voices.are_ready:  # noqa: ASYNC110 - it is loaded in a thread
            await asyncio.sleep(0.01)
    return voices


async def speak(ear: Ear, *sounds: bytes, pace: float = 2) -> None:
    await say(lambda frame: ear.say(FRAME, frame, qos=0), *sounds, pace=pace)


@needs_speech
def test_what_is_said_after_the_wake_word_is_done(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix(answer="hermes")):
            await loaded(bus)
            await speak(ear, SECOND, spoken("alexa, turn on the light"), SECOND)
            await ear.until(lambda: bool(ear.on("t/lamp")))
            assert ear.on("t/lamp") == [{"state": "ON"}]
            assert [event["data"]["word"] for event in ear.on("em/out/home/ears/wake")] == ["alexa"]
            (text,) = ear.on(TEXT)
            assert text["data"]["text"] == "turn on the light"
            assert text["data"]["site"] == "kitchen"
            assert text["data"]["confidence"] > 0.6
            assert text["taint"] == "home/ears"
            await ear.until(lambda: bool(ear.on("hermes/tts/say")))
            assert ear.on("hermes/tts/say")[0]["text"] == "it is ON"
            assert ear.on("hermes/tts/say")[0]["siteId"] == "kitchen"

    on_bus(test)


@needs_speech
def test_without_the_wake_word_nothing_is_done_and_other_speech_after_it_is_no_command(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix()):
            await loaded(bus)
            await speak(ear, SECOND, spoken("turn off the light"), SECOND, spoken("alexa, could you pass me the salt please"), SECOND * 2)
            await ear.until(lambda: bool(ear.on(UNHEARD)))
            assert ear.on("t/lamp") == ear.on(TEXT) == []

    on_bus(test)


@needs_speech
def test_a_button_in_place_of_a_wake_word_and_numbers_in_words(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix("push")):
            await loaded(bus)
            ear.say("em/in/home/ears/listen", True)
            await speak(ear, SECOND, spoken("dim the light to forty two percent"), SECOND)
            await ear.until(lambda: bool(ear.on("t/lamp")))
            assert ear.on("t/lamp") == [{"brightness": 42}]

    on_bus(test)


@needs_speech
def test_an_answer_is_spoken_as_a_wav_on_the_loudspeaker(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix("none", "espeak")):
            await loaded(bus)
            await speak(ear, SECOND, spoken("turn on the light"), SECOND)
            head = "hermes/audioServer/kitchen/playBytes/"
            await ear.until(lambda: any(topic.startswith(head) for topic, _, _ in ear.heard))
            (wav,) = [value for topic, value, _ in ear.heard if topic.startswith(head)]
            assert wav[:4] == b"RIFF"
            assert len(wav) == int.from_bytes(wav[4:8], "little") + 8 > 10_000

    on_bus(test)


def test_models_that_are_killed_cost_what_is_said_then_and_are_started_anew(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix("none")) as (_, seen):
            voices = await loaded(bus)
            (pid,) = voices.pids
            os.kill(pid, signal.SIGKILL)
            ear.say(FRAME, wav_of(SECOND))
            await ear.until(lambda: ear.on("em/state/home/ears")[-1]["status"] == "failed")
            assert " ended " in ear.on("em/state/home/ears")[-1]["reason"]
            async with asyncio.timeout(60):
                while not (voices.pids and voices.pids != (pid,)):
                    ear.say(FRAME, wav_of(SECOND))
                    await asyncio.sleep(0.05)
            await ear.until(lambda: ear.on("em/state/home/ears")[-1]["status"] == "ready")
            assert any("started anew" in told.reason for told in seen if isinstance(told, Dropped))

    on_bus(test)
