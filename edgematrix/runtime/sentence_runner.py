"""An agent that hears sentences in a host: exact rules turn them into commands."""

from __future__ import annotations

from edgematrix.agents.sentences import Ambiguous, Command, Sentences
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits

__all__ = ["SentenceRunner"]


class SentenceRunner:
    """Hears what comes on `say`, carries it out, and says what was done on `out`.

    A sentence that no rule knows, or that means two things, leaves on `unknown` with what there is to say about it.
    """

    __slots__ = ("_engine", "_sentences", "agent")

    def __init__(self, engine: Engine, agent: AgentPath, sentences: Sentences) -> None:
        self._engine = engine
        self.agent = agent
        self._sentences = sentences

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Hear a sentence: a text, or an object with `text`."""
        engine, agent = self._engine, self.agent
        if (engine.pauses.parts or engine.pauses.suspended) and engine.pauses.hold_back(agent, message.trail.runid, now_us):
            return
        text = message.value.get("text") if isinstance(message.value, dict) else message.value
        if not isinstance(text, str):
            reason = "expected a sentence: a text, or an object with `text`"
            topic, origin = topic_for(engine.root, Kind.IN, agent, "say"), Origin(message.trail, message.source)
            engine.dead_letter(agent, topic, message.value, reason, now_us, origin)
            return
        trail = engine.begin_trail(message.trail, now_us)
        heard = self._sentences.hear(text)
        if isinstance(heard, Command):
            if heard.path is not None:
                engine.send(agent, heard.path, heard.port, heard.payload, trail, now_us)
            done = {"text": text, "answer": heard.answer, "said": heard.said, "slots": heard.slots}
            engine.emit(agent, "out", done | ({"to": f"{heard.path}.{heard.port}"} if heard.path else {}), trail, now_us)
        elif isinstance(heard, Ambiguous):
            engine.emit(agent, "unknown", {"text": text, "reason": "ambiguous", "answer": heard.answer}, trail, now_us)
        else:
            engine.emit(agent, "unknown", {"text": heard.text, "reason": heard.reason or "no rule knows it", "answer": ""}, trail, now_us)
