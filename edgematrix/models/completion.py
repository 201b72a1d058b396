"""An answer of a server that speaks as OpenAI's, put together from what it says of it."""

from __future__ import annotations

from typing import Any

import msgspec

from edgematrix.models.talk import Reply, ToolCall

__all__ = ["Completion", "HalfError"]

_CALLS_MAX = 100


class HalfError(ValueError):
    """An answer ended in the middle."""


class Completion:
    """Takes the events of a stream one by one, or the whole answer at once; what is none is a ValueError."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, list[str]] = {}
        """Calls of tools by their number: id, name, and the JSON of the arguments, each as far as it has come."""
        self._finish = ""
        self._tokens = 0
        self._chunks = 0

    def take_chunk(self, data: bytes) -> str:
        """Take one event; the text in it.

        Raises:
            ValueError: it is no event of an answer, or says that the server failed.
        """
        choice = self._choice(data)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        self._chunks += 1
        return self._take(choice, delta)

    def take_whole(self, data: bytes) -> None:
        """Take a whole answer.

        Raises:
            ValueError: it is none.
        """
        choice = self._choice(data)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ValueError(f"it has no message: {data[:100]!r}")
        self._take(choice, message)
        self._finish = self._finish or "stop"

    def reply(self) -> Reply:
        """What was said.

        Raises:
            HalfError: it ends in the middle.
            ValueError: it has calls that are none.
        """
        if not self._finish:
            raise HalfError("it ends in the middle")
        calls = tuple(self._call(call_id, name, arguments) for call_id, name, arguments in self._calls.values())
        text = "".join(self._text)
        return Reply(text, calls, self._tokens or self._chunks, is_cut=self._finish == "length")

    def _choice(self, data: bytes) -> dict[str, Any]:
        try:
            said = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            raise ValueError(f"it is no JSON: {data[:100]!r}") from None
        if not isinstance(said, dict):
            raise ValueError(f"it is no object: {data[:100]!r}")
        if said.get("error"):
            raise ValueError(f"it failed: {str(said['error'])[:200]}")
        usage = said.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self._tokens = usage["completion_tokens"]
        choices = said.get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise ValueError(f"it has no choices: {data[:100]!r}")
        return choices[0] if choices else {}

    def _take(self, choice: dict[str, Any], message: dict[str, Any]) -> str:
        if isinstance(choice.get("finish_reason"), str):
            self._finish = choice["finish_reason"]
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise ValueError("its calls are no list")
        for place, call in enumerate(calls):
            self._take_call(place, call)
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise ValueError("its content is no text")
        self._text.append(text)
        return text

    def _take_call(self, place: int, call: object) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(function, dict):
            raise ValueError("one of its calls is none")
        index = call.get("index", place)
        if not isinstance(index, int) or (index not in self._calls and len(self._calls) >= _CALLS_MAX):
            raise ValueError(f"it has more than {_CALLS_MAX} calls, or one without a number")
        found = self._calls.setdefault(index, ["", "", ""])
        for number, part in enumerate((call.get("id"), function.get("name"), function.get("arguments"))):
            if isinstance(part, str):
                found[number] = found[number] + part if number == 2 else part or found[number]  # noqa: PLR2004 - of three

    def _call(self, call_id: str, name: str, arguments: str) -> ToolCall:
        try:
            said = msgspec.json.decode(arguments or "{}")
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise ValueError(f"the arguments of {name[:40]!r} are no object: {arguments[:100]!r}")
        return ToolCall(call_id, name, said)
