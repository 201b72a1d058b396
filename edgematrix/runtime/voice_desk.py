"""Lets a voice's models listen, in a thread beside the event loop; and answers be spoken, in another one."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

import msgspec

from edgematrix.models.process import ModelProcess
from edgematrix.models.voice_wire import Ears, Sound, Sounded
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.code import Code
from edgematrix.runtime.model_threads import failure_told
from edgematrix.runtime.workshop import Workshop

__all__ = ["Listener", "VoiceDesk", "VoiceDesks", "VoiceWanted", "Voices"]

T = TypeVar("T")
Told = Callable[[T | None, str, int], None]


class VoiceWanted(msgspec.Struct, frozen=True):
    """Which models an agent listens with."""

    ears: Ears
    timeout_s: float
    memory_bytes_max: int | None = None


class Listener(Protocol):
    """What listens. It blocks."""

    def listen(self, sound: Sound, timeout_s: float) -> Sounded:
        """What there is to notice in the next piece. Raises ModelError."""

    def close(self) -> None:
        """Let go of all that it holds."""


@runtime_checkable
class _Running(Protocol):
    process: ModelProcess


class VoiceDesk:
    """Asks the models of one agent.

    Args:
        is_scripted: the models hear what a scenario says.
    """

    def __init__(self, listener: Listener, wanted: VoiceWanted, agent: str, workshop: Workshop, clock: Clock, *, is_scripted: bool) -> None:
        self._listener = listener
        self._wanted = wanted
        self._agent = agent
        self._workshop = workshop
        self._clock = clock
        self.is_scripted = is_scripted
        self.listens = False
        """Whether the models are loaded, and have not failed since."""
        self._ears = ThreadPoolExecutor(1, thread_name_prefix="voice")
        self._mouth = ThreadPoolExecutor(1, thread_name_prefix="speech")
        self._finish = weakref.finalize(self, _end, listener, self._ears, self._mouth)

    @property
    def pid(self) -> int | None:
        """The process of the models; None while there is none."""
        return self._listener.process.pid if isinstance(self._listener, _Running) else None

    def listen(self, sound: Sound, told: Told[Sounded]) -> None:
        """Hand in the next piece; `told(sounded, error, now_us)` is called once. One is under way at a time."""

        def heard(sounded: Sounded | None, error: str, now_us: int) -> None:
            self.listens = sounded is not None
            told(sounded, error, now_us)

        self._start(partial(self._listener.listen, sound, self._wanted.timeout_s), self._ears, heard)

    def speak(self, text: str, speaker: str, told: Told[bytes]) -> None:
        """Make speech of a text; `told(wav, error, now_us)` is called once."""
        from edgematrix.models.espeak import speech_of  # noqa: PLC0415 - few voices answer so

        self._start(partial(speech_of, text, speaker), self._mouth, told)

    def close(self) -> None:
        """End the models. Whoever waits for them gets an error."""
        self._finish()

    def _start(self, work: Callable[[], T], threads: ThreadPoolExecutor, told: Told[T]) -> None:
        async def ask(_argument: object, _context: object) -> T:
            return await asyncio.get_running_loop().run_in_executor(threads, work)

        def over(result: Any, error: BaseException | None) -> None:
            now_us = self._clock.now_us()
            if error is None:
                told(result, "", now_us)
            else:
                told(None, failure_told(error, f"the voice of {self._agent}"), now_us)

        self._workshop.start(Code(ask, self._agent, object, object, is_async=True), self._agent, None, None, over)


def _end(listener: Listener, *threads: ThreadPoolExecutor) -> None:
    listener.close()
    for pool in threads:
        pool.shutdown(wait=False, cancel_futures=True)


class Voices(Protocol):
    """Makes what listens for the agents of a host."""

    def __call__(self, wanted: VoiceWanted, agent: str, workshop: Workshop) -> VoiceDesk:
        """Make one for an agent. Raises ModelError."""

    def is_scripted(self, agent: str) -> bool:
        """Whether a scenario says what the agent hears."""


class VoiceDesks:
    """Makes the desk of each voice of a host: a stream has a state, so none shares its models.

    Args:
        scripts: by the path of an agent what its models are to hear.
    """

    def __init__(self, clock: Clock, scripts: Mapping[str, Sequence[object]] = MappingProxyType({})) -> None:
        self._clock = clock
        self._scripts = scripts
        self._desks: WeakSet[VoiceDesk] = WeakSet()
        """Each lives as long as the agent that asks it."""

    def __call__(self, wanted: VoiceWanted, agent: str, workshop: Workshop) -> VoiceDesk:
        """Make one; nothing of a model is loaded yet.

        Raises:
            ModelError: what it needs is not installed, or a script says what cannot be heard.
        """
        script = self._scripts.get(agent)
        listener = _real(wanted, agent) if script is None else _fake(wanted, agent, script)
        desk = VoiceDesk(listener, wanted, agent, workshop, self._clock, is_scripted=script is not None)
        self._desks.add(desk)
        return desk

    def is_scripted(self, agent: str) -> bool:
        """Whether a scenario says what the agent hears."""
        return agent in self._scripts

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the models that run."""
        return tuple(desk.pid for desk in self._desks if desk.pid is not None)

    @property
    def are_ready(self) -> bool:
        """Whether all of them are loaded."""
        return bool(self._desks) and all(desk.listens for desk in self._desks)

    def close(self) -> None:
        """End all models."""
        for desk in list(self._desks):
            desk.close()
        self._desks.clear()


def _fake(wanted: VoiceWanted, agent: str, script: Sequence[object]) -> Listener:
    from edgematrix.models.fake_voice import FakeVoice  # noqa: PLC0415 - for tests

    return FakeVoice(agent, script, wanted.ears.wake if wanted.ears.wake not in ("none", "push") else "")


def _real(wanted: VoiceWanted, agent: str) -> Listener:
    from edgematrix.models.voice_model import VoiceModel, lacking  # noqa: PLC0415 - a scenario with fakes does not need it

    problem = lacking(wanted.ears.recognise, wanted.ears.wake)
    if problem is not None:
        raise problem
    return VoiceModel(agent, wanted.ears, memory_bytes_max=wanted.memory_bytes_max)
