"""Takes up at a start what was under way when the host went down.

Nothing acts before all is there: first the runs, with the calls that they have open, then the states of trigger groups; only then
groups go on, calls of which nothing is left fail, and whoever waits for room gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from edgematrix.errors import StateError
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.call import Holder
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.ledger_entry import StoredRun
from edgematrix.runtime.observation import Dropped
from edgematrix.runtime.partial_inputs import StoredInputs
from edgematrix.runtime.run import Run
from edgematrix.runtime.set_aside import SetAside

__all__ = ["Resumption"]


@runtime_checkable
class _Starter(Protocol):
    """Who can take up runs of its own."""

    keeps: bool

    @property
    def name(self) -> str:
        """Of the group."""

    def take_up(self, stored: StoredRun, now_us: int) -> Run:
        """Take up one.

        Raises:
            StateError: nothing can be made of what was kept of it.
        """


@runtime_checkable
class _Collector(Protocol):
    """Who can take up inputs that wait for others."""

    def take_up_inputs(self, stored: StoredInputs) -> bool:
        """Take up some; False if they are none of its own."""


class Resumption:
    """One start of an engine's agents, or of some that come to it later.

    Args:
        awaited: agents that may come later, and go on with what they had under way.
        damaged: called with the key and the error where something that was stored is of no use.
    """

    def __init__(self, engine: Engine, damaged: Callable[[str, Exception], None], awaited: SetAside | None = None) -> None:
        self._engine = engine
        self._damaged = damaged
        self._awaited = SetAside() if awaited is None else awaited
        self._lost: list[StoredRun] = []
        self._lost_inputs: list[tuple[StoredInputs, str]] = []

    def take_up(self, parts: Mapping[str, bytes], now_us: int) -> None:
        """Take up the runs, and the inputs that wait for others."""
        engine = self._engine
        stored, inputs = engine.ledger.load(parts, self._damaged)
        runs = [run for run in (self._run(found, now_us) for found in stored) if run is not None]
        for run in runs:
            engine.calls.begun(run)
        engine.calls.cancelled.update(engine.ledger.left)
        for waiting in inputs:
            if not any(isinstance(holder, _Collector) and holder.take_up_inputs(waiting) for holder in self._holders(waiting.agent)):
                self._lose_inputs(waiting, "its definition was changed while the host was down")

    def give_up(self, parts: Mapping[str, bytes], reason: str) -> None:
        """Nothing of this goes on here; it is told why by `finish`."""
        stored, inputs = self._engine.ledger.load(parts, self._damaged)
        for found in stored:
            found.trouble = found.trouble or f"the host went down while it was under way, and {reason}"
            self._lost.append(found)
            self._engine.ledger.drop(*found.keys)
        for waiting in inputs:
            self._lose_inputs(waiting, reason)

    def finish(self, now_us: int) -> None:
        """All is there: tell whoever waits for what is lost."""
        engine = self._engine
        if engine.ledger.left and not self._awaited:
            engine.ledger.leave_only(runid for holders in engine.holders.values() for holder in holders for runid in holder.runs_held())
        for stored in self._lost:
            self._tell(stored, now_us)
        for waiting, why in self._lost_inputs:
            for message in waiting.messages.values():
                reason = f"{waiting.agent} does not wait for it any more: {why}"
                engine.dead_letter(waiting.agent, message.topic, message.value, reason, now_us, Origin(message.trail, message.source))
        for call, reason in engine.calls.reopened(engine.elsewhere, engine.edges.steady, self._awaited):
            engine.calls.fail(call.runid, reason, now_us, gone=call.is_here == (call.receiver in engine.elsewhere))

    def _lose_inputs(self, waiting: StoredInputs, reason: str) -> None:
        self._lost_inputs.append((waiting, reason))
        self._engine.ledger.drop(waiting.key)

    def _run(self, stored: StoredRun, now_us: int) -> Run | None:
        """Take up one run; None if that cannot be."""
        if not stored.trouble:
            try:
                return self._starter(stored).take_up(stored, now_us)
            except StateError as error:
                stored.trouble, stored.is_damaged = error.what, True
            except LookupError as error:
                stored.trouble = str(error.args[0])
        if stored.is_damaged:
            self._damaged(f"{self._engine.ledger.store_key} {stored.agent} {stored.group} {stored.number}", StateError(stored.trouble))
        self._lost.append(stored)
        self._engine.ledger.drop(*stored.keys)
        return None

    def _starter(self, stored: StoredRun) -> _Starter:
        holders = self._holders(stored.agent)
        for holder in holders:
            if isinstance(holder, _Starter) and holder.name == stored.group:
                if not holder.keeps:
                    raise LookupError(f"it was under way when the host went down, and {stored.agent} is not durable any more")
                return holder
        what = f"{stored.agent} does not work in this way any more" if holders else f"there is no {stored.agent} any more"
        raise LookupError(f"it was under way when the host went down, and {what}")

    def _holders(self, agent: AgentPath) -> list[Holder]:
        return self._engine.holders.get(agent, [])

    def _tell(self, stored: StoredRun, now_us: int) -> None:
        """A run does not go on: retried as a dead letter, it begins anew."""
        engine = self._engine
        call = engine.calls.of(stored.trail.runid, stored.agent)
        if call is not None:
            engine.calls.fail(call.runid, stored.trouble, now_us)
            return
        if stored.is_called:  # whoever called is lost too, and told of
            engine.observe(Dropped(now_us, stored.agent, f"{engine.root}/run/{stored.agent}", stored.trouble))
            return
        values = {name: None if reading is None else reading.value for name, reading in stored.firing.sources.items()}
        origin = Origin(stored.trail, firing=stored.firing)
        engine.dead_letter(stored.agent, f"{engine.root}/run/{stored.agent}", values, stored.trouble, now_us, origin)
