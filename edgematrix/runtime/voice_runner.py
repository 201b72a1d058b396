"""An agent that listens to a microphone: frames in, texts out to the agent that understands them, and its answers spoken.

Sound is a stream, and worth nothing later: what its models have not come to within two seconds is dropped, the oldest first, and counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import msgspec

from edgematrix.agents.sound import RATE, SAMPLE_BYTES, pcm_of
from edgematrix.errors import CodecError
from edgematrix.models.voice_wire import Noticed, Sound, Sounded
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.observation import Dropped, Noted
from edgematrix.runtime.voice_desk import VoiceDesk

__all__ = ["ANSWERS", "FRAMES", "LISTEN", "VoicePlan", "VoiceRunner"]

FRAMES, LISTEN, ANSWERS = 0, 1, 2
"""The indices of hits: frames of the microphone, the input `listen`, what the agent answers that was told."""

_QUEUE_BYTES_MAX: Final = 2 * RATE * SAMPLE_BYTES
_ASKED_BYTES_MAX: Final = RATE * SAMPLE_BYTES
"""What is handed to the models at once: 1 s."""
_TELL_EVERY_US: Final = 10 * SECOND_US
"""How often it is told that something goes on being dropped."""
_BAD_REASONS_MAX: Final = 8
"""After so many that differ frames that are none are counted alone: what is sent here may be different each time."""
_REST_US: Final = SECOND_US
"""How long frames are dropped after the models have failed."""
_ASKED_MAX: Final = 16
_ANSWER_US: Final = 60 * SECOND_US
"""How long an answer is worth being spoken."""


class VoicePlan(msgspec.Struct, frozen=True):
    """What the definition says.

    `written` makes a text of spoken words, or None; `to` is the input that is told.
    """

    site: str
    to: tuple[AgentPath, str]
    written: Callable[[list[str]], str | None]
    sure: float
    answer: str
    speaker: str
    is_open: bool
    """All that is said counts: so it must not hear itself."""


class VoiceRunner:
    """Listens on behalf of an agent."""

    __slots__ = (
        "_asked", "_bad", "_bad_reasons", "_bad_told_us", "_bytes", "_deaf_until_us", "_desk", "_engine", "_gap", "_is_busy", "_lost",
        "_lost_told_us", "_plan", "_queue", "_rests_until_us", "agent",
    )  # fmt: skip

    def __init__(self, engine: Engine, agent: AgentPath, plan: VoicePlan, desk: VoiceDesk | None) -> None:
        self._engine = engine
        self.agent = agent
        self._plan = plan
        self._desk = desk
        self._queue: deque[Sound] = deque()
        self._bytes = 0
        self._is_busy = False
        self._gap = False
        self._lost = 0
        self._lost_told_us: int | None = None
        self._bad = 0
        self._bad_reasons: set[str] = set()
        """Why frames were refused, of which there is a dead letter each."""
        self._bad_told_us = 0
        self._rests_until_us = 0
        self._deaf_until_us = 0
        self._asked: OrderedDict[str, int] = OrderedDict()
        """The runs of what was told, each with its moment."""

    def open(self, now_us: int) -> None:  # noqa: ARG002 - the signature of all openings
        """Load the models: what is said first is to be heard."""
        if self._desk is not None and not self._desk.is_scripted:
            self._is_busy = True
            self._desk.listen(Sound(b""), self._heard)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take a frame, an order to listen, or an answer."""
        for index, _ in hits:
            if index == FRAMES:
                self._frame(message, now_us)
            elif index == LISTEN:
                self._order(message, now_us)
            else:
                self._answer(message, now_us)

    # Sound

    def _frame(self, message: Message, now_us: int) -> None:
        if message.retained:
            self._tell(message.topic, "a retained frame is no sound of now", now_us)
            return
        desk = self._desk
        if desk is None or not self._may_listen(message.topic, now_us):
            return
        try:
            pcm = b"" if desk.is_scripted else pcm_of(message.value)
        except CodecError as error:
            self._refuse(message, error, now_us)
            return
        self._take(Sound(pcm), message.topic, now_us)

    def _may_listen(self, topic: str, now_us: int) -> bool:
        pauses = self._engine.pauses
        if (pauses.parts or pauses.suspended) and (pauses.covers(self.agent) or self.agent in pauses.suspended):
            self._lose(topic, "the agent is paused", now_us)
        elif now_us < self._rests_until_us:
            self._lose(topic, "the models failed, and are started anew", now_us)
        elif now_us < self._deaf_until_us:
            self._lose(topic, "it does not listen to its own answer", now_us)
        else:
            return True
        return False

    def _order(self, message: Message, now_us: int) -> None:
        if message.retained or not isinstance(message.value, bool):
            reason = "expected true, to listen now, or false, once all is said; not retained"
            self._engine.dead_letter(self.agent, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
        elif self._desk is not None and self._may_listen(message.topic, now_us):
            self._take(Sound(b"", button=int(message.value)), message.topic, now_us)

    def _take(self, sound: Sound, topic: str, now_us: int) -> None:
        self._queue.append(sound)
        self._bytes += len(sound.pcm)
        while self._bytes > _QUEUE_BYTES_MAX or len(self._queue) > _PIECES_MAX:
            self._bytes -= len(self._queue.popleft().pcm)
            self._lose(topic, "the models do not keep up, or the machine: more than 2 s of sound waits", now_us)
        self._go_on()

    def _go_on(self) -> None:
        """Hand in what waits: as much as is of one kind."""
        if self._is_busy or not self._queue or self._desk is None:
            return
        first = self._queue.popleft()
        pcm = first.pcm
        while self._queue and self._queue[0].button < 0 and len(pcm) + len(self._queue[0].pcm) <= _ASKED_BYTES_MAX and first.button < 0:
            if self._desk.is_scripted:
                break  # each frame is a text
            pcm += self._queue.popleft().pcm
        self._bytes -= len(pcm)
        self._is_busy = True
        gap, self._gap = self._gap, False
        self._desk.listen(Sound(pcm, gap, first.button), self._heard)

    def _heard(self, sounded: Sounded | None, error: str, now_us: int) -> None:
        self._is_busy = False
        engine = self._engine
        engine.ail(self.agent, error.partition(";")[0])
        if sounded is None:
            self._gap = True
            self._rests_until_us = now_us + _REST_US
            self._queue.clear()
            self._bytes = 0
            self._tell(topic_for(engine.root, Kind.OUT, self.agent, "text"), error, now_us)
        else:
            if self._lost_told_us is not None and not self._gap and self._lost:
                self._end_of_loss(now_us)
            for noticed in sounded.noticed:
                self._notice(noticed, now_us)
        self._go_on()
        engine.settle(now_us)

    # What was heard

    def _notice(self, noticed: Noticed, now_us: int) -> None:
        plan, site = self._plan, {"site": self._plan.site}
        trail = self._engine.next_trail(Trail("", taint=self.agent), now_us)
        if noticed.kind == "wake":
            self._engine.emit(self.agent, "wake", {"word": noticed.text, **site}, trail, now_us)
        elif noticed.kind == "unheard":
            self._unheard(noticed.text, {}, trail, now_us)
        else:
            text = noticed.text if noticed.kind == "text" else plan.written(noticed.text.split())
            found = {"text": text or "", "confidence": noticed.confidence}
            if not text:
                self._unheard("it is no sentence that is known", {}, trail, now_us)
            elif noticed.confidence < plan.sure:
                self._unheard(f"it may be another sentence: {noticed.confidence:g} sure, {plan.sure:g} is wanted", found, trail, now_us)
            else:
                self._tell_on({**found, **site}, trail, now_us)

    def _tell_on(self, said: dict[str, object], trail: Trail, now_us: int) -> None:
        engine, (path, port) = self._engine, self._plan.to
        engine.observe(Noted(now_us, self.agent, trail.runid, f"heard “{said['text']}”, {said['confidence']:g} sure"))
        self._asked[trail.runid] = now_us
        while len(self._asked) > _ASKED_MAX:
            self._asked.popitem(last=False)
        engine.emit(self.agent, "text", said, trail, now_us)
        engine.send(self.agent, path, port, said, trail, now_us)

    def _unheard(self, reason: str, found: dict[str, object], trail: Trail, now_us: int) -> None:
        self._engine.observe(Noted(now_us, self.agent, trail.runid, f"unheard: {reason}"))
        self._engine.emit(self.agent, "unheard", {"reason": reason, **found, "site": self._plan.site}, trail, now_us)

    # Answers

    def _answer(self, message: Message, now_us: int) -> None:
        runid = message.trail.runid
        asked_us = self._asked.get(runid)
        if asked_us is None:
            return
        text = message.value.get("answer") if isinstance(message.value, dict) else message.value
        if not isinstance(text, str) or not text.strip():
            return
        del self._asked[runid]
        if now_us - asked_us > _ANSWER_US:
            self._tell(message.topic, "the answer comes too late to be spoken", now_us)
            return
        engine, plan = self._engine, self._plan
        engine.emit(self.agent, "answer", {"text": text, "site": plan.site}, message.trail, now_us)
        if plan.answer == "hermes":
            said = {"text": text, "siteId": plan.site, "lang": None, "id": runid, "sessionId": runid}
            engine.publish(self.agent, "hermes/tts/say", said, now_us)
        elif plan.answer == "espeak" and self._desk is not None and not self._desk.is_scripted:
            self._desk.speak(text, plan.speaker, lambda wav, error, at_us: self._spoken(runid, wav, error, at_us))

    def _spoken(self, runid: str, wav: bytes | None, error: str, now_us: int) -> None:
        topic = f"hermes/audioServer/{self._plan.site}/playBytes/{runid}"
        if wav is None:
            self._tell(topic, error, now_us)
        else:
            if self._plan.is_open:
                self._deaf_until_us = now_us + len(wav) * SECOND_US // _WAV_BYTES_A_SECOND + _ECHO_US
            self._engine.publish(self.agent, topic, wav, now_us)
        self._engine.settle(now_us)

    # What is lost

    def _refuse(self, message: Message, error: CodecError, now_us: int) -> None:
        """Of frames that sound otherwise the first of each kind is a dead letter; that they go on is told now and then."""
        reason = f"{error.what}{f'; expected {error.remedy}' if error.remedy and error.remedy not in error.what else ''}"
        self._bad += 1
        kind = reason.partition(":")[0]
        if kind not in self._bad_reasons and len(self._bad_reasons) < _BAD_REASONS_MAX:
            self._bad_reasons.add(kind)
            self._bad_told_us = now_us
            self._engine.dead_letter(self.agent, message.topic, _shown(message.value), reason, now_us, Origin(message.trail))
        elif now_us - self._bad_told_us >= _TELL_EVERY_US:
            self._bad_told_us = now_us
            self._tell(message.topic, f"{reason} ({self._bad} frames so far)", now_us)

    def _lose(self, topic: str, reason: str, now_us: int) -> None:
        """Count a frame that is not listened to; the first is told, and now and then how many there are."""
        self._gap = True
        self._lost += 1
        if self._lost_told_us is None or now_us - self._lost_told_us >= _TELL_EVERY_US:
            self._lost_told_us = now_us
            self._tell(topic, f"{reason} ({self._lost} frames dropped so far)", now_us)

    def _end_of_loss(self, now_us: int) -> None:
        """Sound comes through again: the next loss is told anew."""
        if self._lost_told_us is not None and now_us - self._lost_told_us >= SECOND_US:
            self._lost_told_us = None

    def _tell(self, topic: str, reason: str, now_us: int) -> None:
        self._engine.observe(Dropped(now_us, self.agent, topic, reason))


_PIECES_MAX: Final = 2_000
"""Frames that wait, however small."""
_WAV_BYTES_A_SECOND: Final = 44_100
"""Of espeak-ng: 22.05 kHz, 16 bit."""
_ECHO_US: Final = 500_000
_SHOWN_MAX: Final = 200


def _shown(value: object) -> object:
    """What is told of a frame: how it begins."""
    if isinstance(value, bytes):
        return {"bytes": len(value), "begins": value[:16].hex()}
    return value[:_SHOWN_MAX] if isinstance(value, str) else value
