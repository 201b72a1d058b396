"""Hands dead letters in again: as a fresh message where it came in, or as new work for the agent whose run failed."""

from __future__ import annotations

import msgspec
from msgspec import structs

from edgematrix.errors import CodecError, RunError
from edgematrix.protocol.codec import decode
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.dead_letter import Form, Letter
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.session import false_claim

__all__ = ["Redelivery", "hand_in", "plan"]


class Redelivery(msgspec.Struct, frozen=True):
    """What is handed in: values by topic. `trail` has the run and the taint that they go on with, `text` says it in words.

    `only` is the one agent that is to have it; None for all that listen.
    """

    inputs: list[tuple[str, object]]
    trail: Trail
    text: str
    only: AgentPath | None = None
    is_output: bool = False


def plan(engine: Engine, letter: Letter) -> Redelivery:
    """How a letter would be handed in again, as things are now. Nothing is done.

    Raises:
        RunError: it cannot be; why.
    """
    if letter.form is Form.CUT:
        bound = engine.limits.dead_letter_bytes_max
        raise _refusal(letter, f"it has {letter.size_bytes} bytes and is kept cut: dead_letter_bytes_max is {bound}")
    if letter.form is Form.TEXT:
        raise _refusal(letter, "its payload has no JSON form, and is kept as a text")
    if letter.form is Form.REFUSED:
        raise _refusal(letter, "it is not signed as it has to be", "whoever wants it has to send it")
    if letter.form is Form.FIRING:
        return _work(engine, letter)
    if letter.form is Form.OUTPUT:
        return _output(engine, letter)
    return _message(engine, letter)


def hand_in(engine: Engine, letter: Letter, again: Redelivery, now_us: int) -> None:
    """Hand it in, outside any message. The letter goes; if what it leads to dies too, it is back when this returns, or later."""
    runid = "" if again.trail.runid in engine.calls.cancelled else again.trail.runid
    trails: list[Trail] = []
    for _ in again.inputs:
        before_first = Trail("", runid, -1, again.trail.taint, again.trail.traceparent)
        trails.append(engine.next_trail(before_first, now_us))
        runid = trails[0].runid
    engine.letters.hand_over(letter, (trail.id for trail in trails))
    for (topic, value), trail in zip(again.inputs, trails, strict=True):
        if again.is_output:
            engine.emit(AgentPath(letter.agent), topic.rpartition("/")[2], value, trail, now_us)
            engine.advance(now_us)
        else:
            _deliver(engine, letter, again, Message(topic, value, qos=1, trail=trail), now_us)


def _deliver(engine: Engine, letter: Letter, again: Redelivery, message: Message, now_us: int) -> None:
    kind, path, port = _read(engine, message.topic)
    if kind:
        message.time_us = now_us
        message.source = engine.matrix if kind == Kind.IN else path
    if again.only is not None:
        engine.receive_for(again.only, message, now_us)
    elif engine.hears(message.topic):
        engine.receive(message, now_us)
    else:
        patience_us = engine.marks.patience.get(message.topic, 0) if message.trail.taint else 0
        trail = structs.replace(message.trail, expiry_us=now_us + engine.command_expiry_us + patience_us)
        kind_of = f"em.{Kind.IN}.{port}"
        engine.outbox.append(
            Outbound(message.topic, message.value, engine.matrix, now_us, 1, type=kind_of, trail=trail, cause=letter.trail.id)
        )


def _work(engine: Engine, letter: Letter) -> Redelivery:
    """What began a run, as new work for the inputs that it came on."""
    inputs = letter.inputs()
    if not inputs:
        raise _refusal(letter, "what began the run came on no input of its own", "it begins anew with what its triggers read next")
    for topic, _ in inputs:
        if not engine.hears(topic):
            raise _refusal(letter, f"nobody here works on {topic} any more")
    _check_pause(engine, letter.agent)
    ports = ", ".join(dict.fromkeys(topic.rpartition("/")[2] for topic, _ in inputs))
    return Redelivery(inputs, letter.trail, f"what began its run, as new work on its input {ports}")


def _output(engine: Engine, letter: Letter) -> Redelivery:
    """What the agent put out."""
    agent, value = AgentPath(letter.agent), letter.payload()
    _, path, port = _read(engine, letter.topic)
    if path != agent:
        raise _refusal(letter, "what an agent publishes on a foreign topic is not published again", "let it work again")
    wrong = engine.misfit(agent, port, value)
    if wrong:
        raise _refusal(letter, wrong)
    return Redelivery([(letter.topic, value)], letter.trail, f"put out again on {port}", is_output=True)


def _message(engine: Engine, letter: Letter) -> Redelivery:
    """What came in, on its topic."""
    topic, trail, source, value = letter.topic, letter.trail, letter.source, letter.payload()
    kind, path, _ = _read(engine, topic)
    if kind not in ("", Kind.IN, Kind.OUT):
        raise _refusal(letter, "it was asked for by an operator or an agent, who has to ask again")
    if letter.form is Form.RAW:
        try:
            message = decode(topic, letter.body, limits=engine.limits)
        except CodecError as error:
            raise _refusal(letter, error.what) from None
        value, trail, source = message.value, message.trail, message.source
    claim = false_claim(engine.root, topic, source)
    if claim is not None:
        raise _refusal(letter, claim)
    if kind == Kind.OUT and path == letter.agent:
        raise _refusal(letter, "it is a reading of the device", "the next one comes from the device")
    only = AgentPath(letter.agent) if not kind and letter.agent != engine.matrix else None
    if kind == Kind.IN:
        _check_pause(engine, path)
    elif only is not None:
        _check_pause(engine, only)
    heard = engine.hears(topic) if only is None else any(listener.agent == only for listener in engine.listeners(topic))
    if heard or (kind == Kind.IN and path in engine.elsewhere):
        return Redelivery([(topic, value)], trail, f"a fresh message on {topic}", only)
    raise _refusal(letter, "no agent here has this input port" if kind == Kind.IN else "nobody here listens to its topic")


def _read(engine: Engine, topic: str) -> tuple[str, AgentPath, str]:
    """Kind, path and port of a topic of the bus; nothing of a foreign one."""
    head = f"{engine.root}/"
    if not topic.startswith(head):
        return "", AgentPath(""), ""
    kind, _, rest = topic[len(head) :].partition("/")
    path, _, port = rest.rpartition("/")
    return kind, AgentPath(path), port


def _check_pause(engine: Engine, path: str) -> None:
    if engine.pauses.covers(path):
        raise RunError("it is paused", where=path, remedy=f"edgematrix resume {path}")


def _refusal(letter: Letter, what: str, remedy: str = "") -> RunError:
    return RunError(what, where=letter.agent, remedy=remedy)
