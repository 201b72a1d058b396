"""What an agent elsewhere answers to calls."""

from __future__ import annotations

from collections.abc import Mapping

from edgematrix.protocol.event import merged
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.call import ERROR, Call
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.remote_calls import END

__all__ = ["AnswerListener"]


class AnswerListener:
    """Hears the output ports of an agent that runs elsewhere, and gives what belongs to a call to whoever called.

    Args:
        agent: who calls.
    """

    __slots__ = ("_engine", "agent")

    def __init__(self, engine: Engine, agent: AgentPath) -> None:
        self._engine = engine
        self.agent = agent

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take an output; it is an answer if its run was begun by a call of this very agent: others go on in the same run."""
        engine, trail = self._engine, message.trail
        call = engine.calls.open.get(trail.runid)
        if call is None:
            return
        receiver, _, port = message.topic.removeprefix(f"{engine.root}/{Kind.OUT}/").rpartition("/")
        if port == END:
            call.taint = merged(call.taint, trail.taint)  # why it failed may be a text of whatever failed
            self._told(call, AgentPath(receiver), message.value, now_us)
        elif receiver == call.receiver and not call.is_here:
            taint = trail.taint
            if not message.source or call.afar is None:
                taint = merged(call.given, taint)  # a bare payload, or a board, does not tell; only a person's agent clears
            engine.calls.heard(call, port, message.value, taint, now_us)
            if call.afar is None and port == ERROR and isinstance(message.value, Mapping) and "reason" in message.value:
                engine.calls.fail(call.runid, str(message.value["reason"]), now_us)

    def _told(self, call: Call, speaker: AgentPath, told: object, now_us: int) -> None:
        """An agent's work on a call is over."""
        if speaker not in call.afar if call.afar else call.is_here or speaker != call.receiver:
            return
        about = told if isinstance(told, Mapping) else {}
        failure = "" if about.get("outcome") == "done" else str(about.get("reason") or "it failed, and did not say why")
        named = about.get("outputs")
        outputs = [str(port) for port in named] if isinstance(named, list) and speaker == call.receiver else []
        self._engine.calls.told(call, speaker, failure, now_us, gone=about.get("gone") is True, outputs=outputs)
