"""Agents come to a host and leave it while it runs: all others keep what they have. An engine in virtual time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edgematrix.config.build import build
from edgematrix.config.edit import create
from edgematrix.config.exchange import load
from edgematrix.config.live import LiveTopology
from edgematrix.config.places import Places
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError, UsageError
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.order import Remove
from edgematrix.runtime.topology import Applied
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock

US = 1_000_000


SPEC: MatrixSpec = load(
    {
        "matrix": "home",
        "agents": {
            "pair": {
                "triggers": {
                    "both": {
                        "on": {"here": {"topic": "t/here"}, "far": {"from": "source.out"}},
                        "do": [
                            {"publish": {"topic": "t/both", "payload": ["${here.value}", "${far.value}"]}},
                            {"send": {"to": "sink.in", "payload": "${far.value}"}},
                        ],
                    }
                }
            },
            "source": {"triggers": {"t": {"on": {"v": {"topic": "t/source"}}, "do": [{"emit": {"out": "${v.value}"}}]}}},
            "sink": {
                "inputs": {"in": "any"},
                "triggers": {"t": {"on": {"v": {"from": "self.in"}}, "do": [{"publish": {"topic": "t/sink", "payload": "${v.value}"}}]}},
            },
            "flow": {
                "flow": {"edges": ["in -> one -> two"]},
                "agents": {
                    "one": {
                        "triggers": {"t": {"on": {"v": {"from": "self.in"}}, "do": [{"emit": {"out": "${v.value + 1}"}}]}},
                        "inputs": {"in": "any"},
                    },
                    "two": {
                        "triggers": {"t": {"on": {"v": {"from": "self.in"}}, "do": [{"emit": {"out": "${v.value * 2}"}}]}},
                        "inputs": {"in": "any"},
                    },
                },
            },
            "ear": {
                "triggers": {"t": {"on": {"v": {"from": "flow.out"}}, "do": [{"publish": {"topic": "t/flow", "payload": "${v.value}"}}]}}
            },
        },
    }
)
ALL = ("home/pair", "home/source", "home/sink", "home/flow", "home/flow/one", "home/flow/two", "home/ear")


def places(*elsewhere: str) -> Places:
    return Places("a", {AgentPath(path): "b" if path in elsewhere else "a" for path in ALL})


class OneHost:
    """The host `a` of a matrix that is spread over two."""

    def __init__(self, spec: MatrixSpec = SPEC, where: Places | None = None) -> None:
        self.clock = VirtualClock(US)
        around = Surroundings(
            clock=self.clock,
            new_id=id_maker(1),
            workshop=lambda limits, stalled: Workshop(self.clock, limits, stalled),
            places=where or places(),
        )
        self.assembly = build(spec, around)
        self.topology = LiveTopology(self.assembly, around, lambda: spec)
        self.assembly.start({}, self.clock.now_us(), lambda key, error: None)
        self.engine = self.assembly.engine

    def move(self, *elsewhere: str, spec: MatrixSpec | None = None) -> Applied:
        return self.topology.apply(self.topology.replan(places(*elsewhere), spec), self.clock.now_us())

    def hear(self, topic: str, value: object) -> dict[str, object]:
        """What leaves the host after a message, by topic."""
        self.clock.set(self.clock.now_us() + US)
        self.engine.receive(Message(topic, value), self.clock.now_us())
        told = {out.topic: out.value for out in self.engine.outbox}
        self.engine.outbox.clear()
        return told


def test_who_hears_an_agent_that_leaves_keeps_its_state_and_hears_it_on() -> None:
    host = OneHost()
    host.hear("t/here", 1)  # half of a pair
    applied = host.move("home/source")
    assert list(applied.removed) == ["home/source"]
    assert applied.subscribe == {"em/out/home/source/out": 0}
    assert set(applied.unsubscribe) == {"em/in/home/source/+", "em/ctl/home/source/+", "t/source"}
    assert "em/state/home/source" not in {out.topic for out in host.engine.outbox}
    assert "em/out/home/source/out" not in host.hear("t/source", 5)
    assert host.hear("em/out/home/source/out", 7)["t/both"] == [1, 7]


def test_an_agent_that_comes_is_heard_in_memory_and_no_more_over_the_bus() -> None:
    host = OneHost(where=places("home/source"))
    host.hear("t/here", 1)
    applied = host.move()
    assert list(applied.added) == ["home/source"]
    assert list(applied.unsubscribe) == ["em/out/home/source/out"]
    assert applied.subscribe == {"em/in/home/source/+": 1, "em/ctl/home/source/+": 1, "t/source": 0}
    assert "em/out/home/source/out" not in host.assembly.filters
    assert host.hear("t/source", 7)["t/both"] == [1, 7]


def test_there_and_back_changes_nothing_for_the_others() -> None:
    host = OneHost()
    before = (dict(host.assembly.filters), set(host.engine.wires), set(host.engine.inner), host.assembly.agents)
    host.hear("t/here", 1)
    for gone in ALL[1:]:
        host.move(gone)
        host.move()
    assert (host.assembly.filters, host.engine.wires, host.engine.inner, host.assembly.agents) == before
    told = host.hear("t/source", 7)
    assert told["t/both"] == [1, 7]
    assert told["t/sink"] == 7


def test_work_for_an_agent_that_has_left_goes_over_the_bus() -> None:
    host = OneHost()
    host.move("home/sink")
    host.hear("t/here", 1)
    told = host.hear("t/source", 7)
    assert told["em/in/home/sink/in"] == 7
    assert "t/sink" not in told


@pytest.mark.parametrize("away", [("home/flow/one",), ("home/flow/two",), ("home/flow/one", "home/flow/two")])
def test_members_of_a_flow_may_run_elsewhere(away: tuple[str, ...]) -> None:
    host = OneHost()
    assert host.hear("em/in/home/flow/in", 1)["t/flow"] == 4
    host.move(*away)
    told = host.hear("em/in/home/flow/in", 1)
    assert "t/flow" not in told
    assert set(told) & {"em/in/home/flow/one/in", "em/in/home/flow/two/in"} == {f"em/in/{away[0]}/in"}
    host.move()
    assert host.hear("em/in/home/flow/in", 1)["t/flow"] == 4


def test_a_member_that_stays_is_no_inner_agent_where_its_flow_leaves() -> None:
    host = OneHost()
    assert "em/out/home/flow/one/out" not in host.hear("em/in/home/flow/in", 1)
    host.move("home/flow")
    assert host.hear("em/in/home/flow/one/in", 1)["em/out/home/flow/one/out"] == 2


def test_another_definition_touches_what_differs_alone() -> None:
    host = OneHost()
    host.hear("t/here", 1)
    plain: Mapping[str, object] = {
        "triggers": {"t": {"on": {"v": {"topic": "t/new"}}, "do": [{"publish": {"topic": "t/n", "payload": 1}}]}}
    }
    new = create(SPEC, AgentPath("home/new"), validate(AgentSpec, plain))
    prepared = host.topology.replan(Places("a", {**places().hosts, AgentPath("home/new"): "a"}), new, revision=7)
    applied = host.topology.apply(prepared, host.clock.now_us())
    assert (applied.revision, list(applied.added), host.topology.definition()) == (7, ["home/new"], new)
    assert host.hear("t/new", 1)["t/n"] == 1
    assert host.hear("t/source", 2)["t/both"] == [1, 2]


def test_a_wrong_definition_changes_nothing() -> None:
    host = OneHost()
    wrong = load({"matrix": "home", "agents": {"pair": {"triggers": {"t": {"on": {"v": {"from": "gone.out"}}, "do": []}}}}})
    with pytest.raises(ConfigError, match="gone"):
        host.topology.replan(places(), wrong)
    host.hear("t/here", 1)
    assert host.hear("t/source", 7)["t/both"] == [1, 7]


def test_a_deployed_matrix_is_changed_by_deploying_it() -> None:
    host = OneHost()
    with pytest.raises(UsageError, match="edgematrix deploy"):
        host.topology.prepare(AgentPath("home/ear"), Remove())
