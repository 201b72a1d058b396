"""The edges of a flow that is written in Python, compared as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgematrix.agents.spec import PortSpec
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.spec import EdgeSpec
from edgematrix.config.agent import Agent
from edgematrix.config.end import End
from edgematrix.config.source import port_of
from edgematrix.errors import ExpressionError, UsageError
from edgematrix.protocol.compatibility import field_names, join_mismatch, mismatch
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.schema import SHORT_NAMES

__all__ = ["FlowEdges", "Inlet", "output_port"]


class Inlet(End[Any, Any]):
    """An input of a flow, as the origin of edges within it."""

    def __init__(self, name: str, path: AgentPath, holder: object, port: PortSpec) -> None:
        self.path = path
        self.holder = holder
        self._name = name
        self._port = port

    @property
    def station(self) -> str:
        """The port's name."""
        return self._name

    @property
    def given(self) -> dict[str, Any] | None:
        """The JSON Schema of the input."""
        return {**SHORT_NAMES.get(self._port.type or "", {}), **(self._port.schema or {})} or None


class FlowEdges:
    """The edges of one flow, in the order in which they were drawn."""

    def __init__(self) -> None:
        self.specs: list[EdgeSpec] = []

    def add(self, origins: Sequence[End[Any, Any] | str], targets: Sequence[End[Any, Any] | str], when: str | None, *, loop: bool) -> None:
        """Add edges from each of the origins to each of the targets. Of names no types are known here.

        Raises:
            UsageError: a type does not fit, or the condition is wrong.
        """
        for target in targets:
            if isinstance(target, End):
                _check_target(target)
                _compare(origins, target)
        if when is not None:
            for origin in origins:
                _check_condition(origin, when)
        stations = [[end if isinstance(end, str) else end.station for end in ends] for ends in (origins, targets)]
        self.specs.append(EdgeSpec(stations=stations, when=when, loop=loop))


def output_port(from_: End[Any, Any], port: str, *, retain: bool, initial: object) -> tuple[PortSpec, Any]:
    """An output that a port of `from_` feeds, and the type of its values."""
    kind = from_.kind if port == "out" else object
    declared = PortSpec() if kind is object else port_of(kind, "serialization")
    fed: dict[str, Any] = {"from_": from_.station if port == "out" else f"{from_.station}.{port}"}
    return replace(declared, retain=retain, initial=initial, **fed), kind


def _check_target(target: End[Any, Any]) -> None:
    if isinstance(target, Inlet):
        raise UsageError(f"{_told(target)} is an input of the flow, so no edge leads to it")
    if isinstance(target, Agent) and not target.hears_input:
        raise UsageError(f"{target.path} works by its own `when`, so no edge leads to it", remedy="define it without `when`")


def _compare(origins: Sequence[End[Any, Any] | str], target: End[Any, Any]) -> None:
    """Refuse what does not fit: from one origin neither alone nor as a part, for more edges may lead to the target."""
    wanted = target.taken
    parts = {origin if isinstance(origin, str) else origin.station: _given(origin) for origin in origins}
    fields = field_names(wanted) or ()
    reason = join_mismatch({**dict.fromkeys(fields), **parts}, wanted)
    if len(parts) == 1:
        ((name, given),) = parts.items()
        alone = mismatch(given, wanted)
        reason = (reason if name in fields else alone) if alone else ""
    if reason:
        names = ", ".join(map(_told, origins))
        raise UsageError(f"the types of {names} and {target.path} do not fit: {reason}")


def _given(origin: End[Any, Any] | str) -> dict[str, Any] | None:
    return None if isinstance(origin, str) else origin.given


def _told(end: End[Any, Any] | str) -> str:
    if isinstance(end, str):
        return end
    return f"{end.path}.{end.station}" if isinstance(end, Inlet) else end.path


def _check_condition(origin: End[Any, Any] | str, when: str) -> None:
    try:
        Judgement.condition(when, field_names(_given(origin)))
    except ExpressionError as error:
        what = f"the condition {when[:80]!r} on what {_told(origin)} gives is wrong: {error.what}"
        raise UsageError(what, remedy=error.remedy) from None
