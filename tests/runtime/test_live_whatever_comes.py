"""Whatever is changed, in whatever order: what runs then is what a host would run that had been started with it."""

from __future__ import annotations

import sys
import types
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.exchange import load
from edgematrix.config.live import LiveTopology
from edgematrix.config.live_record import restore
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.errors import EdgeMatrixError
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.order import Connect, Create, Disconnect, Duplicate, Edit, Remove
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock

START_US = 1_767_225_600_000_000
work = types.ModuleType("live_work")


def quick(text: str, ctx: object) -> str:
    return text


work.quick = quick  # type: ignore[attr-defined]
sys.modules["live_work"] = work

RULE = {"triggers": {"t": {"on": {"v": {"topic": "t/{room}", "for": "2s", "above": 5}}, "by": "room", "do": [{"emit": {"out": 1}}]}}}
CLOCK = {"triggers": {"t": {"on": {"tick": {"every": "10s"}}, "do": [{"delay": "3s"}, {"publish": {"topic": "t/tick", "payload": 1}}]}}}
LAMP = {
    "device": {
        "reads": {"state": {"topic": "z/lamp", "value": "state"}},
        "writes": {"set": {"topic": "z/lamp/set", "dwell": "5s"}},
        "availability": {"topic": "z/lamp/there"},
    },
    "outputs": {"mode": {"type": "text", "retain": True, "initial": "home"}},
}
SENDER = {"triggers": {"t": {"on": {"v": {"topic": "t/+"}}, "do": [{"send": {"to": "lamp.set", "payload": "ON"}}]}}}
CALLER = {"triggers": {"t": {"on": {"v": {"topic": "t/call"}}, "do": [{"call": {"agent": "board", "payload": 1}}, {"emit": {"out": 1}}]}}}
BOARD = {"host": "pico", "inputs": {"in": "any"}, "outputs": {"out": "any"}}
PERSON = {"human": {"ask": "Well?", "notify": "t/ask", "answers": "t/answer"}}
CODE = {"python": "live_work:quick"}
TALK = {"sentences": {"rules": [{"say": ["on"], "send": {"to": "lamp.set", "payload": "ON"}, "answer": "yes"}]}}
SWITCH = {
    "switch": {"cases": [{"when": "value == 1", "to": "a"}], "default": "b"},
    "agents": {"a": CODE, "b": {"host": "pico", "inputs": {"in": "any"}, "outputs": {"out": "any"}}},
}
FLOW = {
    "inputs": {"request": "text"},
    "outputs": {"out": {"from": "b"}},
    "triggers": {"t": {"on": {"request": {"topic": "t/request"}}, "mode": "parallel"}},
    "flow": {"edges": ["request -> a -> b"]},
    "agents": {"a": CODE, "b": CODE, "pool": {"pool": {"replicas": 2}, "agents": {"w": CODE}}},
}
SHOWN = {"agents": {"one": RULE}, "outputs": {"out": {"from": "one.out"}}}
KINDS = [RULE, CLOCK, LAMP, SENDER, CALLER, BOARD, PERSON, CODE, TALK, SWITCH, FLOW, SHOWN]
BASE = load({"matrix": "home", "agents": {"lamp": LAMP, "sender": SENDER, "flow": FLOW, "board": BOARD, "caller": CALLER}})

BELOW = ["home/lamp", "home/sender", "home/flow", "home/board", "home/caller", "home/new", "home/other"]
FURTHER = [
    f"{path}/{name}" for path in ("home/flow", "home/new", "home/board", "home/other") for name in ("a", "b", "new", "lamp", "board")
]

paths = st.sampled_from([*BELOW, *FURTHER]).map(AgentPath)
flows = st.sampled_from(["home/flow", "home/flow", "home/new", "home/other"]).map(AgentPath)
ends = st.sampled_from(["request", "a", "b", "pool", "new", "out"])
changes = st.lists(
    st.one_of(
        st.tuples(paths, st.sampled_from(KINDS).map(Create)),
        st.tuples(paths, st.just(Remove())),
        st.tuples(paths, paths.map(Duplicate)),
        st.tuples(flows, st.builds(Connect, ends, ends)),
        st.tuples(flows, st.builds(Disconnect, ends, ends)),
    ),
    max_size=15,
)


def around() -> tuple[Surroundings, VirtualClock]:
    clock = VirtualClock(START_US)

    def workshop(limits: Limits, stalled: Any) -> Workshop:
        return Workshop(clock, limits, stalled)

    return Surroundings(clock=clock, new_id=id_maker(1), workshop=workshop, loader=CodeLoader(allowed=["live_work"]), echo=True), clock


def refuse(key: str, error: Exception) -> None:
    raise AssertionError(key) from error


def footprint(assembly: Assembly) -> dict[str, object]:
    """All that an engine, and its host, know of agents, without what differs from life to life."""
    engine = assembly.engine
    listeners = Counter(
        (subscription, type(listener).__name__, listener.agent, getattr(getattr(listener, "group", None), "name", ""))
        for subscription, listener in engine.unlisten(lambda _: True)  # nothing of it is needed any more
    )
    return {
        "listeners": listeners,
        "filters": assembly.filters,
        "agents": assembly.agents,
        "elsewhere": engine.elsewhere,
        "groups": sorted(runner.store_key for runner in assembly.groups),
        "holders": {agent: [type(holder).__name__ for holder in holders] for agent, holders in engine.holders.items()},
        "deliveries": engine.deliveries,
        "checks": set(engine.checks),
        "guarded": engine.guarded,
        "wires": engine.wires,
        "inner": engine.inner,
        "members": {path: dict(body.members) for path, body in assembly.bodies.items()},
        "followed": {path: presence.filters() for path, presence in assembly.presences.items()},
        "notified": {} if assembly.questions is None else assembly.questions.notify,
    }


@given(changes)
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_what_was_changed_is_what_would_have_been_started(asked: list[tuple[AgentPath, Edit]]) -> None:
    surroundings, clock = around()
    live = build(BASE, surroundings)
    topology = LiveTopology(live, surroundings, lambda: BASE)
    live.start({}, START_US, refuse)
    kept = {id(runner): runner.agent for runner in live.groups}
    for number, (path, edit) in enumerate(asked):
        now_us = START_US + number * 1_000_000
        clock.set(now_us)
        live.engine.receive(Message("t/1", 7), now_us)
        live.engine.receive(Message("z/lamp", {"state": "ON"}), now_us)
        before = topology.revision
        try:
            prepared = topology.prepare(path, edit)
        except EdgeMatrixError:
            assert topology.revision == before
            continue
        topology.apply(prepared, now_us)
        live.engine.advance(now_us)
        live.engine.outbox.clear()
    still = {id(runner) for runner in live.groups}
    untouched = {agent for agent in kept.values() if not any(agent.startswith(path) or path.startswith(agent) for path, _ in asked)}
    if not any(isinstance(edit, (Create, Remove)) and path in ("home/lamp", "home/board") for path, edit in asked):
        assert untouched <= {kept[number] for number in kept.keys() & still}
    waiting = [entry[3] for entry in live.engine._timers.waiting]
    assert not [timer for timer in waiting if isinstance(timer, GroupRunner) and timer not in live.groups]
    now_us = START_US + 1_000_000 * len(asked)
    final = replace(BASE) if not topology.revision else _definition(topology)
    others, _ = around()
    fresh = build(final, others)
    fresh.start({}, now_us, refuse)
    assert footprint(live) == footprint(fresh)


def _definition(topology: LiveTopology) -> MatrixSpec:
    restored = restore(BASE, topology.save()[""])
    assert not restored.warning
    return restored.spec
