"""A matrix in virtual time: the host's own engine, fed from a list. No broker, no waiting, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.live import LiveTopology
from edgematrix.config.live_record import LiveRecord, restore
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.errors import ConfigError
from edgematrix.protocol.codec import decode, encode_value
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.router import Router
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.dead_desk import DeadDesk
from edgematrix.runtime.engine import Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.keeper import PART_SEPARATOR, collect, parts_by_owner
from edgematrix.runtime.observation import Observer
from edgematrix.runtime.operations import Operations
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.send_desk import SendDesk
from edgematrix.runtime.topology import Applied
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.recording import Recorded
from edgematrix.testing.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from edgematrix.composition.llm_plan import LlmPlan
    from edgematrix.composition.sentences_plan import SentencesPlan
    from edgematrix.composition.spec import SpeakerModel
    from edgematrix.identity.secrets import Source
    from edgematrix.runtime.call_budget import CallBudget
    from edgematrix.runtime.ensemble import Chooser, Thinker
    from edgematrix.runtime.model_chooser import Choosers
    from edgematrix.runtime.model_thinkers import Thinkers
    from edgematrix.runtime.scorer import ModelWanted, Scorer, Scorers
    from edgematrix.runtime.voice_desk import VoiceDesks

__all__ = ["HOST", "START_US", "Restart", "Seen", "Simulation"]

HOST = "simulation"
"""The host's name: answers to operators come from it."""

START_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, a Thursday: virtual time 0 unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The host is killed at `at_us` and started `down_us` later, with its store kept. Microseconds from the start."""

    at_us: int
    down_us: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the matrix published. `at_us` counts from the start; `payload` is an event's data or the bare value."""

    at_us: int
    topic: str
    payload: object
    retain: bool
    qos: int


