"""Groups that make themselves fire again and again with nothing to stop them (docs/spec/triggers.md, "Checked when the file is read").

Only what is certain is told: a value that is not known before it is sent counts where any value gives a token, and a
level or a change counts only if the matrix itself also turns it back.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.cycles import cyclic_parts
from edgematrix.config.finding import Finding, warning
from edgematrix.config.flow_of_values import ANY, FlowOfValues, GroupNode, SourceNode
from edgematrix.config.spec import TriggerSpec
from edgematrix.triggers.detector import level_of
from edgematrix.triggers.membership import one_of, same
from edgematrix.triggers.spec import Changes, GroupSpec, SourceSpec

__all__ = ["check_cycles"]

_HITS_MAX = 500_000
_TOLD_MAX = 5
_NUMERIC = ("above", "below")


def check_cycles(tree: AgentTree) -> Iterator[Finding]:
    """Cycles of publishes, emits and sends without a bound."""
    flow = FlowOfValues(tree)
    hits = 0
    for group in flow.groups:
        if _is_bounded(group.spec):
            continue
        for source, value in _put_out(flow, group):
            source.hits.append((group.index, value))
            hits += 1
            if hits > _HITS_MAX:
                yield warning(
                    (), f"cycles were not looked for: more than {_HITS_MAX} publishes and sources meet", "make the filters narrower"
                )
                return
    edges: dict[int, set[int]] = {}
    for source in flow.reached.values():
        if _can_fire(source):
            for index in _certain(source):
                edges.setdefault(index, set()).add(source.group.index)
    if not edges:
        return
    for part in cyclic_parts([sorted(edges[index]) if index in edges else () for index in range(len(flow.groups))]):
        yield _cycle([flow.groups[index] for index in part])


def _cycle(groups: list[GroupNode]) -> Finding:
    first = groups[0]
    if len(groups) == 1:
        what = f"{first} makes itself fire again"
    else:
        names = ", ".join(map(str, groups[:_TOLD_MAX])) + (f" and {len(groups) - _TOLD_MAX} more" if len(groups) > _TOLD_MAX else "")
        what = f"these groups make one another fire again: {names}"
    return warning(first.where, f"{what}, with no bound", "a cooldown:, limit:, or condition stops it", at_key=True)


def _is_bounded(spec: GroupSpec) -> bool:
    return bool(spec.cooldown or spec.limit or spec.throttle or spec.debounce or spec.if_ is not None)


def _put_out(flow: FlowOfValues, group: GroupNode) -> Iterator[tuple[SourceNode, object]]:
    """What each action without a condition puts out, up to the first that waits or may end the run."""
    assert isinstance(group.spec, TriggerSpec)  # noqa: S101 - groups of a matrix have actions
    for action in group.spec.do:
        if action.delay or action.stop not in (None, False):
            return
        if action.when is not None:
            continue
        if action.publish is not None:
            yield from flow.publish(action.publish.topic, _literal(action.publish.payload))
        if action.send is not None:
            yield from flow.send(action.send.to, group.agent, _literal(action.send.payload))
        for port, payload in (action.emit or {}).items():
            yield from flow.emit(group.agent.path, port, _literal(payload))


def _literal(payload: object) -> object:
    return ANY if _is_templated(payload) else payload


def _is_templated(payload: object) -> bool:
    if isinstance(payload, str):
        return "${" in payload
    if isinstance(payload, dict):
        return any(_is_templated(part) for part in payload.values())
    return isinstance(payload, list) and any(map(_is_templated, payload))


def _can_fire(source: SourceNode) -> bool:
    """Whether an edge of this source alone makes its group fire, at once and without a condition."""
    spec, group = source.spec, source.group.spec
    if _is_bounded(group) or spec.role != "regular":
        return False
    if spec.where is not None or spec.for_ or spec.count is not None or spec.absent is not None or spec.aggregate is not None:
        return False
    regular = [other for other in group.on.values() if other.role == "regular"]
    if group.need in ("any", 1):
        return True
    tokens = [other for other in regular if other is not spec and not _is_level(other)]
    return not tokens and not any(other.role == "gate" for other in group.on.values()) and group.need in ("all", len(regular))


def _is_level(spec: SourceSpec) -> bool:
    return level_of(spec) is not None or spec.during is not None


def _certain(source: SourceNode) -> Iterator[int]:
    """The groups whose values are certain to give this source an edge again and again."""
    spec = source.spec
    known = [(index, value) for index, value in source.hits if value is not ANY and value is not None]
    if _is_level(spec):
        yield from _turning(spec, known)
    elif spec.is_ is not None:
        wanted = one_of(spec.is_)
        yield from (index for index, value in known if wanted(value))
    elif spec.changes is not None:
        yield from _changing(spec.changes, known)
    else:
        yield from (index for index, value in source.hits if value is not None)


def _turning(spec: SourceSpec, known: list[tuple[int, object]]) -> Iterator[int]:
    level = level_of(spec)
    if level is None:
        return
    if any(getattr(spec, name) is not None for name in _NUMERIC):
        known = [(index, value) for index, value in known if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if any(not level(value, True) for _, value in known):
        yield from (index for index, value in known if level(value, False))


def _changing(changes: bool | Changes, known: list[tuple[int, object]]) -> Iterator[int]:
    if not any(not same(known[0][1], value) for _, value in known[1:]):
        return
    if isinstance(changes, bool):
        yield from (index for index, _ in known)
    elif changes.by is None:
        wanted = None if changes.to is None else one_of(changes.to)
        yield from (index for index, value in known if wanted is None or wanted(value))
