"""What all runs of one language model's agent share: its prompt, what an answer is, and its tools."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from edgematrix.composition.escalation import Escalation
from edgematrix.composition.finding import Finding, compiled
from edgematrix.composition.llm_spec import LlmSpec, fields_of_answer
from edgematrix.composition.request import request_of
from edgematrix.errors import ExpressionError, ProtocolError
from edgematrix.expression import ANY, Template, template_names, written
from edgematrix.models.talk import Tool
from edgematrix.protocol.port_check import PortCheck
from edgematrix.protocol.schema import compile_schema

__all__ = ["LlmPlan", "LlmTool", "check_llm"]

_WHOLE: Final = "value"
_SHOWN_MAX: Final = 200
_CANDIDATES_MAX: Final = 8


class LlmTool:
    """A tool: an input port of an agent that the model may call.

    Args:
        name: by which the model calls it.
        about: what it is, in a line.
        schema: what the port takes; None for any value.
    """

    __slots__ = ("_check", "_is_object", "told")

    def __init__(self, name: str, about: str, schema: Mapping[str, Any] | None) -> None:
        self._is_object = schema is not None and schema.get("type") == "object"
        wanted = dict(schema or {})
        if not self._is_object:
            wanted = {"type": "object", "properties": {_WHOLE: wanted}, "required": [_WHOLE], "additionalProperties": False}
        self._check = PortCheck(None, wanted)
        self.told = Tool(name, about, wanted)

    def refusal(self, arguments: Mapping[str, object]) -> str:
        """Why these are no arguments for it; empty where they are."""
        return self._check.reason(dict(arguments))

    def arguments(self, value: object) -> dict[str, object]:
        """A value of the port as arguments."""
        if not self._is_object:
            return {_WHOLE: value}
        return dict(value) if isinstance(value, Mapping) else {}

    def value(self, arguments: Mapping[str, object]) -> object:
        """What goes to the port: the arguments, or, where the port takes no object, the only one."""
        return dict(arguments) if self._is_object else arguments[_WHOLE]


class Candidate(NamedTuple):
    """What somebody may have meant: in words, and as the call of a tool."""

    said: str
    tool: str
    arguments: dict[str, object]


class LlmPlan:
    """A compiled definition.

    Args:
        tools: by the names by which the model calls them.
    """

    __slots__ = ("_check", "_names", "_template", "asks", "escalation", "fields", "named", "spec", "tools")

    def __init__(self, spec: LlmSpec, template: Template, names: Collection[str], tools: Mapping[str, LlmTool]) -> None:
        self.escalation: Escalation | None = None
        self.named: Mapping[str, str] = {}
        """The names of the tools by the ports that they are, as `path.port`."""
        self.asks = ""
        """The path of whoever is asked where the model is not sure."""
        self.spec = spec
        self._template = template
        self._names = frozenset(names)
        self.tools = tools
        self._check = None if spec.output is None else PortCheck(None, spec.output)
        self.fields = fields_of_answer(spec)

    @classmethod
    def compile(
        cls, spec: LlmSpec, tools: Mapping[str, LlmTool], fields: Collection[str] | None = None, inputs: Collection[str] = ()
    ) -> LlmPlan:
        """Compile a definition; `fields` are those of the request, None where they are not known, `inputs` its input ports.

        Raises:
            ExpressionError: the prompt is wrong; `where` is `prompt`, then `line:column` in it.
        """
        try:
            names = template_names(spec.prompt) if fields is None else (*fields, *inputs)
            shapes = dict.fromkeys(sorted({*names, _WHOLE}), ANY)
            return cls(spec, Template.compile(spec.prompt, shapes), shapes, tools)
        except ExpressionError as error:
            raise ExpressionError(error.what, where=f"prompt {error.where}", remedy=error.remedy) from None

    def prompt(self, inputs: Mapping[str, object]) -> str:
        """What the model is asked about what came on the inputs.

        Raises:
            ExpressionError: something that the prompt names is not there.
        """
        request = request_of(inputs)
        whole = {**request, **inputs} if isinstance(request, Mapping) else inputs
        scope = {name: whole[name] for name in self._names if name in whole}
        scope[_WHOLE] = request
        try:
            return written(self._template.render(scope))
        except ExpressionError as error:
            absent = [name for name in template_names(self.spec.prompt) if name not in scope]
            if not absent or not isinstance(request, Mapping):
                raise
            remedy = f'what may be missing is written ${{has(value.{absent[0]}) ? value.{absent[0]} : ""}}'
            raise ExpressionError(error.what, where=error.where, remedy=remedy) from None

    def candidates(self, inputs: Mapping[str, object]) -> list[Candidate]:
        """The tools that the request's candidates name, with what each of them would be given, the likeliest first."""
        request, found = request_of(inputs), []
        listed = request.get(self.spec.among) if isinstance(request, Mapping) and self.spec.among is not None else None
        for candidate in listed if isinstance(listed, (list, tuple)) else ():
            if isinstance(candidate, Mapping) and (name := self.named.get(str(candidate.get("to")))) is not None:
                arguments = self.tools[name].arguments(candidate.get("payload"))
                if not self.tools[name].refusal(arguments):
                    found.append(Candidate(str(candidate.get("said", "")), name, arguments))
        return found[:_CANDIDATES_MAX]

    def refusal(self, value: object) -> str:
        """Why a value is no answer; empty where it is one."""
        if self._check is not None:
            return self._check.reason(value)
        return "" if isinstance(value, str) else "it is no text"

    def read(self, text: str, *, is_cut: bool) -> tuple[object, str]:
        """What an answer says, and why it is none; the reason is empty where it is one."""
        if self._check is None:
            stripped = text.strip()
            return stripped, "" if stripped else "it is empty"
        try:
            value = msgspec.json.decode(text)
        except (ValueError, RecursionError) as error:
            why = f"it was cut at its {len(text)} characters" if is_cut else str(error)
            return None, f"it is no JSON ({why}): {text[:_SHOWN_MAX]!r}"
        return value, self._check.reason(value)