class Simulation:
    """Plays inputs to a matrix.

    Args:
        spec: the matrix.
        loader: where agents' code is found.
        start_us: virtual time 0, microseconds since the epoch.
        seed: from which ids are made.
        watch: filters of what is to be seen; without any, all that is published outside the root.
        observer: told of each hop.
        scripts: by the path of an agent that is a language model what that is to answer, in place of the real one.
        servers: makes the source of keys where servers of language models are asked; None where they are not.

    Raises:
        ConfigError: the matrix cannot be built.
        TopicError: a filter of `watch` is malformed.
    """

    def __init__(
        self,
        spec: MatrixSpec,
        *,
        loader: CodeLoader | None = None,
        start_us: int = START_US,
        seed: int = 0,
        watch: Sequence[str] = (),
        observer: Observer | None = None,
        scripts: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        servers: Callable[[], Source] | None = None,
    ) -> None:
        self._servers = servers
        self._spec = spec
        self._loader = loader or CodeLoader()
        self._start_us = start_us
        self._new_id = id_maker(seed)
        self._observer = observer
        self._watched = _watcher(watch, spec.root)
        self._watches = bool(watch)
        self._clock = VirtualClock(start_us)
        self._loop: VirtualLoop | None = None
        self._choosers: Choosers | None = None
        self._scorers: Scorers | None = None
        self._thinkers: Thinkers | None = None
        self._voices: VoiceDesks | None = None
        self._scripts = scripts
        self._store: dict[str, bytes] = {}
        self._late: list[Message] = []
        self._ears: list[tuple[TopicFilter, _Ear]] = []
        self._assembly = self._build()

    def hears(self, topic: str) -> bool:
        """Whether an agent listens to what is published there."""
        return self._assembly.engine.hears(topic)

    def listen(self, topic_filter: str, heard: Callable[[Message], None]) -> None:
        """Hear what is on topics of the bus, as an agent here would: with who it is from and the run that it belongs to.

        Raises:
            TopicError: the filter is malformed.
        """
        ear = TopicFilter.parse(topic_filter), _Ear(self._assembly.engine.matrix, heard)
        self._ears.append(ear)
        self._assembly.engine.listen(*ear)

    def play(self, inputs: Iterable[Recorded], until_us: int, restarts: Iterable[Restart] = ()) -> Iterator[Seen]:
        """Play to the end, and yield what is published, in order.

        Args:
            inputs: what the outside world publishes, in order of time, from the start.
            until_us: the last moment, included.
            restarts: kills of the host, in order of time.
        """
        end_us = self._start_us + until_us
        self._assembly.start({}, self._start_us, _refuse_damage)
        yield from self._settled()
        kills = iter(restarts)
        kill = next(kills, None)
        for recorded in inputs:
            at_us = self._start_us + recorded.at_us
            if at_us > end_us:
                break
            while kill is not None and self._start_us + kill.at_us <= at_us:
                yield from self._restarted(kill, end_us)
                kill = next(kills, None)
            if at_us < self._clock.now_us():
                self._hold(recorded)
                continue
            yield from self._advanced(at_us)
            self._assembly.engine.receive(_message(recorded), at_us)
            yield from self._settled()
        while kill is not None and self._start_us + kill.at_us <= end_us:
            yield from self._restarted(kill, end_us)
            kill = next(kills, None)
        yield from self._advanced(end_us)
        self._close_loop()

    # Time

    def _advanced(self, to_us: int) -> Iterator[Seen]:
        """Do all that is due up to `to_us`, each thing at its own moment."""
        engine = self._assembly.engine
        while True:
            due_us = engine.deadline_us
            if self._loop is not None:
                loop_due_us = self._loop.deadline_us
                if loop_due_us is not None and (due_us is None or loop_due_us < due_us):
                    due_us = loop_due_us
            if due_us is None or due_us > to_us:
                break
            self._clock.set(due_us)
            engine.advance(self._clock.now_us())
            yield from self._settled()
        self._clock.set(to_us)

    def _settled(self) -> Iterator[Seen]:
        """Let agents' code come to rest at this instant, and tell what came out."""
        if self._loop is not None:
            self._loop.turn()
        outbox = self._assembly.engine.outbox
        while outbox:
            outbound = outbox.popleft()
            if self._watched(outbound):
                yield Seen(outbound.at_us - self._start_us, outbound.topic, outbound.value, outbound.retain, outbound.qos)

    # Kills

    def _restarted(self, restart: Restart, end_us: int) -> Iterator[Seen]:
        """Run up to the kill, not at its moment; begin anew when the time down is over, if it is before the end."""
        at_us = self._start_us + restart.at_us
        yield from self._advanced(max(at_us - 1, self._clock.now_us()))
        self._close_loop()
        _keep(self._store, collect(self._assembly.engine.touched))
        up_us = at_us + restart.down_us
        if up_us > end_us:
            self._assembly = self._build()
            self._clock.set(end_us)
            return
        self._clock.set(up_us)
        self._assembly = self._build()
        self._assembly.start(parts_by_owner(self._store), up_us, _refuse_damage)
        yield from self._settled()
        for message in self._late:
            self._assembly.engine.receive(message, up_us)
            yield from self._settled()
        self._late.clear()

    def _hold(self, recorded: Recorded) -> None:
        """What comes while the host is down is lost to it, unless the broker keeps it for a durable session."""
        if recorded.qos and self._assembly.session_durable:
            self._late.append(_message(recorded))

    # Building

    def _build(self) -> Assembly:
        self._loop = None
        around = Surroundings(
            clock=self._clock,
            new_id=self._new_id,
            workshop=self._workshop,
            loader=self._loader,
            echo=True,
            chooser=self._chooser,
            scorer=self._scorer,
            voices=self._make_voices(),
            thinker=self._thinker,
        )
        restored = restore(self._spec, self._store.get(LiveRecord.STORE_KEY + PART_SEPARATOR))
        try:
            assembly = build(restored.spec, around)
        except ConfigError:
            self._close_loop()
            raise
        topology = LiveTopology(assembly, around, lambda: self._spec, restored)
        Operations(assembly, topology, host=HOST, now_us=self._clock.now_us, changed=self._topology_changed)
        DeadDesk(assembly.engine, host=HOST)
        SendDesk(assembly.engine, lambda: assembly.agents, FrontDesk(assembly.engine, HOST))
        if self._watches:
            assembly.engine.watched = _everything
        if self._observer is not None:
            assembly.engine.observers.append(self._observer)
        for ear in self._ears:
            assembly.engine.listen(*ear)
        return assembly

    def _topology_changed(self, applied: Applied) -> None:
        """Forget the stored states of agents that are gone."""
        for key in [key for key in self._store if key.partition(PART_SEPARATOR)[0] in applied.forgotten]:
            del self._store[key]

    def _workshop(self, limits: Limits, stalled: Callable[[str, int], None]) -> Workshop:
        self._loop = VirtualLoop(self._clock)
        return Workshop(self._clock, limits, stalled, self._loop)

    def _chooser(self, model: SpeakerModel, workshop: Workshop) -> Chooser:
        """A model answers at the instant at which it is asked."""
        if self._choosers is None:
            from edgematrix.runtime.model_chooser import Choosers  # noqa: PLC0415 - few matrices have such a chat

            self._choosers = Choosers(self._clock, self._loader.folder)
        return self._choosers(model, workshop)

    def _thinker(
        self, path: str, plan: LlmPlan | SentencesPlan, workshop: Workshop, ails: Callable[[str], None], budget: CallBudget | None
    ) -> Thinker:
        if self._thinkers is None:
            from edgematrix.runtime.model_thinkers import Thinkers  # noqa: PLC0415 - few matrices have a language model

            asks = self._servers is not None
            self._thinkers = Thinkers(self._clock, self._loader.folder, self._servers, scripts=self._scripts, asks_servers=asks)
        return self._thinkers(path, plan, workshop, ails, budget)

    def _scorer(self, wanted: ModelWanted, agent: str, workshop: Workshop) -> Scorer:
        """A model answers at the instant at which it is asked."""
        if self._scorers is None:
            from edgematrix.runtime.scorer import Scorers  # noqa: PLC0415 - few matrices have a model

            self._scorers = Scorers(self._clock, self._scripts)
        return self._scorers(wanted, agent, workshop)

    def _make_voices(self) -> VoiceDesks | None:
        """What listens, which answers at the instant at which it is asked; nothing where nobody listens."""
        if not any(node.spec.voice is not None for node in AgentTree.of(self._spec)):
            return None
        from edgematrix.runtime.voice_desk import VoiceDesks  # noqa: PLC0415 - few matrices have a microphone

        self._voices = VoiceDesks(self._clock, self._scripts)
        return self._voices

    def _close_loop(self) -> None:
        if self._voices is not None:
            self._voices.close()
            self._voices = None
        if self._scorers is not None:
            self._scorers.close()
            self._scorers = None
        if self._choosers is not None:
            self._choosers.close()
            self._choosers = None
        if self._thinkers is not None:
            self._thinkers.close()
            self._thinkers = None
        if self._loop is not None:
            self._loop.close()
            self._loop = None


