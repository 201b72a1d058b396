"""The inputs of a call from elsewhere come on edges of their own, in any order with those of other calls: a group mixes no calls."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from split_hosts import Net

from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath

MATRIX = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far.left, in -> far.right, far -> last]}
    agents:
      far:
        inputs: {left: any, right: any}
        outputs: {out: any}
        triggers:
          both:
            mode: parallel
            on: {left: {from: self.left}, right: {from: self.right}}
            do: [{emit: {out: ["${left.value}", "${right.value}"]}}]
      last: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: 1}}]}}}
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    made = Net(tmp_path, MATRIX, {"home/work/far": "b"}, ("a", "b"))
    yield made
    made.close()


def given(run: int, port: str) -> Message:
    trail = Trail(f"{run}-{port}", f"run-{run}", 1)
    topic = f"em/in/home/work/far/{port}"
    return Message(topic, f"{port}{run}", False, 1, None, trail, "home/work", call_inputs=2, call_wants="out")


@pytest.mark.parametrize("order", sorted(permutations([(1, "left"), (1, "right"), (2, "left"), (2, "right")]))[::2])
def test_each_call_gets_its_own_inputs(net: Net, order: tuple[tuple[int, str], ...]) -> None:
    net.start()
    engine = net.hosts["b"].engine
    for run, port in order:
        engine.receive(given(run, port), net.clock.now_us())
    net._settle()
    said = {value["runid"]: value["data"] for _, topic, value in net.carried if topic == "em/out/home/work/far/out"}
    assert said == {"run-1": ["left1", "right1"], "run-2": ["left2", "right2"]}


def test_an_input_that_waits_for_others_is_kept_for_a_restart(net: Net, tmp_path: Path) -> None:
    net.start()
    before = net.hosts["b"].engine
    before.receive(given(1, "left"), net.clock.now_us())
    kept = {key: data for key, data in before.remote.save().items() if data is not None}
    again = Net(tmp_path, MATRIX, {"home/work/far": "b"}, ("a", "b"))
    try:
        again.start()
        after = again.hosts["b"].engine
        after.remote.load(kept, again.clock.now_us(), lambda key, error: pytest.fail(f"{key}: {error}"))
        after.receive(given(2, "left"), again.clock.now_us())
        after.receive(given(1, "right"), again.clock.now_us())
        again._settle()
        assert [value["data"] for _, topic, value in again.carried if topic == "em/out/home/work/far/out"] == [["left1", "right1"]]
    finally:
        again.close()


def test_an_agent_that_came_from_another_host_does_not_wait_for_ever_for_what_came_there(tmp_path: Path) -> None:
    """Whoever has the agent now never gets it; after a restart of its own, too."""
    matrix = MATRIX.replace("agents:\n  work:", "defaults: {delivery: durable}\nagents:\n  work:", 1)
    net = Net(tmp_path, matrix, {"home/work/far": "b"}, ("a", "b"))
    again = Net(tmp_path, matrix, {"home/work/far": "b"}, ("a", "b"))
    try:
        net.start()
        before = net.hosts["b"].engine
        before.remote.moved.add(AgentPath("home/work/far"))
        right = given(1, "right")
        right.sequence = right.epoch = 1
        before.receive(right, net.clock.now_us())
        kept = {key: data for key, data in before.remote.save().items() if data is not None}
        again.start()
        after = again.hosts["b"].engine
        after.remote.load(kept, again.clock.now_us(), lambda key, error: pytest.fail(f"{key}: {error}"))
        for engine, ends in ((before, net), (after, again)):
            now_us = ends.clock.now_us()
            engine.advance(now_us + 599_000_000)
            assert engine.calls.open
            engine.advance(now_us + 601_000_000)
            assert not engine.calls.open
            assert [said.value["reason"] for said in engine.outbox if said.topic.endswith("/_end")] == ["not all of its inputs have come"]
            assert not any(engine.remote.save().values())
    finally:
        net.close()
        again.close()


@pytest.mark.parametrize("is_first", [True, False])
def test_an_input_that_nobody_has_fails_the_call_for_which_others_came(net: Net, is_first: bool) -> None:
    """Its host may have an older definition than whoever calls."""
    net.start()
    engine, now_us = net.hosts["b"].engine, net.clock.now_us()
    refused = given(1, "middle")
    if is_first:
        assert engine.remote.refuse(refused, "no agent here has this input port", now_us)
    engine.receive(given(1, "left"), now_us)
    if not is_first:
        assert engine.remote.refuse(refused, "no agent here has this input port", now_us)
    why = "no agent here has this input port"
    assert not engine.calls.open
    assert [said.value["reason"] for said in engine.outbox if said.topic.endswith("/_end")] == [why]
    assert engine.remote.refuse(refused, why, now_us)  # it comes again, for its end was lost
    assert [said.value["reason"] for said in engine.outbox if said.topic.endswith("/_end")] == [why] * 2
