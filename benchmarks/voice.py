"""What a voice costs and understands: real-time factor, delay from the end of speech to the command, wake words, and other speech.

Speech is made by espeak-ng, of several voices, speeds and pitches; so the figures are of that, not of people in rooms. A delay counts from
when the last sample that is louder than 300 (of 32,767) was there, at the pace of speech, until the device's command is heard by a client
of the same broker (mosquitto); the pause by which the end is known is in it.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.agents.sound import wav_of
from edgematrix.agents.sound_file import sound_of
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.opening import open_matrix
from edgematrix.config.voice_agent import VoiceAgent, voice_agent
from edgematrix.models.voice_session import VoiceSession, recogniser_of
from edgematrix.models.voice_wire import Noticed, Sound
from edgematrix.protocol.message import Publication
from edgematrix.runtime.broker import EmbeddedBroker
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

__all__ = ["main"]

_EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "voice" / "voice.yaml"
_VOICES: Final = [
    (voice, speed, pitch)
    for voice, pitch in (("en-us", 50), ("en-gb", 40), ("en-us+m3", 35), ("en-gb-x-rp", 45), ("en-us+f3", 60), ("en-gb-scotland", 50))
    for speed in (140, 165)
]
_COMMANDS: Final = {
    "turn on the light": "turn on the light",
    "switch off the kitchen lamp": "switch off the kitchen lamp",
    "turn the light off": "turn the light off",
    "set the blinds to forty percent": "set the blinds to 40 percent",
    "move the blinds to seventy five percent": "move the blinds to 75 percent",
    "open the blinds": "open the blinds",
    "set the heating to twenty one degrees": "set the heating to 21 degrees",
    "set the heating to eighteen": "set the heating to 18",
}
_OTHER: Final = (
    "what is the capital of france", "could you pass me the salt please",
    "tell me a joke about computers", "is anybody at the door",
    "I think we should eat at seven tonight", "thank you very much", "play some music by the beatles", "where did you put my keys",
    "set an alarm for half past six",
    "turn left at the next crossing", "the weather is nice today", "my brother is coming on friday",
    "she said that the meeting was cancelled", "I forgot to turn off the oven",
    "open your books at page twelve",
    "remind me to call the dentist",
    "the lights were on when we came home", "we need more milk and bread", "alexander is playing in the garden",
    "a lexicon of electric words",
)  # fmt: skip
_SECOND: Final = bytes(32_000)
_FRAME: Final = 1_024
_FRAME_S: Final = 0.032
_UTTERANCES: Final = 24


def main() -> None:
    """Measure all of it."""
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng, which makes the speech, is not on PATH: apt install espeak-ng")
    made = _made()
    print("voice: examples/voice, speech by espeak-ng, six voices at two speeds")
    _wake_words(made)
    for wake in ("none", "alexa"):
        _understanding(made, wake)
    _silence(made)
    asyncio.run(_delays())


def _made() -> VoiceAgent:
    tree = AgentTree.of(open_matrix(_EXAMPLE).spec)
    return voice_agent(tree, next(node for node in tree if node.spec.voice is not None), _EXAMPLE.parent)


def _session(made: VoiceAgent, wake: str) -> Callable[[bytes], list[Noticed]]:
    ears = msgspec.structs.replace(made.wanted.ears, wake=wake)
    session = VoiceSession(ears, recogniser_of(ears))

    def heard(sound: bytes) -> list[Noticed]:
        return [one for pcm in _frames(sound) for one in session.answer(Sound(pcm)).noticed]

    return heard


def _wake_words(made: VoiceAgent) -> None:
    """Of the word by itself and before a command, and of other speech."""
    heard = _session(made, "alexa")
    positives = [_spoken(text, voice) for voice in _VOICES for text in ("alexa", "alexa, turn on the light", "alexa, open the blinds")]
    negatives = [_spoken(text, _VOICES[number % len(_VOICES)]) for number, text in enumerate((*_OTHER, *_COMMANDS, *_OTHER))]
    found = sum(_is_awake(heard, sound) for sound in positives)
    false = sum(_is_awake(heard, sound) for sound in negatives)
    seconds = sum(map(len, negatives)) / 32_000
    print(f"wake word: {found} of {len(positives)} found, {false} of {len(negatives)} others ({seconds:.0f} s) taken for it")


def _is_awake(heard: Callable[[bytes], list[Noticed]], sound: bytes) -> bool:
    return any(one.kind == "wake" for one in heard(_SECOND + sound + 8 * _SECOND))


def _understanding(made: VoiceAgent, wake: str) -> None:
    heard = _session(made, wake)
    head = "alexa, " if wake == "alexa" else ""
    right = wrong = unheard = asleep = passed = 0
    seconds, began_s = 0.0, time.process_time()
    for number, (said, wanted) in enumerate(_COMMANDS.items()):
        for voice in _VOICES[number % 2 :: 2]:
            sound = 2 * _SECOND + _spoken(head + said, voice) + 2 * _SECOND
            seconds += len(sound) / 32_000
            noticed = heard(sound)
            texts = [made.plan.written(one.text.split()) for one in noticed if one.kind == "words" and one.confidence >= made.plan.sure]
            asleep += bool(head) and not any(one.kind == "wake" for one in noticed)
            right += texts == [wanted]
            wrong += bool(texts) and texts != [wanted]
            unheard += not texts
    others = 0
    for number, said in enumerate(_OTHER):
        for voice in _VOICES[number % 3 :: 3]:
            sound = 2 * _SECOND + _spoken(head + said, voice) + 2 * _SECOND
            seconds += len(sound) / 32_000
            noticed = heard(sound)
            texts = [made.plan.written(one.text.split()) for one in noticed if one.kind == "words" and one.confidence >= made.plan.sure]
            others += not head or any(one.kind == "wake" for one in noticed)
            passed += any(texts)
    of = right + wrong + unheard
    factor = (time.process_time() - began_s) / seconds
    awake = f" ({asleep} of these: no wake word)" if head else ""
    print(f"commands, wake: {wake}: {right} of {of} right, {wrong} taken for another, {unheard} unheard{awake}; "
          f"{others - passed} of {others} other sentences refused; real-time factor {factor:.3f}")  # fmt: skip


def _silence(made: VoiceAgent) -> None:
    heard = _session(made, "alexa")
    noise = bytes((place * 7919 % 97) if place % 2 == 0 else 0 for place in range(32_000))
    heard(noise)
    began_s = time.process_time()
    for _ in range(60):
        heard(noise)
    print(f"a quiet room, wake: alexa: {(time.process_time() - began_s) / 60 * 1_000:.0f} ms of processor time a second")


async def _delays() -> None:
    """With the host as a process of its own, on mosquitto."""
    commands = [(text, voice) for voice in _VOICES[:4] for text in _COMMANDS]
    for wake in ("none", "alexa"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "voice.yaml"
            file.write_text(
                _EXAMPLE.read_text(encoding="utf-8").replace("wake: alexa", f"wake: {wake}").replace("answer: espeak", "answer: none")
            )
            async with EmbeddedBroker(Path(folder) / "broker", kind="mosquitto") as broker:
                words = [sys.executable, "-m", "edgematrix", "run", str(file), "--broker", broker.url]
                with (Path(folder) / "log").open("wb") as log, subprocess.Popen(words, cwd=folder, stdout=log, stderr=log) as host:  # noqa: ASYNC220
                    try:
                        found = await _measured(broker.url, wake, commands)
                    finally:
                        host.terminate()
        found.sort()
        if found:
            p95 = found[int(len(found) * 0.95)]
            print(
                f"delay, wake: {wake}: {len(found)} utterances, median {statistics.median(found):.0f} ms, "
                f"p95 {p95:.0f} ms, most {found[-1]:.0f} ms"
            )


async def _measured(url: str, wake: str, commands: list[tuple[str, tuple[str, int, int]]]) -> list[float]:
    ear = _Ear(url)
    running = asyncio.create_task(ear.transport.run(ear))
    loop, delays = asyncio.get_running_loop(), []
    try:
        await asyncio.wait_for(ear.ready.wait(), 30)
        await ear.say(10 * _SECOND)  # the models are loaded meanwhile
        for text, voice in commands:
            sound = _spoken(("alexa, " if wake == "alexa" else "") + text, voice)
            ear.command = loop.create_future()
            await ear.say(bytes(16_000))
            ended_s = await ear.say(sound)
            await ear.say(_SECOND)
            if ear.command.done():
                delays.append((ear.command.result() - ended_s) * 1_000)
            else:
                await ear.say((6 if wake == "alexa" else 1) * _SECOND)
            if len(delays) == _UTTERANCES:
                break
    finally:
        await ear.transport.close()
        await running
    return delays


class _Ear:
    """A microphone, and whoever looks at the devices."""

    def __init__(self, url: str) -> None:
        self.transport = PahoTransport(Endpoint.parse(url), Settings(client_id="benchmark"))
        self.transport.subscribe({"zigbee2mqtt/#": 0, "heating/#": 0, "em/state/home/ears": 1})
        self.ready = asyncio.Event()
        self.command: asyncio.Future[float] | None = None

    async def say(self, sound: bytes) -> float:
        """Publish at the pace of speech; the moment at which the last sample was there."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, pcm in enumerate(_frames(sound), 1):
            await asyncio.sleep(max(0.0, began_s + number * _FRAME_S - loop.time()))  # a frame is there when its last sample is
            self.transport.publish(Publication("hermes/audioServer/kitchen/audioFrame", wav_of(pcm), 0))
        return began_s + len(sound) / 32_000

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:  # noqa: ARG002 - of the transport
        """A state, or a command."""
        if topic.startswith("em/"):
            self.ready.set()
        elif self.command is not None and not self.command.done():
            self.command.set_result(asyncio.get_running_loop().time())

    def connected(self, session_present: bool) -> None:
        """Nothing to do."""

    def disconnected(self, reason: str) -> None:
        """Nothing to do."""

    def refused(self, topic_filter: str, reason: str) -> None:
        """Nothing to do."""

    def dropped(self, topic: str, reason: str) -> None:
        """Nothing to do."""

    def confirmed(self, number: int) -> None:
        """Nothing to do."""


def _frames(sound: bytes) -> Iterator[bytes]:
    for place in range(0, len(sound), _FRAME):
        yield sound[place : place + _FRAME].ljust(_FRAME, b"\0")


def _spoken(text: str, voice: tuple[str, int, int]) -> bytes:
    """16 kHz; it ends with the last voiced sample."""
    name, speed, pitch = voice
    words = ["espeak-ng", "--stdout", "-v", name, "-s", str(speed), "-p", str(pitch), text]
    made = subprocess.run(words, capture_output=True, check=True).stdout
    pcm = sound_of(made[:40] + (len(made) - 44).to_bytes(4, "little") + made[44:], "espeak-ng")
    samples = memoryview(pcm).cast("h")
    last = next(place for place in range(len(samples) - 1, 0, -1) if abs(samples[place]) > 300)  # noqa: PLR2004 - as said above
    return pcm[: 2 * last + 2]
