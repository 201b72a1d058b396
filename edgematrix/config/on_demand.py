"""What few matrices use: made with the first agent that asks for it, and closed with the host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from edgematrix.protocol.limits import Limits
from edgematrix.protocol.ports import Clock

if TYPE_CHECKING:
    from edgematrix.composition.llm_plan import LlmPlan
    from edgematrix.composition.sentences_plan import SentencesPlan
    from edgematrix.composition.spec import SpeakerModel
    from edgematrix.identity.secrets import SecretStore
    from edgematrix.runtime.call_budget import CallBudget
    from edgematrix.runtime.ensemble import Chooser, Thinker
    from edgematrix.runtime.model_chooser import Choosers
    from edgematrix.runtime.model_thinkers import Thinkers
    from edgematrix.runtime.scorer import ModelWanted, Scorer, Scorers
    from edgematrix.runtime.voice_desk import VoiceDesk, VoiceDesks, VoiceWanted
    from edgematrix.runtime.workshop import Workshop

__all__ = ["LazyVoices", "OnDemand", "choosers_of", "scorers_of", "thinkers_of", "workshop_maker"]


class _Closable(Protocol):
    def close(self) -> None:
        """Let go of what it holds."""


T = TypeVar("T", bound=_Closable)


class OnDemand(Generic[T]):
    """One thing, made when it is first asked for.

    Args:
        make: makes it; what only this needs is imported there.
        stack: closes it, if it was made.
    """

    def __init__(self, make: Callable[[], T], stack: AsyncExitStack) -> None:
        self._make = make
        self._stack = stack
        self._made: T | None = None

    def __call__(self) -> T:
        """The thing. Raises whatever making it raises."""
        if self._made is None:
            self._made = self._make()
            self._stack.callback(self._made.close)
        return self._made


def workshop_maker(clock: Clock) -> Callable[[Limits, Callable[[str, int], None]], Workshop]:
    """What makes the place where agents' code runs, once an agent has any."""

    def make(limits: Limits, stalled: Callable[[str, int], None]) -> Workshop:
        from edgematrix.runtime.workshop import Workshop  # noqa: PLC0415 - a matrix without code does not need it

        return Workshop(clock, limits, stalled)

    return make


def scorers_of(clock: Clock, stack: AsyncExitStack) -> Callable[[ModelWanted, str, Workshop], Scorer]:
    """What makes the scorers of windows."""

    def make() -> Scorers:
        from edgematrix.runtime.scorer import Scorers  # noqa: PLC0415 - few matrices have a model

        return Scorers(clock, is_quick=True)

    scorers = OnDemand(make, stack)

    def scorer(wanted: ModelWanted, agent: str, workshop: Workshop) -> Scorer:
        return scorers()(wanted, agent, workshop)

    return scorer


def choosers_of(clock: Clock, folder: Path, stack: AsyncExitStack) -> Callable[[SpeakerModel, Workshop], Chooser]:
    """What makes the choosers of chats; models' files are named from `folder`."""

    def make() -> Choosers:
        from edgematrix.runtime.model_chooser import Choosers  # noqa: PLC0415 - few matrices have such a chat

        return Choosers(clock, folder)

    choosers = OnDemand(make, stack)

    def chooser(model: SpeakerModel, workshop: Workshop) -> Chooser:
        return choosers()(model, workshop)

    return chooser


def thinkers_of(
    clock: Clock, folder: Path, secrets: Callable[[], SecretStore], kept: Path | None, stack: AsyncExitStack
) -> Callable[[str, LlmPlan | SentencesPlan, Workshop, Callable[[str], None], CallBudget | None], Thinker]:
    """What makes the thinkers of language models, and of agents that hear sentences.

    Args:
        folder: where the path of a model's file begins.
        kept: a folder for what models keep over a restart; None for nothing.
    """

    def make() -> Thinkers:
        from edgematrix.runtime.model_thinkers import Thinkers  # noqa: PLC0415 - few matrices have a language model

        return Thinkers(clock, folder, secrets, kept)

    thinkers = OnDemand(make, stack)

    def thinker(
        path: str, plan: LlmPlan | SentencesPlan, workshop: Workshop, ails: Callable[[str], None], budget: CallBudget | None
    ) -> Thinker:
        return thinkers()(path, plan, workshop, ails, budget)

    return thinker


class LazyVoices:
    """What listens for the agents of a host."""

    def __init__(self, clock: Clock, stack: AsyncExitStack) -> None:
        def make() -> VoiceDesks:
            from edgematrix.runtime.voice_desk import VoiceDesks  # noqa: PLC0415 - few matrices have a microphone

            return VoiceDesks(clock)

        self._desks = OnDemand(make, stack)

    def __call__(self, wanted: VoiceWanted, agent: str, workshop: Workshop) -> VoiceDesk:
        """Make one for an agent."""
        return self._desks()(wanted, agent, workshop)

    def is_scripted(self, agent: str) -> bool:  # noqa: ARG002 - as in a simulation
        """No scenario is played here."""
        return False
