"""Lets language models answer what agents ask them, in threads beside the event loop: so many at once, and so many that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgematrix.composition.course import Think, Thought
from edgematrix.composition.llm_plan import LlmPlan
from edgematrix.errors import ModelError
from edgematrix.models.halt import Halt
from edgematrix.models.talk import Reply, Saying, Talk
from edgematrix.models.talker import Talker
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.call_budget import CallBudget
from edgematrix.runtime.code import Code
from edgematrix.runtime.model_threads import ModelThreads, failure_told
from edgematrix.runtime.workshop import Workshop

__all__ = ["ModelDesk", "ModelThinker"]


class ModelDesk:
    """Asks a model, or a server with models. The model ends with it.

    Args:
        name: of the model, for errors.
        parallel: how many ask at once.
        waiting_max: how many may wait besides.
    """

    def __init__(self, name: str, talker: Talker, parallel: int, waiting_max: int) -> None:
        self._talker = talker
        self._threads = ModelThreads(talker, f"the model {name}", "questions to answer", parallel + waiting_max, parallel=parallel)

    @property
    def trouble(self) -> str:
        """Why the model does not work for now; empty while it does."""
        return self._talker.trouble

    async def take(
        self, talk: Talk, timeout_s: float, halt: Halt, heard: Callable[[Saying], None] | None, clock: Clock
    ) -> tuple[Reply, int]:
        """What the model says, and how many microseconds it took.

        Raises:
            ModelError: as `Talker.talk`, or too many wait.
        """

        def ask() -> tuple[Reply, int]:
            began_us = clock.now_us()
            return self._talker.talk(talk, timeout_s, heard=heard, halt=halt), clock.now_us() - began_us

        return await self._threads.take(ask)

    def close(self) -> None:
        """End the model. Whoever waits for it gets an error."""
        self._threads.close()


class ModelThinker:
    """A `Thinker` that asks a model on behalf of one agent.

    Args:
        path: the agent's.
        ails: told, in a line, why the model does not work at all for now; the empty text once it works again.
        budget: how often it may be asked; None for as often as it likes.
    """

    def __init__(
        self,
        path: str,
        plan: LlmPlan,
        desk: ModelDesk,
        workshop: Workshop,
        clock: Clock,
        ails: Callable[[str], None],
        budget: CallBudget | None = None,
    ) -> None:
        self._path = path
        self._plan = plan
        self._desk = desk
        self._workshop = workshop
        self._clock = clock
        self._ails = ails
        self._code = Code(self._ask, path, object, object, is_async=True)
        self._budget = budget

    def think(
        self, asked: Think, thought: Callable[[Thought | None, str, int], None], heard: Callable[[str, int], None] | None
    ) -> Callable[[], None]:
        """Ask the model; `thought(thought, error, now_us)` is called once, unless the function that is returned was called before."""
        halt = Halt()
        # Counted with what makes it ask, so that it is stored with that, if nobody is there for the answer any more.
        refusal = "" if self._budget is None else self._budget.spend(self._clock.now_us())

        def over(result: object, error: BaseException | None) -> None:
            now_us = self._clock.now_us()
            self._ails(self._desk.trouble)
            why = "" if error is None else failure_told(error, f"the model of {self._path}")
            thought(result if isinstance(result, Thought) else None, why, now_us)

        task = self._workshop.start(self._code, f"model {self._path}", (asked, halt, heard, refusal), None, over)

        def stop() -> None:
            halt.now()
            task.cancel()

        return stop

    async def _ask(self, given: tuple[Think, Halt, Callable[[str, int], None] | None, str], _context: object) -> Thought:
        asked, halt, heard, refusal = given
        if refusal:
            raise ModelError(refusal)
        plan, loop, clock = self._plan, asyncio.get_running_loop(), self._clock
        talk = Talk(
            asked.turns,
            tuple(tool.told for name, tool in plan.tools.items() if asked.tools is None or name in asked.tools),
            plan.spec.output,
            asked.tokens_max,
            plan.spec.temperature,
            streams=heard is not None,
            is_weighed=plan.escalation is not None,
        )

        def piece(saying: Saying) -> None:
            if heard is not None:
                loop.call_soon_threadsafe(lambda: None if halt.is_wanted else heard(saying.text, clock.now_us()))

        reply, took_us = await self._desk.take(talk, asked.time_us_max / SECOND_US, halt, None if heard is None else piece, clock)
        if heard is not None:
            await asyncio.sleep(0)  # its last pieces come before its end
        calls = [(call.id, call.name, call.arguments) for call in reply.calls]
        return Thought(asked.step, reply.text, calls, reply.tokens, took_us, reply.is_cut, reply.note, reply.confidence)
