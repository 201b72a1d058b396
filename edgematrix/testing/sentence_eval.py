"""Sentences said to an intent agent in virtual time: what its devices are told to do, which stage decided, what it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

import msgspec

from edgematrix.config.opened import Opened
from edgematrix.errors import UsageError
from edgematrix.identity.secrets import Source
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.observation import DeadLettered, Observation, Outcome, RunEnded, StepBegan
from edgematrix.testing.processor_time import processor_time_s
from edgematrix.testing.recording import Recorded
from edgematrix.testing.sentence_hearer import Hearer
from edgematrix.testing.sentence_set import Command, Receivers, Sentence
from edgematrix.testing.simulator import Simulation

__all__ = ["Did", "Heard", "Verdict", "evaluate"]

GAP_US: Final = 60 * SECOND_US
"""Virtual time from one sentence to the next: limits of a device's pace, and `calls_per_hour`, count in it."""
_REST_US: Final = 40 * SECOND_US
"""When it is looked what a sentence has cost: what had to wait for a moment has come by then."""
_IDS_KEPT: Final = 60
"""Of so many sentences, the last ones, it is known which runs they led to."""

Verdict = Literal["right", "wrong", "asked", "nothing"]
"""What came of a sentence: what was wanted; something was carried out, and it is not what was wanted; it asked back or answered, and
carried out nothing; nothing at all. Where nothing is wanted, the last two are right."""


class Did(msgspec.Struct, frozen=True):
    """A command that a device took. `waits` tells that a person has to agree before it is carried out."""

    command: Command
    waits: bool


class Heard(msgspec.Struct):
    """What came of a sentence.

    `did` is what was carried out, or waits for a person; `refused` what a device did not take, with its reason. `stage` is that which
    decided, empty where none did; `answer` what was said. `took_s` is real time until the answer, `processor_s` processor time, that of
    the models' processes too. `failed` is why the run failed, empty where it did not; `reason` why the agent did nothing, as it says.
    """

    sentence: Sentence
    did: list[Did] = []
    refused: list[str] = []
    stage: str = ""
    answer: str = ""
    confidence: float | None = None
    failed: str = ""
    reason: str = ""
    took_s: float = 0.0
    processor_s: float = 0.0

    @property
    def decided(self) -> bool:
        """Whether a stage knew what to make of it, if only that nothing is to be done."""
        return bool(self.did or self.answer or self.confidence)

    @property
    def verdict(self) -> Verdict:
        """Whether it was right."""
        if self.did:
            told = [one.command for one in self.did]
            return "right" if any(_same(told, wanted) for wanted in self.sentence.wants) else "wrong"
        if not self.sentence.wants[0]:
            return "right"
        return "asked" if self.answer else "nothing"


def evaluate(
    opened: Opened,
    hearer: Hearer,
    sentences: Sequence[Sentence],
    receivers: Receivers,
    scripts: Mapping[str, Sequence[Any]],
    told: Callable[[int], None] = lambda number: None,  # noqa: ARG005 - nobody wants to know
    *,
    servers: Callable[[], Source] | None = None,
) -> tuple[list[Heard], int]:
    """Say each sentence to an agent, a minute of virtual time apart, and wait for what comes of it.

    Args:
        opened: the matrix; it is built as it stands.
        hearer: who hears the sentences, and where.
        receivers: the devices of the matrix.
        scripts: by the path of an agent that is a model what it answers in place of the real one.
        told: is called after each sentence with how many there were.
        servers: makes the source of keys where servers are asked too.

    Returns:
        What came of each, in order, and how many commands there were that none of them led to: those of clocks and rules.

    Raises:
        ConfigError, ModelError: the matrix cannot be built.
        UsageError: nobody listens there.
    """
    return _Session(opened, hearer, sentences, receivers, scripts, servers, told).play()


