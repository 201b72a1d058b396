"""What an agent's code may do while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from edgematrix.errors import EdgeMatrixError, RunError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.path import AgentPath, check_name, is_below, parse_path, resolve
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import check_topic
from edgematrix.runtime.code_call import CodeCall, OnPart, answer_of
from edgematrix.runtime.code_journal import CallEnd, CodeJournal
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.order import (
    DEFINES,
    Answer,
    Cancel,
    Connect,
    Create,
    Disconnect,
    Duplicate,
    Order,
    Pause,
    Remove,
    Resume,
    Verb,
)
from edgematrix.runtime.part import Pace
from edgematrix.runtime.plain import plain
from edgematrix.runtime.run import Run

if TYPE_CHECKING:
    from edgematrix.identity.secret import Secret
    from edgematrix.identity.secrets import OwnSecrets

__all__ = ["Context"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context:
    """One run's hands. After the run is over they do nothing but raise.

    The run of a durable agent begins anew after a restart. What it had done by then is not done again, so its code has to do the
    same things in the same order: what depends on the time or on chance is to come from an input, or from an agent that it calls.

    Args:
        journal: what the run does is kept there; None where it does not go on after a restart.
        secrets: what the agent may ask for; None where its definition names none.
    """

    def __init__(
        self, engine: Engine, run: Run, clock: Clock, journal: CodeJournal | None = None, secrets: OwnSecrets | None = None
    ) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock
        self._journal = journal
        self._secrets = secrets
        self._numbers = 0
        self._open: dict[int, CodeCall] = {}
        self._pace: Pace | None = None

    @property
    def path(self) -> AgentPath:
        """The agent's path."""
        return self._run.runner.agent

    @property
    def run_id(self) -> str:
        """The id of the run; constant over everything that it leads to."""
        return self._run.trail.runid

    def now(self) -> datetime:
        """The time, in UTC: virtual in a simulation."""
        return _EPOCH + timedelta(microseconds=self._clock.now_us())

    def secret(self, name: str) -> Secret:
        """A secret that the agent's definition names in `secrets`, as its file says now; `reveal()` gives the value.

        The value may leave by `publish` on a topic outside the root, and in ways of the code's own; never on the bus.

        Raises:
            RunError: the definition does not name it, or the run is over.
            SecretError: this host has none of that name, or its file is not as it has to be.
        """
        self._check_alive()
        if self._secrets is None:
            raise RunError(f"{self.path} may not have the secret {name!r}", where=self.path, remedy="name it in the agent's `secrets`")
        return self._secrets.read(name)

    async def publish(self, topic: str, payload: object, *, qos: int = 0, retain: bool = False) -> None:
        """Publish a bare payload on a topic outside the matrix's root.

        It may hold a secret: then it is not retained, nor told to whoever follows what this host does.

        Raises:
            TopicError: no message may be published on this topic.
            RunError: the topic is below the root or belongs to a device's agent, the agent's `publishes` does not name it, or the
                run is over; it would be stored with a
                secret in it, by the broker (`retain`) or by this host (`delivery: durable`).
        """
        self._check_alive()
        check_topic(topic)
        refusal = self._engine.refuses(topic)
        if refusal is not None:
            raise RunError(refusal, where=self.path)
        if not self._engine.may_publish(self.path, topic):
            told = f"nothing grants {self.path} to publish on {topic!r}"
            raise RunError(told, where=self.path, remedy="name it in the agent's `publishes`")
        value = plain(payload)
        shown = self._veiled(topic, value, retain=retain)
        if self._was_done(f"publish on {topic}"):
            return
        taint = self._run.trail.taint
        self._engine.publish(self.path, topic, value, self._clock.now_us(), qos=qos, retain=retain, shown=shown, taint=taint)
        self._engine.settle(self._clock.now_us())

    async def emit(self, port: str, value: object) -> None:
        """Put a value out on one of the agent's own ports.

        Raises:
            PathError: the port's name breaks the grammar.
            RunError: the run is over.
        """
        self._check_alive()
        self._refuse_secrets(value, f"what is to be put out on {port}", port)
        value = plain(value)
        wrong = self._engine.misfit(self.path, port, value)
        if wrong:
            raise RunError(wrong, where=self.path)
        check_name(port, "port")
        if self._was_done(f"emit on {port}"):
            return
        self._engine.emit(self.path, port, value, self._run.trail, self._clock.now_us(), fits=True)
        self._engine.settle(self._clock.now_us())

    async def send(self, to: str, value: object) -> None:
        """Send work to an agent's input port: `lamp.set` for a neighbour, `/home/hall/lamp.set` for any.

        Descendants may always be sent to; others need a wire that the agent's `sends` declares.

        Raises:
            PathError: the reference breaks the grammar.
            RunError: the run is over, or no such wire was granted.
        """
        path, port = self._receiver(to)
        self._refuse_secrets(value, f"what is to be sent to {path}.{port}")
        value = plain(value)
        if self._was_done(f"send to {path}.{port}"):
            return
        self._engine.send(self.path, path, port, value, self._run.trail, self._clock.now_us())
        self._engine.settle(self._clock.now_us())

    async def call(
        self,
        to: str,
        value: object,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - in the host's time, which may be virtual or fast
        on_part: OnPart | None = None,
    ) -> Any:
        """Let another agent work, and wait for what it returns: a run of its own, which ends with this one if that ends before.

        Whom an agent may call is as with `send`.

        Args:
            to: an agent's input port, as with `send`.
            timeout: seconds to wait; without it as long as it takes, where the agent is a board 60 s.
            on_part: called with each piece of the output that the agent streams, in order, and awaited if it is to be; the whole
                is what the call returns.

        Returns:
            What the agent put out on `out`; else on the only port that it used, or by port where it used several; None where it
            returned nothing.

        Raises:
            PathError: the reference breaks the grammar.
            RunError: the run is over, no such wire was granted, nothing works on this port, the agent failed (with its reason), or
                did not answer in time.
        """
        path, port = self._receiver(to)
        self._refuse_secrets(value, f"what {path}.{port} is called with")
        value = plain(value)
        journal = self._journal
        if journal is None:
            self._numbers += 1
            number, end, was_made = self._numbers, None, False
        else:
            number, end, was_made = journal.call(f"call {path}.{port}")
            self._run.touched()
        if end is not None:
            if end.given_up:
                await asyncio.get_running_loop().create_future()  # it did not wait for the end then, and does not now
            return answer_of(end, self._run)
        if was_made:
            return await self._open[number].answer(on_part)
        return await self._call(number, path, port, value, None if timeout is None else round(timeout * SECOND_US), on_part)

    async def stream(self, piece: object, port: str = "out") -> None:
        """Stream a piece of an output, before the whole is put out. Whoever called the agent gets it, and the bus (`em/part/…`).

        Pieces are numbered; no trigger sees them. A run that streams more than `parts_per_second_max` waits.

        Raises:
            PathError: the port's name breaks the grammar.
            RunError: the piece has no JSON form, or is too large, or the run is over.
        """
        self._check_alive()
        self._refuse_secrets(piece, f"what is to be streamed on {port}", port)
        value, limits = plain(piece), self._engine.limits
        size_bytes = len(encode_value(value))
        if size_bytes > limits.payload_bytes_max:
            told = f"a piece has {size_bytes} bytes, payload_bytes_max is {limits.payload_bytes_max}"
            raise RunError(told, where=self.path)
        check_name(port, "port")
        if self._pace is None:
            self._pace = Pace(limits.parts_per_second_max)
        until_us = self._pace.next_us(self._clock.now_us())
        while until_us > self._clock.now_us():
            await asyncio.sleep(max(self._clock.wait_s(until_us), 0))
            self._check_alive()
        now_us = self._clock.now_us()
        self._engine.streams.put_out(self._run, port, value, now_us)
        self._engine.settle(now_us)

    async def create(self, path: str, spec: Mapping[str, object]) -> None:
        """Create an agent below this one. `spec` is its definition with the keys of a matrix file; it is checked as one is.

        Here and below a path is relative, `helper` or `helper/ear`, or absolute, `/home/hall/helper`. It is done, and what was
        created runs, when the call returns; runs under way go on.

        Raises:
            RunError: it is not below this agent, names a secret that this agent may not have, or the run is over.
            EdgeMatrixError: the definition is refused; why, and what would be right. Nothing has changed then.
        """
        for name in _secrets_named(spec):
            if self._secrets is None or name not in self._secrets.names:
                raise RunError(f"{self.path} may not have the secret {name!r}, and give it to nobody", where=self.path)
        await self._ask("create", path, Create(dict(spec)))

    async def remove(self, path: str) -> None:
        """Take an agent out, with all below it. Its runs are cancelled, its stored state is forgotten.

        Raises:
            RunError: it is not below this agent, or the run is over.
            EdgeMatrixError: somebody needs it. Nothing has changed then.
        """
        await self._ask("remove", path, Remove())

    async def duplicate(self, path: str, to: str) -> None:
        """Create a copy of an agent, with all below it.

        Raises:
            RunError: one of them is not below this agent, or the run is over.
            EdgeMatrixError: the copy is refused. Nothing has changed then.
        """
        await self._ask("duplicate", path, Duplicate(self._below(to)))

    async def connect(self, flow: str, start: str, end: str, *, when: str | None = None, loop: bool = False) -> None:
        """Add an edge to a flow. Its runs under way go on as they began.

        Raises:
            RunError: the flow is not below this agent, or the run is over.
            EdgeMatrixError: the edge is refused. Nothing has changed then.
        """
        await self._ask("connect", flow, Connect(start, end, when, loop))

    async def disconnect(self, flow: str, start: str, end: str) -> None:
        """Take an edge out of a flow. Its runs under way go on as they began.

        Raises:
            RunError: the flow is not below this agent, or the run is over.
            EdgeMatrixError: there is no such edge, or the flow needs it. Nothing has changed then.
        """
        await self._ask("disconnect", flow, Disconnect(start, end))

    async def pause(self, path: str) -> None:
        """Let an agent, and all below it, begin no runs. States are followed meanwhile, and runs under way go on.

        Raises:
            RunError: it is not below this agent, is paused already, or the run is over.
            PathError: there is no such agent.
        """
        await self._ask("pause", path, Pause())

    async def resume(self, path: str) -> None:
        """Let an agent begin runs again.

        Raises:
            RunError: it is not below this agent, is not paused, or the run is over.
            PathError: there is no such agent.
        """
        await self._ask("resume", path, Resume())

    async def cancel(self, path: str, run: str) -> None:
        """End a run of an agent, by the run's id, with all its steps.

        Raises:
            RunError: it is not below this agent, works on no such run, or this run is over.
            PathError: there is no such agent.
        """
        await self._ask("cancel", path, Cancel(run))

    # For its body

    @property
    def journal(self) -> CodeJournal | None:
        """What the run does is kept there; None where it does not go on after a restart."""
        return self._journal

    def close(self, now_us: int) -> None:
        """The run is over: hang up on all that it has called, whether or not its code waits for it."""
        calls, self._open = self._open, {}
        for call in calls.values():
            call.close(now_us)

    def reopen(self, journal: CodeJournal, now_us: int) -> None:
        """Go on with the calls that were open when the host went down."""
        for number, kept in journal.open.items():
            call = self._open[number] = CodeCall(self._engine, self._run, self._clock, number, journal)
            call.reopen(kept, now_us)

    def open_calls(self) -> dict[int, KeptCall]:
        """The calls that are open, by number."""
        found = {number: call.keep() for number, call in self._open.items()}
        return {number: kept for number, kept in found.items() if kept is not None}

    # Inside

    def _was_done(self, what: str) -> bool:
        """Whether it was done before a restart; else it is about to be done."""
        journal = self._journal
        if journal is None:
            return False
        was_done = journal.again(what)
        if not was_done:
            self._run.touched()
        return was_done

    async def _call(self, number: int, path: AgentPath, port: str, value: object, timeout_us: int | None, on_part: OnPart | None) -> object:
        call = self._open[number] = CodeCall(self._engine, self._run, self._clock, number, self._journal)
        try:
            try:
                call.begin(path, port, value, timeout_us, on_part)
            except RunError as error:
                if self._journal is not None:
                    self._journal.ended(number, CallEnd(failure=error.what))
                raise
            return await call.answer()
        finally:
            self._open.pop(number, None)

    async def _ask(self, verb: str, path: str, asked: Verb) -> None:
        self._check_alive()
        if self._secrets is not None:
            self._refuse_secrets((path, *(getattr(asked, field) for field in asked.__struct_fields__)), f"what `{verb}` asks for")
        if self._run.trail.taint and isinstance(asked, DEFINES):  # what a rule says in it would not be untrusted any more
            told_of = f"what follows from untrusted text ({self._run.trail.taint[:100]}) changes no agents"
            raise RunError(told_of, where=self.path, remedy="let a `human` be asked, and work on the answer")
        order = Order(verb, self._below(path), asked, f"/{self.path}", self._run.trail)
        desk, now_us = self._engine.desk, self._clock.now_us()
        if desk is None:
            raise RunError("what runs on this host cannot be changed", where=self.path)
        journal, number = self._journal, 0
        if journal is not None:
            number, before = journal.ask(f"{verb} {order.path}")
            self._run.touched()
            if before:
                raise RunError(before, where=self.path)
            if before is not None:
                return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(_: Answer | None, error: EdgeMatrixError | None) -> None:
            if journal is not None:
                journal.told(number, "" if error is None else str(error))
                self._run.touched()
            if done.done():
                return  # the run was cancelled meanwhile
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        desk.ask(order, told, now_us)
        self._engine.settle(now_us)
        await done

    def _refuse_secrets(self, value: object, what: str, port: str = "") -> None:
        """Let nothing on the bus that holds a secret of this agent."""
        if self._secrets is not None:
            self._secrets.refuse_in((port, plain(value)), what)

    def _veiled(self, topic: str, value: object, *, retain: bool) -> object:
        """What is told of a payload that holds a secret; unset for any other."""
        secrets = self._secrets
        if secrets is None:
            return UNSET
        secrets.refuse_in(topic, "the topic")
        if not secrets.holds(value):
            return UNSET
        if retain:
            raise RunError(f"what is published on {topic} holds a secret, and the broker would keep it", where=self.path)
        if self.path in self._engine.durable:
            what = f"what is published on {topic} holds a secret, and a durable agent's messages are stored before they leave"
            raise RunError(what, where=self.path, remedy="let an agent with `delivery: best_effort` publish it")
        return secrets.veiled(value)

    def _receiver(self, to: str) -> tuple[AgentPath, str]:
        """The port that is meant, if this agent may send there."""
        self._check_alive()
        path, port = resolve(to, self.path, "in")
        if "." not in to and not self._engine.may_send(self.path, path, port):
            port = self._engine.only_input(self.path, path) or port
        if not self._engine.may_send(self.path, path, port):
            raise RunError(f"nothing grants {self.path} to send to {path}.{port}", where=self.path, remedy="name it in the agent's `sends`")
        return path, port

    def _below(self, path: str) -> AgentPath:
        found = parse_path(path[1:] if path.startswith("/") else f"{self.path}/{path}")
        if not is_below(found, self.path):
            raise RunError(
                f"{found} is not below {self.path}", where=self.path, remedy="an agent changes what is below it, and nothing else"
            )
        return found

    def _check_alive(self) -> None:
        if self._run.over:
            raise RunError("the run is over", where=self.path)
        if self._journal is not None and self._engine.stopped:
            raise RunError("the host goes down: the run goes on when it is back", where=self.path)


def _secrets_named(definition: object) -> Iterator[object]:
    """The secrets that a definition, and those in it, name; what is no definition is refused by whoever reads it."""
    if isinstance(definition, Mapping):
        named, below = definition.get("secrets"), definition.get("agents")
        yield from named if isinstance(named, (list, tuple)) else ()
        model = definition.get("llm")
        key = model.get("api_key") if isinstance(model, Mapping) else None
        if isinstance(key, str) and "${secret:" in key:
            from edgematrix.identity.reference import names_in  # noqa: PLC0415 - hardly any agent creates such a one

            with suppress(ValueError):
                yield from names_in(key)
        for agent in below.values() if isinstance(below, Mapping) else ():
            yield from _secrets_named(agent)
