"""A language model, as Python sees it: what it answers is a source for others, of a type that pydantic knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypedDict, TypeVar

from pydantic import TypeAdapter

from edgematrix.agents.spec import PortSpec
from edgematrix.composition.llm_spec import BudgetSpec, LlmSpec
from edgematrix.config.end import End
from edgematrix.config.group import Group
from edgematrix.config.source import Source, altered, schema_of
from edgematrix.config.spec import AgentSpec
from edgematrix.protocol.fields import read_duration
from edgematrix.protocol.path import AgentPath
from edgematrix.triggers.spec import SourceSpec

__all__ = ["LanguageModel", "ModelOptions", "make_model"]

R = TypeVar("R")


class ModelOptions(TypedDict, total=False):
    """What a language model may say beside its prompt; the keys are those of `llm:` in a file."""

    provider: Literal["llama_cpp", "openai", "fake"]
    model: str
    url: str
    api_key: str
    system: str
    max_tokens: int
    temperature: float
    context: int
    budget: Mapping[str, Any]
    deadline: str | float
    tool_calls_max: int
    parallel: int
    waiting_max: int
    threads: int
    memory_mb: int
    script: Sequence[Any]


class LanguageModel(Source[R], End[Any, R], Generic[R]):
    """An agent that is a language model, and answers an R on its port `out`.

    Where a source is expected, it stands for that output. In a flow, edges lead to it and from it.
    """

    def __init__(self, path: AgentPath, spec: AgentSpec, kind: Any) -> None:
        super().__init__(path.rpartition("/")[2].replace("-", "_"), altered(SourceSpec(), from_=f"/{path}"), kind)
        self.path = path
        self.agent_spec = spec

    @property
    def kind(self) -> Any:
        """The type R at run time."""
        return self._kind

    @property
    def given(self) -> dict[str, Any] | None:
        """The JSON Schema of what it gives."""
        return schema_of(self._kind)

    def definition(self) -> AgentSpec:
        """Its definition."""
        return self.agent_spec

    def __repr__(self) -> str:
        return f"<agent {self.path}>"


def make_model(
    path: AgentPath,
    kind: type[R],
    prompt: str,
    tools: Sequence[End[Any, Any] | str],
    fallback: R | None,
    inputs: Mapping[str, PortSpec],
    group: Group | None,
    options: ModelOptions,
) -> LanguageModel[R]:
    """Make an agent of a language model.

    Raises:
        UsageError: the type has no form in JSON.
        ValueError: an option is wrong.
    """
    said: dict[str, Any] = dict(options)
    if "deadline" in options:
        said["deadline"] = read_duration(options["deadline"])
    if "budget" in options:
        said["budget"] = TypeAdapter(BudgetSpec).validate_python(options["budget"])
    if "script" in options:
        said["script"] = [TypeAdapter(Any).dump_python(answer, mode="json") for answer in options["script"]]
    schema = None if kind is str else schema_of(kind) or {}
    plain = None if fallback is None else TypeAdapter(kind).dump_python(fallback, mode="json")
    spec = AgentSpec(
        llm=LlmSpec(prompt=prompt, output=schema, fallback=plain, **said),
        tools=[tool if isinstance(tool, str) else f"/{tool.path}" for tool in tools],
        inputs=dict(inputs),
        triggers={} if group is None else {"when": group.spec},
    )
    return LanguageModel(path, spec, kind)
