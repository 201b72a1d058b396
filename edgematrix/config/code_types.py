"""The types of agents' code, as far as it can be loaded: what goes in and out where a definition declares nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from edgematrix.config.agent_tree import AgentNode
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.source import schema_of
from edgematrix.errors import EdgeMatrixError, UsageError
from edgematrix.protocol.compatibility import JsonSchema
from edgematrix.runtime.code import Code
from edgematrix.runtime.firing import Firing

__all__ = ["LoadedTypes"]


class _Typed(msgspec.Struct):
    """A function's code, and the schemas that were asked for."""

    code: Code
    schemas: dict[str, JsonSchema | None] = {}


class LoadedTypes:
    """Loads what `python:` names, each once, and tells its types."""

    def __init__(self, loader: CodeLoader) -> None:
        self._loader = loader
        self._found: dict[str, _Typed | EdgeMatrixError | None] = {}
        self._modules: dict[str, EdgeMatrixError | None] = {}

    def findings(self, nodes: Iterable[AgentNode]) -> Iterator[Finding]:
        """Code that cannot be loaded, and code that may not be."""
        told: set[object] = set()
        for node in nodes:
            if node.spec.python is None or node.where in told:
                continue
            told.add(node.where)
            found = self._of(node)
            where = (*node.where, "python")
            if found is None:
                module = _module_of(node.spec.python)
                what = f"the module {module!r} is not beside the matrix and may not be loaded here, so its types are not compared"
                yield warning(where, what, f"where it may be loaded: --allow {module.partition('.')[0]}")
            elif isinstance(found, EdgeMatrixError):
                place = f"{found.where}: " if found.where and found.where != node.path else ""
                yield error(where, f"{place}{found.what}", found.remedy)

    def input_type(self, node: AgentNode) -> JsonSchema | None:
        """What the function of an agent takes; None for any value, or where it is not known."""
        found = self._of(node)
        if not isinstance(found, _Typed) or found.code.input_type is Firing:
            return None
        return _schema(found, "in", found.code.input_type)

    def output_type(self, node: AgentNode) -> JsonSchema | None:
        """What the function of an agent gives, if it gives anything; None for any value, or where it is not known."""
        found = self._of(node)
        return _schema(found, "out", found.code.given_type) if isinstance(found, _Typed) else None

    def _of(self, node: AgentNode) -> _Typed | EdgeMatrixError | None:
        """The code of an agent, or why there is none; None where its module may not be loaded."""
        place = node.spec.python
        assert place is not None  # noqa: S101 - whoever asks knows
        if self._loader.defined(node.path) is not None:
            place = f"{node.path} {place}"
        if place not in self._found:
            self._found[place] = self._load(node)
        return self._found[place]

    def _load(self, node: AgentNode) -> _Typed | EdgeMatrixError | None:
        place = node.spec.python or ""
        if self._loader.defined(node.path) is None:
            module = _module_of(place)
            if not self._loader.allows(module):
                return None
            if module not in self._modules:
                self._modules[module] = _attempt(self._loader, module)
            failure = self._modules[module]
            if failure is not None:
                return failure
        try:
            return _Typed(self._loader.load(node.path, place)[0])
        except EdgeMatrixError as problem:
            return problem


def _module_of(place: str) -> str:
    return place.partition(":")[0]


def _attempt(loader: CodeLoader, module: str) -> EdgeMatrixError | None:
    try:
        loader.module(module)
    except UsageError as problem:
        return problem
    return None


def _schema(found: _Typed, port: str, kind: Any) -> JsonSchema | None:
    """The JSON Schema of a function's parameter, or of its result.

    A type that pydantic reads and has no JSON Schema for, as one with a validator of its own may be, may hold any value.
    """
    if port not in found.schemas:
        try:
            found.schemas[port] = schema_of(kind, "validation" if port == "in" else "serialization")
        except UsageError:
            found.schemas[port] = None
    return found.schemas[port]
