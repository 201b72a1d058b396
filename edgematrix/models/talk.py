"""What a language model is asked to go on with, and what it says."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["Reply", "Saying", "Talk", "Tool", "ToolCall", "Turn"]


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model wants to be used. `id` is what the answer names it by."""

    id: str
    name: str
    arguments: dict[str, Any]


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a talk. `calls` is for those of the assistant, `id` for the answer of a tool: the call that it answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    id: str = ""


class Tool(msgspec.Struct, frozen=True):
    """What a model may use. `schema` is the JSON Schema of its arguments, which are an object."""

    name: str
    about: str
    schema: dict[str, Any]


class Talk(msgspec.Struct, frozen=True, tag="talk"):
    """A talk that the model is to go on with.

    The answer is a text, or JSON of `schema`. `tokens_max` bounds it. `streams` tells that somebody hears its pieces, `is_weighed` that
    somebody wants to know how sure the model is.
    """

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    schema: dict[str, Any] | None = None
    tokens_max: int = 256
    temperature: float = 0.0
    streams: bool = False
    is_weighed: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What the model has said: `text`, or `calls` of tools, and how many `tokens` it took to say it.

    `is_cut` tells that it came to `tokens_max`. `note` is for people, such as what was left out of the talk. `confidence` is how sure
    the model is, from 0 to 1; None where it does not tell.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    tokens: int = 0
    is_cut: bool = False
    note: str = ""
    confidence: float | None = None


class Saying(msgspec.Struct, frozen=True):
    """A piece of a text that is being said."""

    text: str
