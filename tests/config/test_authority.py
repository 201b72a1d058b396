"""Who may do what: each kind of wire, source and topic shows up for the right principals, and what cannot be granted is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from edgematrix.access.grant import Access
from edgematrix.access.principal import Principal, Role
from edgematrix.config.authority import principals_of
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError


def everybody(agents: dict[str, Any], **more: Any) -> dict[str, Principal]:
    spec = validate(MatrixSpec, {"matrix": "home", "agents": agents, **more})
    return {principal.name: principal for principal in principals_of(spec)}


def may(principal: Principal, access: str, *topics: str) -> bool:
    found = {principal.grants.allows(Access(access), topic) for topic in topics}
    assert len(found) == 1, [topic for topic in topics if principal.grants.allows(Access(access), topic)]
    return found.pop()


def why(principal: Principal, topic: str) -> str:
    return " / ".join(reason for grant in principal.grants if grant.filter == topic for reason in grant.reasons)


def rule(source: dict[str, Any], *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"triggers": {"t": {"on": {"v": source}, "do": list(actions) or [{"emit": {"out": 1}}]}}, **more}


LAMP = {"device": {"reads": {"light": {"topic": "z/lamp"}}, "writes": {"set": {"topic": "z/lamp/set"}}}}


def test_sources_and_sends_are_wires_of_the_host_that_has_the_agent():
    who = everybody(
        {"lamp": {**LAMP, "host": "a"}, "dark": rule({"from": "lamp.light"}, {"send": {"to": "lamp.set", "payload": 1}}, host="b")}
    )
    a, b = who["a"], who["b"]
    assert may(b, "read", "em/out/home/lamp/light", "em/ack/home/lamp")
    assert may(b, "write", "em/in/home/lamp/set")
    assert not may(b, "write", "em/out/home/lamp/light", "em/state/home/lamp", "em/in/home/lamp/other", "em/spec/home/lamp", "z/lamp/set")
    assert not may(b, "read", "em/in/home/lamp/set", "z/lamp", "em/out/home/lamp/other")
    assert may(a, "read", "em/in/home/lamp/set", "z/lamp", "em/ack/home/dark")
    assert may(a, "write", "z/lamp/set", "em/out/home/lamp/light")
    assert not may(a, "write", "em/out/home/dark/out", "em/in/home/dark/v")
    assert why(b, "em/in/home/lamp/set") == "home/dark sends to home/lamp.set"


def test_topics_of_other_systems_are_those_that_are_named():
    who = everybody(
        {
            "a": rule({"topic": "weather/{place}/now"}, {"publish": {"topic": "shop/${v}/x", "payload": 1}}, host="h1"),
            "b": {"python": "m:f", "publishes": ["billing/#"], "host": "h2"},
            "c": {"human": {"ask": "?", "default": "n", "timeout": "1m", "notify": "phone/ask", "answers": "phone/answer"}, "host": "h3"},
            "d": {"device": {"reads": {"r": {"topic": "d/r"}}, "availability": {"topic": "d/there"}}, "host": "h4"},
        }
    )
    assert may(who["h1"], "read", "weather/+/now")
    assert may(who["h1"], "write", "shop/+/x")
    assert may(who["h2"], "write", "billing/#")
    assert not may(who["h2"], "read", "billing/1")
    assert may(who["h3"], "write", "phone/ask")
    assert may(who["h3"], "read", "phone/answer")
    assert not may(who["h3"], "write", "phone/answer")
    assert may(who["h4"], "read", "d/r", "d/there")
    assert not may(who["h4"], "write", "d/r", "d/there")
    for name, topic in (("h2", "weather/x/now"), ("h1", "d/r"), ("h4", "phone/answer")):
        assert not may(who[name], "read", topic)


def test_whoever_calls_hears_the_end_and_may_hang_up():
    step = rule({"from": "self.in"}, inputs={"in": "any"}, host="b")
    who = everybody(
        {
            "flow": {"flow": {"edges": ["in -> step"]}, "agents": {"step": step}, "host": "a"},
            "ask": rule({"topic": "t"}, {"call": {"agent": "/home/flow", "payload": 1}}, host="c"),
        }
    )
    assert may(who["a"], "write", "em/in/home/flow/step/in", "em/ctl/home/flow/step/cancel")
    assert may(who["a"], "read", "em/out/home/flow/step/_end", "em/part/home/flow/step/out", "em/state/home/flow/step")
    assert may(who["c"], "write", "em/in/home/flow/in", "em/ctl/home/flow/cancel")
    assert may(who["c"], "read", "em/out/home/flow/_end")
    assert not may(who["c"], "write", "em/ctl/home/flow/remove", "em/in/home/flow/step/in")
    assert not may(who["c"], "read", "em/out/home/flow/step/_end")
    assert may(who["b"], "read", "em/in/home/flow/step/in")
    assert not may(who["b"], "read", "em/in/home/flow/in")


def test_all_that_may_have_an_agent_are_granted_the_same_so_that_a_failover_changes_no_list():
    agents = {"alarm": rule({"from": "lamp.light"}, failover=["a", "b"]), "lamp": {**LAMP, "host": "c"}}
    who = everybody(agents, access={"hosts": ["d"]})
    for name in ("a", "b"):
        assert may(who[name], "write", "em/out/home/alarm/out", "em/lease/home/alarm", "em/state/home/alarm/_snapshot")
        assert may(who[name], "read", "em/out/home/lamp/light", "em/lease/home/alarm", "em/state/home/alarm/_snapshot")
    for name in ("c", "d"):
        assert not may(who[name], "write", "em/lease/home/alarm", "em/out/home/alarm/out")


def test_labels_keep_agents_from_hosts_whatever_these_say_of_themselves():
    agents = {"cam": rule({"topic": "cam"}, needs={"labels": ["garden"]}), "free": rule({"topic": "free"})}
    who = everybody(agents, access={"hosts": {"in": {"labels": []}, "out": {"labels": ["garden", "shed"]}, "any": {}}})
    assert [may(who[name], "write", "em/out/home/cam/out") for name in ("in", "out", "any")] == [False, True, True]
    assert all(may(who[name], "write", "em/out/home/free/out") for name in ("in", "out", "any"))


def test_a_device_reaches_nothing_but_its_own_subtree():
    who = everybody(
        {
            "hall": {"agents": {"tank": {"host": "board", "inputs": {"pump": "any"}, "outputs": {"level": "any"}}}},
            "x": rule({"from": "hall/tank.level"}),
        }
    )
    tank = who["home.hall.tank"]
    assert (tank.role, tank.subject) == (Role.DEVICE, "home/hall/tank")
    assert all(grant.filter.split("/")[2:5] == ["home", "hall", "tank"] for grant in tank.grants)
    assert not may(tank, "write", "em/in/home/hall/tank/pump", "em/spec/home/hall/tank", "em/host/board", "em/out/home/hall/tank")


def test_a_child_with_the_name_of_a_port_or_a_verb_of_its_parent_gains_nothing():
    """The checks refuse such a tree; the grants hold without them. The child alone runs on `b`."""
    children = {"set": rule({"topic": "t"}, host="b"), "cancel": rule({"topic": "t"}, host="b"), "light": rule({"topic": "t"}, host="b")}
    who = everybody({"lamp": {**LAMP, "agents": children, "host": "a"}})
    assert not may(
        who["b"], "write",
        "em/in/home/lamp/set", "em/ctl/home/lamp/cancel", "em/out/home/lamp/light", "em/part/home/lamp/light", "em/spec/home/lamp/set",
        "em/state/home/lamp", "em/ack/home/lamp", "em/trace/home/lamp", "em/dead/home/lamp",
    )  # fmt: skip
    assert may(who["b"], "write", "em/out/home/lamp/light/out", "em/state/home/lamp/light")


def test_operators_have_the_paths_and_orders_that_they_are_given():
    agents = {"hall": {"agents": {"lamp": LAMP, "tank": {"host": "board", "inputs": {"pump": "any"}}}}, "cellar": rule({"topic": "t"})}
    access = {
        "operators": {
            "anna": {},
            "ben": {"paths": ["home/hall"], "verbs": ["pause"]},
            "rita": {"verbs": [], "reads": ["weather/#"]},
            "dora": {"deploys": True},
        }
    }
    who = everybody(agents, access=access)
    assert may(who["anna"], "write", "em/op/anna/remove/home/cellar", "em/op/anna/dead/home", "em/in/home/hall/tank/pump")
    assert not may(
        who["anna"],
        "write",
        "em/op/ben/pause/home/hall",
        "em/in/home/cellar/x",
        "em/ctl/home/cellar/pause",
        "em/spec/home/cellar",
        "em/out/home/hall/lamp/light",
    )
    assert may(who["ben"], "write", "em/op/ben/pause/home/hall/lamp", "em/op/ben/pause/home/hall")
    assert not may(
        who["ben"],
        "write",
        "em/op/ben/pause/home/cellar",
        "em/op/ben/pause/home",
        "em/op/ben/remove/home/hall/lamp",
        "em/in/home/hall/tank/pump",
    )
    assert may(who["ben"], "read", "em/out/home/hall/lamp/light", "em/reply/pi/ben/1")
    assert not may(who["ben"], "read", "em/out/home/cellar/out", "em/reply/pi/anna/1")
    assert not any(grant.access is Access.WRITE for grant in who["rita"].grants)
    assert may(who["rita"], "read", "weather/x", "em/trace/home/cellar")
    assert may(who["dora"], "write", "em/spec/home", "em/spec/home/hall/lamp")


def test_an_operator_of_some_paths_creates_nothing_that_reaches_beyond_them_unless_that_is_named():
    access = {"operators": {"ben": {"paths": ["home/hall"]}, "eva": {"paths": ["home/hall"], "verbs": ["create"]}}}
    who = everybody({"hall": {"agents": {"lamp": LAMP}}}, access=access)
    assert not may(who["ben"], "write", *(f"em/op/ben/{verb}/home/hall/new" for verb in ("create", "duplicate")))
    assert may(who["ben"], "write", *(f"em/op/ben/{verb}/home/hall/lamp" for verb in ("pause", "send", "watch", "remove", "failback")))
    assert may(who["eva"], "write", "em/op/eva/create/home/hall/new")


def test_clients_have_their_own_topics_alone():
    z2m = everybody({"lamp": LAMP}, access={"clients": {"z2m": {"publishes": ["z/#"], "reads": ["z/+/set"]}}})["z2m"]
    assert [(grant.access.value, grant.filter) for grant in z2m.grants] == [("write", "z/#"), ("read", "z/+/set")]


def test_one_host_that_has_everything_may_remind_a_broker_of_the_definitions_and_others_may_not():
    one = everybody({"lamp": LAMP})["host"]
    assert may(one, "write", "em/spec/home", "em/spec/home/lamp")
    two = everybody({"lamp": {**LAMP, "host": "a"}, "other": {**LAMP, "host": "b"}}, access={"hosts": {"c": {"deploys": True}}})
    assert [may(two[name], "write", "em/spec/home", "em/spec/home/lamp") for name in ("a", "b", "c")] == [False, False, True]


@pytest.mark.parametrize(
    ("access", "told"),
    [
        ({"operators": {"lamp1": {"verbs": ["open"]}}}, "access.operators.lamp1: there is no verb 'open'"),
        ({"operators": {"ann": {"paths": ["home/attic"]}}}, "access.operators.ann.paths: there is no agent home/attic"),
        ({"operators": {"ann": {"paths": ["Home"]}}}, "access.operators.ann.paths: "),
        ({"operators": {"ann": {}}, "clients": {"ann": {}}}, "'ann' is the name of the operator ann and of the client ann"),
        ({"hosts": ["ann"], "operators": {"ann": {}}}, "'ann' is the name of the host ann and of the operator ann"),
        ({"clients": {"x": {"publishes": ["em/in/home/lamp/set"]}}}, "x publishes: 'em/in/home/lamp/set' reaches topics below em/in/"),
        ({"clients": {"x": {"reads": ["#"]}}}, "x reads: '#' reaches topics below em/"),
        ({"clients": {"x": {"reads": ["+/+/home/#"]}}}, "reaches topics below em/"),
        ({"clients": {"x": {"reads": ["$SYS/#"]}}}, "begins with $"),
        ({"clients": {"x": {"reads": ["$share/g/em/in/#"]}}}, "begins with $"),
        ({"clients": {"x": {"publishes": ["a/#/b"]}}}, "x publishes: filter 'a/#/b' has # before its end"),
        ({"operators": {"x": {"reads": ["em/+/home/#"]}}}, "x reads: 'em/+/home/#' reaches topics below em/"),
    ],
)
def test_what_cannot_be_granted_is_refused_with_its_place(access: dict[str, Any], told: str):
    with pytest.raises(ConfigError) as refusal:
        everybody({"lamp": LAMP}, access=access)
    assert told in str(refusal.value)


def test_a_topic_that_could_become_one_of_the_bus_is_refused():
    with pytest.raises(ConfigError, match=r"home/a publishes \(triggers.t.do.0\): '\+/\+/x' reaches topics below em/"):
        everybody({"a": rule({"topic": "t"}, {"publish": {"topic": "${v}/${v}/x", "payload": 1}})})


def test_a_host_that_has_the_whole_matrix_has_few_grants_for_it():
    agents = {f"a{number}": rule({"from": f"a{(number + 1) % 100}.out"}, outputs={"out": "any"}) for number in range(100)}
    alone = everybody(agents)["host"]
    assert sum(grant.access is Access.WRITE for grant in alone.grants) < 20
    assert may(alone, "write", "em/out/home/a7/out", "em/state/home/a7", "em/in/home/a7/b/port", "em/spec/home/a7")
    assert not may(alone, "write", "em/in/home/a7/port", "em/ctl/home/a7/pause", "em/out/home/a7")
    one = everybody(agents, access={"hosts": ["x", "y"]})["x"]
    assert may(one, "write", "em/out/home/a7/out", "em/state/home/a7")
    assert not may(one, "write", "em/out/home/other/out", "em/state/home/other", "em/spec/home/a7")
