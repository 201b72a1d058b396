"""How a model that knows nothing of tools names one: its answer is `{"tool": name, "arguments": {…}}` or `{"answer": …}`.

Where a grammar makes the answer, nothing else can come out: no tool that was not given, no argument that its schema refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from edgematrix.models.talk import Reply, Talk, Tool, ToolCall, Turn

__all__ = ["instructed", "opened", "schema_of"]

_TEXT: Final = {"type": "string"}


def schema_of(talk: Talk) -> dict[str, Any] | None:
    """The JSON Schema of what the model is to write; None for any text."""
    if not talk.tools:
        return talk.schema
    answer = _closed({"answer": talk.schema or _TEXT})
    return {"anyOf": [*(_closed({"tool": {"const": tool.name}, "arguments": tool.schema}) for tool in talk.tools), answer]}


def instructed(talk: Talk) -> tuple[Turn, ...]:
    """The talk with the tools, and what was said with them, in words."""
    if not talk.tools:
        return talk.turns
    told = _tools_told(talk.tools)
    turns = list(talk.turns)
    if turns and turns[0].role == "system":
        turns[0] = Turn("system", f"{turns[0].content}\n\n{told}")
    else:
        turns.insert(0, Turn("system", told))
    return tuple(map(_in_words, turns))


def opened(reply: Reply, talk: Talk, number: int) -> Reply:
    """A reply as it is meant: the call in it, or the answer. What is in no envelope is the answer itself, and judged as such.

    Args:
        number: of the reply in its talk, for the id of the call.
    """
    if not talk.tools:
        return reply
    try:
        said = msgspec.json.decode(reply.text)
    except ValueError:
        return reply
    if not isinstance(said, dict):
        return reply
    if isinstance(said.get("tool"), str) and isinstance(said.get("arguments"), dict):
        call = ToolCall(f"call-{number}", said["tool"], said["arguments"])
        return Reply("", (call,), reply.tokens, reply.is_cut, reply.note, reply.confidence)
    if "answer" not in said:
        return reply
    answer = said["answer"]
    text = answer if isinstance(answer, str) and talk.schema is None else msgspec.json.encode(answer).decode()
    return Reply(text, (), reply.tokens, reply.is_cut, reply.note, reply.confidence)


def _in_words(turn: Turn) -> Turn:
    if turn.role == "tool":
        return Turn("user", f"The tool says: {turn.content}")
    if turn.calls:
        first = turn.calls[0]
        return Turn("assistant", msgspec.json.encode({"tool": first.name, "arguments": first.arguments}).decode())
    return turn


def _tools_told(tools: Sequence[Tool]) -> str:
    lines = [f"- {tool.name}: {tool.about} Arguments: {msgspec.json.encode(tool.schema).decode()}" for tool in tools]
    form = '{"tool": name, "arguments": {…}} to use a tool, or {"answer": …} once you are done'
    return "\n".join(["You may use these tools:", *lines, f"Write one JSON object: {form}."])


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
