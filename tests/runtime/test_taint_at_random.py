"""Random chains of agents between a text from outside and a lock: whatever stands between, the lock knows where it came from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.config.opening import open_matrix
from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Restart, Simulation

CODE = """
import edgematrix as em
async def back(value: object, context) -> object: return value
async def given(firing: em.Firing, context: em.Context) -> object: return firing.value("x")
async def calls(firing: em.Firing, context: em.Context) -> object: return await context.call("echo", firing.value("x"))
async def writes(firing: em.Firing, context: em.Context) -> None: await context.publish(f"t/{context.path}", firing.value("x"))
"""
Agents: TypeAlias = dict[str, Any]
Stage: TypeAlias = Callable[[str, dict[str, Any]], tuple[Agents, dict[str, Any]]]
"""Makes agents of a name and of the source that they read, and the source that reads them."""

EMIT = [{"emit": {"out": "${x.value}"}}]
BACK = {"inputs": {"in": "any"}, "triggers": {"t": {"mode": "parallel", "on": {"x": {"from": "self.in"}}, "do": EMIT}}}


def rule(**more: Any) -> Stage:
    def stage(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
        group = {key: value for key, value in more.items() if key not in ("source", "beside")}
        on = {"x": source | more.get("source", {}), **more.get("beside", {})}
        return {name: {"triggers": {"t": {"mode": "parallel", "on": on, "do": EMIT, **group}}}}, {"from": name}

    return stage


def kept(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
    agents, _ = rule()(name, source)
    agents[name]["outputs"] = {"out": {"type": "any", "retain": True}}
    return agents, {"from": name}


def kind(**spec: Any) -> Stage:
    def stage(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
        group = {"mode": "parallel", "on": {"in": source}}
        return {name: {"inputs": {"in": "any"}, "triggers": {"t": group}, **spec}}, {"from": name}

    return stage


def code(function: str, **spec: Any) -> Stage:
    def stage(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
        agent = {"python": f"code:{function}", "triggers": {"t": {"mode": "parallel", "on": {"x": source}}}, **spec}
        return {name: agent}, {"from": name}

    return stage


def written(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
    return code("writes")(name, source)[0], {"topic": f"t/home/{name}"}


def published(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
    agents, _ = rule(do=[{"publish": {"topic": f"t/{name}", "payload": "${x.value}"}}])(name, source)
    return agents, {"topic": f"t/{name}"}


def device(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
    do = [{"send": {"to": f"{name}_d.set", "payload": "${x.value}"}}]
    made = {"device": {"writes": {"set": {"topic": f"t/{name}"}}, "reads": {"said": {"topic": f"t/{name}"}}}}
    return rule(do=do)(name, source)[0] | {f"{name}_d": made}, {"from": f"{name}_d.said"}


def relay(name: str, source: dict[str, Any]) -> tuple[Agents, dict[str, Any]]:
    agents, _ = rule()("inside", source if "topic" in source else {**source, "from": f"/home/{source['from']}"})
    return {name: {"agents": agents, "outputs": {"out": {"from": "inside"}}}}, {"from": name}


def member(value: str) -> Agents:
    """A member of a composite that answers with a part of what it is given."""
    return {"inputs": {"in": "any"}, "triggers": {"t": {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"out": value}}]}}}


FLOW = {"flow": {"edges": ["in -> a", "a -> b", "in, a -> c", "b, c -> d"]}}
MEMBERS = dict.fromkeys("abc", BACK) | {"d": member("${x.value.b}")}
SPEAKERS = {name: member("${x.value.request}") for name in "ab"}
STAGES: dict[str, Stage] = {
    "rule": rule(),
    "where": rule(source={"where": "prev == null || true"}),
    "mean": rule(source={"aggregate": {"fn": "mean", "over": "20s"}}),
    "last": rule(source={"aggregate": {"fn": "last", "over": "20s"}}),
    "count": rule(source={"count": {"at_least": 1, "within": "1m"}}),
    "level": rule(source={"above": 3, "hysteresis": 2}, do=[{"emit": {"out": "${x.value}"}}]),
    "held": rule(source={"above": 3, "for": "2s"}),
    "debounce": rule(debounce="1s"),
    "throttle": rule(throttle="1s"),
    "delayed": rule(do=[{"delay": "1s"}, *EMIT]),
    "beside": rule(beside={"y": {"every": "2s", "role": "optional"}}),
    "condition": rule(beside={"y": {"during": "00:00-23:59", "role": "condition"}}),
    "called": rule(do=[{"call": {"agent": "echo", "payload": "${x.value}"}}, {"emit": {"out": "${result}"}}]),
    "kept": kept,
    "flow": kind(**FLOW, agents=MEMBERS),
    "chat": kind(chat={"members": ["a", "b"], "max_turns": 2}, agents=SPEAKERS),
    "switch": kind(switch={"cases": [{"when": "true", "to": "a"}]}, agents={"a": BACK}),
    "pool": kind(pool={"replicas": 2}, agents={"a": BACK}),
    "code": code("given"),
    "calling": code("calls", sends=["echo"]),
    "written": written,
    "published": published,
    "device": device,
    "relay": relay,
}


def lock_told(stages: list[str], *, untrusted: bool, kill_s: int | None) -> tuple[list[Any], list[Any]]:
    """What the lock's device was told, and what people were asked."""
    source: dict[str, Any] = {"topic": "web/in", "untrusted": untrusted}
    agents: Agents = {
        "lock": {"device": {"writes": {"set": {"topic": "z/lock", "critical": True}}}},
        "echo": {"python": "code:back"},
    }
    for number, stage in enumerate(stages):
        made, source = STAGES[stage](f"s{number}", source)
        agents |= made
    do = [{"send": {"to": "lock.set", "payload": "${x.value}"}}]
    agents["last"] = {"triggers": {"t": {"mode": "parallel", "on": {"x": source}, "do": do}}}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "code.py").write_text(CODE)
        (Path(folder) / "matrix.yaml").write_text(json.dumps({"matrix": "home", "agents": agents}))
        opened = open_matrix(Path(folder) / "matrix.yaml")
        simulation = Simulation(opened.spec, loader=opened.loader, watch=["z/lock", "em/out/home/lock/ask"])
        said = [Recorded(1 * SECOND_US, "web/in", 7), Recorded(9 * SECOND_US, "web/in", 8)]
        kills = [] if kill_s is None else [Restart(kill_s * SECOND_US)]
        seen = list(simulation.play(said, 60 * SECOND_US, kills))
    return [one.payload for one in seen if one.topic == "z/lock"], [one.payload for one in seen if one.topic != "z/lock"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(STAGES)), max_size=5), st.sampled_from([None, None, 4]))
def test_whatever_stands_between_the_lock_knows(stages: list[str], kill_s: int | None) -> None:
    told, asked = lock_told(stages, untrusted=True, kill_s=kill_s)
    assert not told, stages
    free, _ = lock_told(stages, untrusted=False, kill_s=kill_s)
    assert bool(asked) == bool(free), "what is not marked goes through the same chain, and only that"


def test_each_stage_hands_on_what_it_is_given() -> None:
    for stage in STAGES:
        told, asked = lock_told([stage], untrusted=False, kill_s=None)
        assert told, stage
        assert not asked
