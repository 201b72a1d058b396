"""Puts a planned change in place: what goes, what comes, and what follows another plan. What is not named goes on as it was."""

from __future__ import annotations

import logging
from collections.abc import Collection

from edgematrix.config.inbound import INBOUND
from edgematrix.config.planning import Plan
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.answer import AnswerListener
from edgematrix.runtime.assembly import Assembly, Parts
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.presence import Presence
from edgematrix.runtime.removal import Removal
from edgematrix.runtime.streams import PartListener
from edgematrix.runtime.topology import Applied

__all__ = ["put_in_place"]

_log = logging.getLogger(__name__)

_ATTENDING = (AnswerListener, PartListener, Presence)
"""With which agents hear others elsewhere."""


def put_in_place(plan: Plan, assembly: Assembly, revision: int, now_us: int) -> Applied:
    """Change what runs; `revision` is that of the new definition. To be called on the event loop."""
    engine, difference = assembly.engine, plan.difference
    before, filters = frozenset(assembly.agents), dict(assembly.filters)
    gone = difference.gone
    engine.elsewhere, engine.edges, engine.marks = plan.elsewhere, plan.edges, plan.marks
    forgotten = [runner.store_key for runner in assembly.groups if runner.agent in gone]
    forgotten += [counter.store_key for counter in assembly.counters if counter.agent in gone]
    removal = Removal(engine, gone, difference.moved)
    left = removal.subscriptions | _detach(assembly, {node.path for node in (*difference.recomposed, *difference.attending)})
    for path in sorted(assembly.desks.keys() & (gone - plan.elsewhere)):
        assembly.desks[path].dismiss(now_us)
    _leave_out(assembly, gone)
    engine.inner = {path for path in engine.inner if parent_of(path) not in gone}
    plan.draft.place(engine)
    for topic in removal.retained:
        if topic not in engine.deliveries:
            engine.outbox.append(Outbound(topic, b"", engine.matrix, now_us, 1, retain=True))
    assembly.agents = plan.agents
    former = {found.path: presence for found in plan.recomposed if (presence := assembly.presences.pop(found.path, None)) is not None}
    assembly.adopt(plan.parts, now_us)
    _recompose(assembly, plan, former, now_us)
    unsubscribe = [topic for topic in sorted(left) if topic in assembly.filters and not engine.subscribed(topic)]
    stale = (*_heard_here(assembly, difference.moved - plan.elsewhere), *_inbound(assembly, engine.root))
    assembly.filters.update(dict.fromkeys(plan.inbound, 1))
    unsubscribe += [topic for topic in stale if topic not in unsubscribe and topic not in plan.inbound]
    for topic in unsubscribe:
        del assembly.filters[topic]
    _begin(assembly, plan.parts, now_us)
    removal.finish(now_us)
    if assembly.questions is not None:
        for name in [name for name in assembly.questions.notify if name.partition(".")[0] in gone and name not in plan.parts.notify]:
            del assembly.questions.notify[name]
    engine.pauses.parts.intersection_update({engine.matrix, *plan.agents, *plan.elsewhere})
    return Applied(
        revision,
        assembly.agents,
        engine.elsewhere,
        added=[node.path for node in difference.built if not node.is_elsewhere],
        removed=sorted(before - frozenset(assembly.agents)),
        changed=[node.path for node in difference.recomposed],
        subscribe={topic: qos for topic, qos in assembly.filters.items() if qos > filters.get(topic, -1)},
        unsubscribe=unsubscribe,
        forgotten=forgotten,
        specs=plan.specs,
        manifest=plan.manifest,
        warnings=plan.warnings,
    )


def _heard_here(assembly: Assembly, come: Collection[AgentPath]) -> list[str]:
    """What is subscribed to of agents that have come here: they are heard in memory now."""
    if not come:
        return []
    heads = tuple(f"{assembly.engine.root}/{kind}/" for kind in (Kind.OUT, Kind.PART))
    return [topic for topic in assembly.filters if topic.startswith(heads) and _owner(topic, heads) in come]


def _inbound(assembly: Assembly, root: str) -> list[str]:
    """What is subscribed to for the inputs of the agents here; a source that reads an input elsewhere names its port."""
    heads = tuple(f"{root}/{kind}/" for kind in INBOUND)
    return [topic for topic in assembly.filters if topic.startswith(heads) and topic.endswith(("/+", "/#"))]


def _owner(topic: str, heads: tuple[str, ...]) -> str:
    """Whose port a topic, or a filter for all its ports, is."""
    head = next(head for head in heads if topic.startswith(head))
    return topic.removeprefix(head).rpartition("/")[0]


def _detach(assembly: Assembly, paths: Collection[AgentPath]) -> set[str]:
    """Let these hear others elsewhere no longer in the old way; what was subscribed to for it."""
    if not paths:
        return set()
    found = assembly.engine.unlisten(lambda listener: isinstance(listener, _ATTENDING) and listener.agent in paths)
    return {subscription for subscription, _ in found}


def _leave_out(assembly: Assembly, gone: frozenset[AgentPath]) -> None:
    if not gone:
        return
    assembly.counters[:] = [counter for counter in assembly.counters if counter.agent not in gone]
    assembly.groups[:] = [runner for runner in assembly.groups if runner.agent not in gone]
    for path in gone:
        assembly.bodies.pop(path, None)
        assembly.presences.pop(path, None)
        assembly.desks.pop(path, None)


def _recompose(assembly: Assembly, plan: Plan, former: dict[AgentPath, Presence], now_us: int) -> None:
    """Let composites follow their new plans, knowing what they knew of members elsewhere."""
    for found in plan.recomposed:
        assembly.bodies[found.path].change(found.composition, found.members)
        older, newer = former.get(found.path), plan.parts.presences.get(found.path)
        if older is not None and newer is not None:
            newer.take_over(older, now_us)


def _begin(assembly: Assembly, parts: Parts, now_us: int) -> None:
    """Start what is new."""
    assembly.come(parts.groups, parts.bodies.values(), now_us, _say_damaged)
    for opening in parts.openings:
        opening(now_us)
    assembly.openings.clear()


def _say_damaged(key: str, error: Exception) -> None:
    _log.warning("the state of %s that was laid out for it is of no use, and it starts afresh: %s", key, error)
