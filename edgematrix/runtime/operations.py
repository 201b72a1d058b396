"""Carries out what operators, agents above, and agents' own code ask of running agents: one thing at a time, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from difflib import get_close_matches
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from edgematrix.errors import EdgeMatrixError, PathError, QueueFullError, RunError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.cancelling import cancel_run
from edgematrix.runtime.engine import Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.order import DEFINES, VERBS, Answer, Approve, Cancel, Order, Pause, Told, read_control, read_operation
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.topology import Applied, Prepared, Topology

__all__ = ["Aside", "Operations", "at_once"]

T = TypeVar("T")

Replaced: TypeAlias = Callable[[Applied | None, EdgeMatrixError | None], None]

_QUEUE_MAX = 100
"""Changes that wait for their turn."""
_SECOND_MAX = 20
"""Changes that begin within a second; the others wait."""
_NEVER = -SECOND_US


class Aside(Protocol):
    """Does what may take long, beside whoever calls."""

    def __call__(self, work: Callable[[], T], over: Callable[[T | None, EdgeMatrixError | None], None]) -> None:
        """Call `work`, and then `over` with its result or its error, now or later, where the engine works."""


def at_once(work: Callable[[], T], over: Callable[[T | None, EdgeMatrixError | None], None]) -> None:
    """Do it here and now: for a simulation."""
    try:
        result = work()
    except EdgeMatrixError as error:
        over(None, error)
    else:
        over(result, None)


class Operations:
    """The one way to change what runs. A listener, and a timer, of the engine.

    Args:
        host: its name, from which its answers come.
        now_us: the host's time.
        front: where orders come in and answers go out; None makes one without a log.
        aside: where a change is checked and built.
        changed: told what was put in place, so that the host subscribes, and tells the bus which agents there are.
    """

    order = 0

    def __init__(
        self,
        assembly: Assembly,
        topology: Topology,
        *,
        host: str,
        now_us: Callable[[], int],
        front: FrontDesk | None = None,
        aside: Aside = at_once,
        changed: Callable[[Applied], None],
    ) -> None:
        engine = self._engine = assembly.engine
        self.agent = engine.matrix
        self._assembly = assembly
        self._topology = topology
        self._front = FrontDesk(engine, host) if front is None else front
        self._now_us = now_us
        self._aside = aside
        self._changed = changed
        self._waiting: deque[tuple[Order, Told]] = deque()
        self._replacing: deque[tuple[Callable[[], Prepared], Replaced]] = deque()
        self._under_way = False
        self._begun_us: deque[int] = deque([_NEVER] * _SECOND_MAX, maxlen=_SECOND_MAX)
        self._due_us: int | None = None
        self._is_closed = False
        self._control = f"{engine.root}/{Kind.CTL}/"
        self.filters = [f"{engine.root}/{Kind.OP}/+/{verb}/{engine.matrix}/#" for verb in VERBS]
        """What a host subscribes to: none of it overlaps with a watch, for a broker may deliver twice what overlaps.

        What agents above ask comes with the inputs of the agents here."""
        for text in (*self.filters, f"{self._control}{engine.matrix}/#"):
            engine.listen(TopicFilter.parse(text), self)
        engine.desk = self

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - the topic tells what it is
        """Take what somebody asks for."""
        engine = self._engine
        is_control = message.topic.startswith(self._control)
        if is_control and message.topic.removeprefix(self._control).rpartition("/")[0] in engine.elsewhere:
            return  # whoever runs there hears it too
        try:
            order = read_control(message, engine.root) if is_control else read_operation(message, engine.root)
        except EdgeMatrixError as error:
            self._front.unread(message, error, now_us)
            return
        looks = isinstance(order.asked, Approve) and order.asked.list

        def carry_out(now_us: int) -> None:
            self.ask(order, lambda about, error: self._reply(order, about, error), now_us)

        self._front.admit(order, carry_out, now_us, changes=not looks)

    def _is_late(self, order: Order, error: EdgeMatrixError | None) -> bool:
        """Whether somebody elsewhere has hung up on a call that is over, or has not come yet: then it is not begun."""
        asked = order.asked
        if error is None or order.session or not isinstance(asked, Cancel) or not order.topic.startswith(self._control):
            return False
        self._engine.calls.forbid(asked.run, order.path)
        return True

    def ask(self, order: Order, told: Told, now_us: int) -> None:
        """Carry it out, now or in its turn."""
        if isinstance(order.asked, (Cancel, Approve)):
            try:
                about = self._act(order, now_us)
            except EdgeMatrixError as error:
                told(None, error)
            else:
                told(about, None)
        elif len(self._waiting) >= _QUEUE_MAX:
            told(None, QueueFullError(f"{_QUEUE_MAX} changes wait already", remedy="try again later"))
        else:
            self._waiting.append((order, told))
            self._look(now_us)

    def beside(self, work: Callable[[], None], over: Callable[[EdgeMatrixError | None], None]) -> None:
        """Try something beside the event loop; `over` is called where the engine works, with what was wrong."""
        self._aside(work, lambda _, error: over(error))

    def replace(self, prepare: Callable[[], Prepared], told: Replaced) -> None:
        """Put in place what `prepare` builds, before all that operators ask for, and after what is under way.

        Args:
            prepare: called beside the event loop, when nothing else changes.
            told: called where the engine works with what was put in place, or with what was wrong: then nothing was.
        """
        self._replacing.append((prepare, told))
        self._look(self._now_us())

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._due_us

    def due(self, due_us: int, now_us: int) -> None:
        """The next change may begin."""
        if due_us != self._due_us:
            return
        self._due_us = None
        if self._under_way or self._is_closed:
            return
        if self._replacing:
            prepare, replaced = self._replacing.popleft()
            self._under_way = True
            self._aside(prepare, lambda prepared, error: self._replace(replaced, prepared, error))
            return
        if not self._waiting:
            return
        order, told = self._waiting.popleft()
        self._begun_us.append(now_us)
        self._under_way = True
        if isinstance(order.asked, DEFINES):
            asked = order.asked
            self._aside(lambda: self._topology.prepare(order.path, asked), lambda prepared, error: self._prepared(told, prepared, error))
            return
        self._aside(self._topology.remember, lambda _, error: self._remembered(order, told, error))

    def close(self) -> None:
        """Carry out nothing any more."""
        self._is_closed = True
        self._waiting.clear()
        self._replacing.clear()

    # Inside

    def _look(self, now_us: int) -> None:
        """Let the next change begin as soon as it may: outside any message, for it changes who hears what."""
        if self._under_way:
            return
        if self._replacing:
            due_us = now_us  # nobody outside can ask for these as often as they like
        elif self._waiting:
            due_us = max(now_us, self._begun_us[0] + SECOND_US)
        else:
            return
        if self._due_us is None or due_us < self._due_us:
            self._due_us = due_us
            self._engine.schedule(self, due_us)

    def _prepared(self, told: Told, prepared: Prepared | None, error: EdgeMatrixError | None) -> None:
        if self._is_closed:
            return
        if prepared is None:
            self._over(told, None, error)
            return
        now_us = self._now_us()
        try:
            applied = self._topology.apply(prepared, now_us)
        except Exception as wrong:
            self._over(told, None, RunError(f"an error within the host: {type(wrong).__name__}: {wrong}"))
            raise
        self._publish(applied, now_us)
        self._changed(applied)
        self._over(told, {"warnings": list(applied.warnings)} if applied.warnings else {}, None)

    def _replace(self, told: Replaced, prepared: Prepared | None, error: EdgeMatrixError | None) -> None:
        if self._is_closed:
            return
        applied: Applied | None = None
        try:
            if prepared is not None:
                applied = self._topology.apply(prepared, self._now_us())
                self._changed(applied)
        except Exception as wrong:
            error = RunError(f"an error within the host: {type(wrong).__name__}: {wrong}")
            raise
        finally:
            self._under_way = False
            told(applied if error is None else None, error)
            self._look(self._now_us())

    def _remembered(self, order: Order, told: Told, error: EdgeMatrixError | None) -> None:
        if self._is_closed:
            return
        about: Answer | None = None
        try:
            about = self._pause(order) if error is None else None
        except EdgeMatrixError as wrong:
            error = wrong
        self._over(told, about, error)

    def _over(self, told: Told, about: Answer | None, error: EdgeMatrixError | None) -> None:
        self._under_way = False
        told(about, error)
        self._look(self._now_us())

    def _pause(self, order: Order) -> Answer:
        path, engine = order.path, self._engine
        self._check(path)
        if path in engine.elsewhere and not any(is_below(agent, path) for agent in self._assembly.agents):
            raise RunError("it runs elsewhere and speaks for itself", where=path, remedy="pause whoever sends work to it")
        parts = engine.pauses.parts
        before = frozenset(parts)
        if isinstance(order.asked, Pause):
            if engine.pauses.covers(path):
                raise RunError("it is paused already", where=path)
            parts.difference_update([part for part in parts if is_below(part, path)])
            parts.add(path)
        elif path in parts:
            parts.remove(path)
        else:
            above = next((part for part in parts if is_below(path, part)), None)
            below = sorted(part for part in parts if is_below(part, path))
            if not below:
                what = "it is not paused" if above is None else f"it is paused with {above}"
                raise RunError(what, where=path, remedy="" if above is None else f"resume {above}")
            parts.difference_update(below)
        self._topology.note()
        agents = self._assembly.agents
        touched = [agent for agent in agents if engine.pauses.covers(agent) != _covered(before, agent)]
        applied = Applied(self._topology.revision, agents, engine.elsewhere, changed=touched)
        for desk in self._assembly.desks.values():
            desk.heed_pauses(self._now_us())
        self._changed(applied)
        return {"agents": len(touched)}

    def _act(self, order: Order, now_us: int) -> Answer:
        """Cancel a run, or answer a question: at once, for somebody waits."""
        self._check(order.path)
        asked = order.asked
        if isinstance(asked, Cancel):
            return {"run": asked.run, "cancelled": cancel_run(self._engine, order.path, asked.run, now_us)}
        assert isinstance(asked, Approve)  # noqa: S101 - whoever calls knows
        return self._approve(order, asked, now_us)

    def _approve(self, order: Order, asked: Approve, now_us: int) -> Answer:
        questions = self._assembly.questions
        if asked.list:
            skew_us = self._engine.skew_us
            return {
                "questions": [
                    {
                        "agent": question.agent,
                        "run": question.runid,
                        "question": question.text,
                        "choices": list(question.choices),
                        "until": format_moment(question.until_us + skew_us),
                        **({} if question.action is None else {"action": dict(question.action)}),
                    }
                    for question in questions or ()
                    if _covered((order.path,), question.agent) and asked.run in ("", question.runid)
                ]
            }
        if asked.answer is msgspec.UNSET:
            raise RunError("`answer` is missing", where=order.path, remedy='{"answer": …}, or {"list": true} for what is asked')
        if questions is None:
            raise RunError("no agent here asks people", where=order.path)
        if order.topic.startswith(self._control) and any(
            question.action is not None and _covered((order.path,), question.agent) and asked.run in ("", question.runid)
            for question in questions
        ):
            raise RunError("a critical command is approved by people, not by agents", where=order.path, remedy="an operator asks on `op`")
        question = questions.answer(order.path, asked.run, asked.answer, order.by, now_us, order.given_us, digest=asked.digest)
        return {"agent": question.agent, "run": question.runid, "answer": asked.answer}

    def _check(self, path: AgentPath) -> None:
        """Refuse what is not here, with the nearest that is.

        Raises:
            PathError: there is no such agent.
        """
        agents = self._assembly.agents
        if path != self._engine.matrix and path not in self._engine.elsewhere and path not in agents:
            near = get_close_matches(path, agents, n=1, cutoff=0.5)
            raise PathError(f"there is no agent {path}", remedy=f"did you mean {near[0]}?" if near else "")

    def _publish(self, applied: Applied, now_us: int) -> None:
        """Tell the new definitions, retained, and the manifest last."""
        engine = self._engine
        root, matrix = engine.root, engine.matrix
        for path, value in applied.specs.items():
            told = b"" if value is None else value
            engine.outbox.append(Outbound(topic_for(root, Kind.SPEC, path), told, matrix, now_us, 1, retain=True))
        manifest = {"revision": applied.revision, "paths": dict(applied.manifest)}
        engine.outbox.append(Outbound(topic_for(root, Kind.SPEC, matrix), manifest, matrix, now_us, 1, retain=True))

    def _reply(self, order: Order, about: Answer | None, error: EdgeMatrixError | None) -> None:
        """Tell whoever asked; a refusal that nobody waits for is dead-lettered."""
        now_us = self._now_us()
        if error is None:
            self._front.done(order, [{"done": True, "revision": self._topology.revision, **(about or {})}], now_us)
        elif not self._is_late(order, error):
            self._front.refused(order, error, now_us)


def _covered(parts: frozenset[AgentPath] | tuple[AgentPath, ...], path: str) -> bool:
    return any(path == part or is_below(path, part) for part in parts)