def check_llm(spec: LlmSpec, fields: Collection[str] | None = None, inputs: Collection[str] = ()) -> Iterator[Finding]:
    """What is wrong with a definition whose requests have these fields (None: not known), and these input ports."""
    yield from compiled(partial(LlmPlan.compile, spec, {}, fields, inputs), ("llm", "prompt"))
    yield from _of_provider(spec)
    if spec.system is not None and "${" in spec.system.replace("$${", ""):
        yield Finding(("llm", "system"), "`system` is the same for each run and holds no ${…}", "put what differs into `prompt`")
    if spec.output is None and not isinstance(spec.fallback, (str, type(None))):
        yield Finding(("llm", "fallback"), "the answer is a text, and the fallback is none", "`output:` tells another type")
    if spec.output is not None:
        try:
            schema = compile_schema(spec.output)
        except ProtocolError as error:
            place = f" at {error.where}" if error.where else ""
            yield Finding(("llm", "output"), f"{error.what}{place}")
            return
        wrong = None if spec.fallback is None else schema.refusal(spec.fallback)
        if wrong:
            yield Finding(("llm", "fallback"), f"the fallback is no answer of the type of `output`: {wrong}")


def _of_provider(spec: LlmSpec) -> Iterator[Finding]:
    if spec.provider == "openai" and spec.url is None:
        yield Finding(("llm",), "the provider openai needs a `url`", "such as url: http://127.0.0.1:8000/v1")
    for key in ("url", "api_key"):
        if spec.provider != "openai" and getattr(spec, key) is not None:
            yield Finding(("llm", key), f"`{key}` is for the provider openai, and this is {spec.provider}")
    if spec.provider != "fake" and spec.script:
        yield Finding(("llm", "script"), f"`script` is for the provider fake, and this is {spec.provider}")
    if spec.context is not None and spec.max_tokens >= spec.context:
        yield Finding(("llm", "max_tokens"), f"an answer of {spec.max_tokens} tokens leaves no room in a context of {spec.context}")
