"""Definitions of agents that are language models (docs/spec/matrix.md, "Language models"). Read-only once made."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.dataclasses import dataclass

from edgematrix.errors import PathError
from edgematrix.identity.reference import is_reference
from edgematrix.protocol.fields import PART, Duration, Microseconds, Number, Whole
from edgematrix.protocol.path import check_name
from edgematrix.protocol.schema import SHORT_NAMES

__all__ = ["BudgetSpec", "LlmSpec", "fields_of_answer"]

_RESERVED = frozenset({"out", "error"})
"""Ports that every such agent has."""
_SCHEMES = ("http", "https")


def _output(value: object) -> object:
    """A short name of a type as the JSON Schema that it stands for."""
    if not isinstance(value, str):
        return value
    if value not in SHORT_NAMES:
        near = get_close_matches(value, SHORT_NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"expected a type, one of {', '.join(SHORT_NAMES)}, or a JSON Schema, found {value[:80]!r}{hint}")
    return None if value == "text" else dict(SHORT_NAMES[value])


def _url(value: str) -> str:
    scheme, found, rest = value.partition("://")
    if scheme not in _SCHEMES or not found or not rest.strip("/") or any(character.isspace() for character in value):
        raise ValueError(f"expected the address of a server, such as http://127.0.0.1:8000/v1, found {value[:80]!r}")
    if "@" in rest.partition("/")[0]:
        raise ValueError("the address of a server holds no password; `api_key: ${secret:name}` names one")
    return value.rstrip("/")


def _key(value: str) -> str:
    if not is_reference(value):
        raise ValueError("a key does not stand in a matrix: expected `${secret:name}`")
    return value


_OUTPUT_SCHEMA = {"anyOf": [{"enum": list(SHORT_NAMES)}, {"type": "object", "description": "A JSON Schema of the answer."}]}
Output = Annotated[dict[str, Any] | None, BeforeValidator(_output), WithJsonSchema(_OUTPUT_SCHEMA)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class BudgetSpec:
    """What a model may use up: `tokens` that it says and `seconds` that it works, both for each run, and `calls_per_hour` of the agent."""

    tokens: Annotated[Whole, Field(ge=1, le=1_000_000)] = 4_096
    seconds: Duration = Microseconds(60_000_000)
    calls_per_hour: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class LlmSpec:
    """A language model.

    `prompt` is text with `${…}` over the inputs, the fields of the request, and `value`, the whole of it; `system` is the same for
    each run. `output` is what the answer has to be: a short name of a type, or a JSON Schema. Past its `deadline`, or where there is
    no answer, `fallback` is put out, or the run fails where there is none.
    """

    provider: Literal["llama_cpp", "openai", "fake"] = "llama_cpp"
    model: Annotated[str, Field(min_length=1, max_length=500)] = "smollm2-135m"
    """With `llama_cpp` the name of a model that a package ships, or the path of a GGUF file; with `openai` as the server calls it."""
    url: Annotated[str, AfterValidator(_url)] | None = None
    """The server of `openai`, up to what stands before `/chat/completions`."""
    api_key: Annotated[str, AfterValidator(_key)] | None = None
    """`${secret:name}`."""
    prompt: str = "${value}"
    system: str | None = None
    output: Output = None
    max_tokens: Annotated[Whole, Field(ge=1, le=100_000)] = 256
    temperature: Annotated[Number, Field(ge=0, le=2)] = 0.0
    context: Annotated[Whole, Field(ge=64, le=1_000_000)] | None = None
    """How many tokens prompt and answer may have together: what `llama_cpp` makes room for, 2048 if it is not said, or what the
    server of `openai` takes. What is longer is cut in its middle, and told."""
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    deadline: Duration | None = None
    fallback: Any = None
    among: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The field of the request with candidates, `[{said, to, payload}]`, as a stage before gives them: the model may use those tools
    alone that one of them names. A local model is shown them as examples."""
    tool_calls_max: Annotated[Whole, Field(ge=1, le=100)] = 8
    """Of one run."""
    parallel: Annotated[Whole, Field(ge=1, le=64)] = 4
    """How many requests the server of `openai` gets at once; a local model takes one after the other."""
    waiting_max: Annotated[Whole, Field(ge=0, le=10_000)] = 64
    """How many requests may wait for the model; what is beyond fails at once."""
    threads: Annotated[Whole, Field(ge=1, le=64)] = 1
    """On which a local model computes."""
    memory_mb: Annotated[Whole, Field(ge=64, le=1_000_000)] | None = None
    """Address space of a local model's process; by default the size of the file and 1 GiB."""
    script: Annotated[list[Any], Field(max_length=10_000)] = Field(default_factory=list)
    """What the provider `fake` answers, one after the other: a value, `{tool, arguments}`, or `{error}`; for tests."""


def fields_of_answer(spec: LlmSpec) -> tuple[str, ...]:
    """The fields of an answer that are ports: those of an object whose names are names of ports."""
    properties = (spec.output or {}).get("properties")
    if not isinstance(properties, Mapping):
        return ()
    return tuple(name for name in properties if isinstance(name, str) and name not in _RESERVED and _is_port(name))


def _is_port(name: str) -> bool:
    try:
        check_name(name, "port")
    except PathError:
        return False
    return True