class _Session:
    def __init__(
        self,
        opened: Opened,
        hearer: Hearer,
        sentences: Sequence[Sentence],
        receivers: Receivers,
        scripts: Mapping[str, Sequence[Any]],
        servers: Callable[[], Source] | None,
        told: Callable[[int], None],
    ) -> None:
        root = opened.spec.root
        agent = hearer.node
        self._agent = agent.path
        self._kind = agent.kind or "code"
        self._topic = hearer.topic
        self._idle = topic_for(root, Kind.OUT, agent.path, "-")  # nobody listens there, and nobody can
        self._receivers = receivers
        self._told = told
        self.heard = [Heard(sentence) for sentence in sentences]
        self._runs: dict[str, int] = {}
        """By the id of a run which sentence led to it."""
        self._ids: dict[int, list[str]] = {}
        self._others_did: dict[int, str] = {}
        """By sentence who was the first to tell a device something, where that was not the agent itself."""
        self._began_s = 0.0
        self._others = 0
        self._simulation = Simulation(opened.spec, loader=opened.loader, observer=self._observed, scripts=scripts, servers=servers)
        if not self._simulation.hears(hearer.topic):
            raise UsageError(f"no agent listens on {hearer.topic}", remedy="--topic TOPIC says where to speak")
        wanted = {(one.path, one.port) for sentence in sentences for want in sentence.wants for one in want}
        self._named = {path for path, _ in wanted} - {path for path, _ in receivers.all()}
        for path, name in sorted(wanted | set(receivers.all())):
            self._simulation.listen(topic_for(root, Kind.IN, path, name), partial(self._commanded, path, name))
        self._answers = f"{topic_for(root, Kind.OUT, agent.path)}/"
        self._simulation.listen(f"{self._answers}+", self._answered)

    def play(self) -> tuple[list[Heard], int]:
        for _ in self._simulation.play(self._said(), len(self.heard) * GAP_US):
            pass
        return self.heard, self._others

    def _said(self) -> Iterator[Recorded]:
        for number, heard in enumerate(self.heard):
            runid = f"sentence-{heard.sentence.line}"
            self._belongs(runid, number)
            self._forget(number - _IDS_KEPT)
            event = {"specversion": "1.0", "id": runid, "source": "/people", "type": "em.in", "runid": runid, "data": heard.sentence.say}
            processor_s = processor_time_s()
            self._began_s = time.perf_counter()
            yield Recorded(number * GAP_US, self._topic, event, qos=1)
            yield Recorded(number * GAP_US + _REST_US, self._idle)
            heard.took_s = heard.took_s or time.perf_counter() - self._began_s
            heard.processor_s = processor_time_s() - processor_s
            acted = self._others_did.pop(number, "")
            if acted and not heard.confidence:  # whoever acted has decided, whatever was said in the end
                heard.stage = acted.rpartition("/")[2]
            self._told(number + 1)

    # What is heard

    def _observed(self, observation: Observation) -> None:
        if isinstance(observation, StepBegan):
            number = self._runs.get(observation.runid)
            if number is not None and observation.called:
                self._belongs(observation.called, number)
        elif isinstance(observation, RunEnded):
            number = self._runs.get(observation.runid)
            if number is not None and observation.outcome is Outcome.FAILED and observation.path == self._agent:
                self.heard[number].failed = observation.reason
        elif isinstance(observation, DeadLettered) and observation.topic == self._topic and self._ids:
            self.heard[max(self._ids)].failed = observation.reason

    def _commanded(self, path: AgentPath, port: str, message: Message) -> None:
        if any(message.source == named or is_below(message.source, named) for named in self._named):
            return  # what somebody does who is told to by name is for that one to answer
        number = self._runs.get(message.trail.runid)
        if number is None:
            self._others += 1
            return
        heard, receivers = self.heard[number], self._receivers
        why = receivers.refusal(path, port, message.value)
        if why:
            heard.refused.append(f"{path}.{port}: {why}")
            return
        command = Command(path, port, receivers.sent(path, port, message.value))
        if message.source != self._agent:
            self._others_did.setdefault(number, message.source)
        heard.did.append(Did(command, receivers.is_critical(path, port) and bool(message.trail.taint)))

    def _answered(self, message: Message) -> None:
        number = self._runs.get(message.trail.runid)
        port = message.topic.removeprefix(self._answers)
        if number is None or port == "error":
            return
        heard = self.heard[number]
        heard.took_s = heard.took_s or time.perf_counter() - self._began_s
        value = message.value
        if not isinstance(value, dict):
            heard.answer = heard.answer or str(value)
            heard.stage = heard.stage or self._kind
            return
        heard.answer = heard.answer or str(value.get("answer") or "")
        heard.stage = heard.stage or _stage_of(value, port, self._kind)
        heard.reason = heard.reason or str(value.get("reason") or "")
        sure = value.get("confidence")
        heard.confidence = sure if isinstance(sure, (int, float)) else heard.confidence

    def _belongs(self, runid: str, number: int) -> None:
        self._runs[runid] = number
        self._ids.setdefault(number, []).append(runid)

    def _forget(self, number: int) -> None:
        for runid in self._ids.pop(number, ()):
            del self._runs[runid]


def _stage_of(answer: Mapping[str, object], port: str, kind: str) -> str:
    """Who decided: the stage that the answer names, or else the agent that was asked in its stead."""
    stage, by = answer.get("stage"), answer.get("by")
    if isinstance(stage, str) and stage:
        return stage
    if isinstance(by, str) and by:
        return by.rpartition("/")[2]
    return ("rules" if port == "out" else "") if kind == "sentences" else kind


def _same(did: list[Command], wanted: Sequence[Command]) -> bool:
    """Whether two lists hold the same commands, in any order; numbers count by value."""
    left = list(did)
    for command in wanted:
        found = next((one for one in left if _equal(one, command)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _equal(one: Command, other: Command) -> bool:
    return (one.path, one.port) == (other.path, other.port) and _alike(one.payload, other.payload)


def _alike(one: object, other: object) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other
