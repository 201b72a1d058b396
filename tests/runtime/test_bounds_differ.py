"""A receiver with other bounds than the sender, as while a matrix is deployed anew: what it refuses is in nobody's way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from durable_net import DurableNet

from edgematrix.runtime.observation import Outcome, RunEnded

PARALLEL = {"mode": "parallel"}
DEEP = [[[[[["deep"]]]]]]


def group(source: str, *does: dict[str, Any]) -> dict[str, Any]:
    return {"g": PARALLEL | {"on": {"x": {"from": source}}, "do": list(does)}}


FEED = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}


def played(folder: Path, agents: dict[str, Any], strict: str, places: dict[str, str]) -> tuple[DurableNet, list[RunEnded]]:
    """One host takes less than the others send; something that it takes follows."""
    matrix = {"matrix": "home", "defaults": {"delivery": "durable"}, "agents": {"feed": FEED} | agents}
    net = DurableNet(folder, matrix, places, modules={})
    ends: list[RunEnded] = []
    net.observed.append(lambda name, told: ends.append(told) if type(told) is RunEnded and told.path == "home/work" else None)
    engine = net.hosts[strict].engine
    engine.limits = replace(engine.limits, depth_max=6)
    try:
        for at_s, value in ((1, "one"), (2, DEEP), (3, "two")):
            net.after(at_s, lambda value=value: net.tell("t/go", value))
        net.play(30, 120)
        assert [*net.left(), *net.failures] == []
    finally:
        net.close()
    return net, ends


def test_what_is_sent_stands_in_nobodys_way(tmp_path: Path) -> None:
    sink = {"inputs": {"in": "any"}, "triggers": group("self.in", {"publish": {"topic": "t/seen", "payload": "${x.value.a}"}})}
    wrap = {"triggers": group("feed.o", {"send": {"to": "sink.in", "payload": {"a": "${x.value}"}}})}
    net, _ = played(tmp_path, {"wrap": wrap, "sink": sink}, "b", {"home/wrap": "a", "home/sink": "b"})
    assert sorted(net.foreign) == ['["t/seen", "one"]', '["t/seen", "two"]']
    ((_, host, letter),) = net.letters
    assert (host, letter.topic) == ("b", "em/in/home/sink/in")
    assert "depth_max, 6" in letter.reason


WORK = {"flow": {"edges": ["in -> far"]}, "triggers": {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}}


@pytest.mark.parametrize(("strict", "value", "why"), [("b", "${x.value}", "depth_max, 6"), ("a", {"a": DEEP}, "refused here")])
def test_whoever_calls_hears_that_it_is_refused(tmp_path: Path, strict: str, value: object, why: str) -> None:
    """As what the call gives, and as its answer."""
    far = {"inputs": {"in": "any"}, "triggers": group("self.in", {"emit": {"out": value}})}
    net, ends = played(tmp_path, {"work": WORK | {"agents": {"far": far}}}, strict, {"home/work": "a", "home/work/far": "b"})
    failed = [told for told in ends if told.outcome is Outcome.FAILED]
    assert failed
    assert all(why in told.reason for told in failed)
    assert {letter.topic for _, _, letter in net.letters} <= {"em/run/home/work", "em/out/home/feed/o"}