class _Ear:
    """Somebody who listens beside the agents."""

    __slots__ = ("_heard", "agent")

    def __init__(self, matrix: AgentPath, heard: Callable[[Message], None]) -> None:
        self.agent = matrix
        self._heard = heard

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - it has one filter, and needs no time
        """Hand a message on."""
        self._heard(message)


def _everything(path: str) -> bool:  # noqa: ARG001 - whoever watches filters by topic
    return True


def _message(recorded: Recorded) -> Message:
    """What a host makes of it: an object with `specversion` is an event."""
    payload = recorded.payload
    if isinstance(payload, dict) and "specversion" in payload:
        return decode(recorded.topic, encode_value(payload), retained=recorded.retain, qos=recorded.qos)
    return Message(recorded.topic, payload, recorded.retain, recorded.qos)


def _watcher(filters: Sequence[str], root: str) -> Callable[[Outbound], bool]:
    """Whether a publication is to be seen."""
    if not filters:
        below = f"{root}/"
        return lambda outbound: not outbound.topic.startswith(below)
    router: Router[bool] = Router()
    for text in filters:
        router.add(TopicFilter.parse(text), listener=True)
    return lambda outbound: bool(router.match(outbound.topic))


def _keep(store: dict[str, bytes], changed: Mapping[str, bytes | None]) -> None:
    for key, data in changed.items():
        if data is None:
            store.pop(key, None)
        else:
            store[key] = data


def _refuse_damage(key: str, error: Exception) -> None:
    raise AssertionError(f"the state that {key} wrote cannot be read again: {error}") from error
