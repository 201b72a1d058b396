"""A durable call to another host that is waited for no longer: it is called off for certain, and what comes of it later begins nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from durable_bus import Trouble
from durable_net import DiskTrouble, DurableNet

from edgematrix.protocol.codec import decode_value
from edgematrix.protocol.message import Publication
from edgematrix.runtime.observation import Dropped, Fired, Observation, Outcome, RunEnded

PARALLEL = {"mode": "parallel"}
JOINS = {
    "inputs": {"left": "any", "right": "any"},
    "triggers": {
        "both": PARALLEL
        | {
            "on": {"left": {"from": "self.left"}, "right": {"from": "self.right"}},
            "do": [{"emit": {"out": ["${left.value}", "${right.value}"]}}],
        }
    },
}
ASKS = {"human": {"ask": "Well?", "timeout": "9h"}}
FAR = {"home/work": "a", "home/work/far": "b"}


def matrix(far: Mapping[str, Any], flow: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    feed = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}
    work = {"flow": flow, "agents": {"far": far, **others}, "triggers": {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}}
    return {"matrix": "home", "limits": {"depth_max": 8}, "defaults": {"delivery": "durable"}, "agents": {"feed": feed, "work": work}}


def cut(net: DurableNet, is_lost: Callable[[Publication], bool]) -> None:
    """Let the broker lose what it would hand on, as often as it comes."""
    route = net.bus._route
    net.bus._route = lambda publication, publisher=None: None if is_lost(publication) else route(publication, publisher)  # type: ignore[method-assign]


class Seen:
    """What hosts tell."""

    def __init__(self, net: DurableNet) -> None:
        self.all: list[tuple[float, str, Observation]] = []
        net.observed.append(lambda name, observation: self.all.append((net.now_s, name, observation)))

    def of(self, kind: type[Observation], path: str) -> list[Any]:
        return [told for _, _, told in self.all if type(told) is kind and told.path == path]  # type: ignore[union-attr]


@contextmanager
def played(folder: Path, made: Mapping[str, Any], places: Mapping[str, str] = FAR, **trouble: Any) -> Iterator[DurableNet]:
    net = DurableNet(folder, made, places, modules={}, **trouble)
    try:
        yield net
        assert [*net.left(), *net.failures] == []
    finally:
        net.close()


@pytest.mark.parametrize("late", ["left", "right"])
def test_an_input_that_comes_after_its_call_is_over_and_the_host_was_killed_is_not_awaited_others_for(tmp_path: Path, late: str) -> None:
    made = matrix(JOINS, {"edges": ["in -> far.left", "in -> far.right"], "deadline": "5s"})
    with played(tmp_path, made) as net:
        seen = Seen(net)
        cut(net, lambda publication: publication.topic == f"em/in/home/work/far/{late}" and net.now_s < 20)
        net.after(1, lambda: net.tell("t/go", 1))
        net.after(10, lambda: net.kill("b"))
        net.after(10, lambda: net.back("b"))
        net.play(30, 120)
    assert [told.outcome for told in seen.of(RunEnded, "home/work")] == [Outcome.FAILED]


def test_that_a_call_is_over_is_not_lost_with_a_message(tmp_path: Path) -> None:
    made = matrix(ASKS, {"edges": ["in -> far"], "deadline": "5s"})
    with played(tmp_path, made) as net:
        seen = Seen(net)
        cut(net, lambda publication: b'"callcancel":true' in publication.payload and net.now_s < 20)
        cut(net, lambda publication: publication.topic.startswith("em/ctl/"))
        net.after(1, lambda: net.tell("t/go", 1))
        net.after(12, lambda: net.kill("b"))
        net.after(13, lambda: net.back("b"))
        net.play(30, 120)
    assert [told.outcome for told in seen.of(RunEnded, "home/work/far")] == [Outcome.CANCELLED]


def test_a_call_is_not_called_off_before_it_is_stored_that_nobody_waits_for_it(tmp_path: Path) -> None:
    made = matrix(ASKS, {"edges": ["in -> far"], "deadline": "5s"})
    with played(tmp_path, made, disk_trouble=DiskTrouble(takes_us=600_000)) as net:
        seen = Seen(net)
        hung_up = [at for at, name, told in seen.all if name == "a" and type(told) is RunEnded]
        net.after(1, lambda: net.tell("t/go", 1))

        def kill(name: str, told: Observation) -> None:
            if name == "a" and type(told) is RunEnded and not hung_up:
                hung_up.append(net.now_s)
                net.at(net.clock.now_us(), lambda: net.kill("a"))
                net.after(20, lambda: net.back("a"))

        net.observed.append(kill)
        net.play(40, 120)
    (stopped,) = [at for at, name, told in seen.all if name == "b" and type(told) is RunEnded]
    assert hung_up[0] < 20 < stopped


def test_an_input_that_cannot_be_sent_calls_off_the_others(tmp_path: Path) -> None:
    deeper = {
        "inputs": {"in": "any"},
        "triggers": {"t": PARALLEL | {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"out": [[["${x.value}"]]]}}]}},
    }
    made = matrix(JOINS, {"edges": ["in -> far.left", "in -> deeper", "deeper -> far.right"]}, deeper=deeper)
    with played(tmp_path, made) as net:
        seen = Seen(net)
        net.after(1, lambda: net.tell("t/go", [[[[["deep"]]]]]))
        net.after(3, lambda: net.kill("b"))
        net.after(4, lambda: net.back("b"))
        net.play(10, 120)
    (ended,) = seen.of(RunEnded, "home/work")
    assert "depth_max, 8" in ended.reason
    assert not seen.of(Fired, "home/work/far")


def test_inputs_of_a_call_that_found_no_room_begin_none(tmp_path: Path) -> None:
    made = matrix(JOINS, {"edges": ["in -> far.left", "in -> far.right"]})
    with played(tmp_path, made) as net:
        seen = Seen(net)
        net.hosts["b"].engine.calls._calls_max = 1
        cut(net, lambda publication: publication.topic == "em/in/home/work/far/right" and net.now_s < 20)
        for at_s, value in ((1, 1), (2, 2)):
            net.after(at_s, lambda value=value: net.tell("t/go", value))
        net.play(30, 120)
    assert sorted(told.outcome for told in seen.of(RunEnded, "home/work")) == [Outcome.DONE, Outcome.FAILED]
    assert any("is over" in told.reason for told in seen.of(Dropped, "home/work/far"))


def test_what_calls_off_another_hosts_call_is_told_and_changes_nothing(tmp_path: Path) -> None:
    made = matrix(ASKS, {"edges": ["in -> far"], "deadline": "30s"})
    with played(tmp_path, made, trouble=Trouble()) as net:
        seen = Seen(net)
        net.after(1, lambda: net.tell("t/go", 1))

        def call_off() -> None:
            (call,) = net.hosts["b"].engine.calls.open.values()
            event = {"specversion": "1.0", "id": "x", "source": "/home/other", "type": "em.in.in", "runid": call.runid}
            net.bus.say("em/in/home/work/far/in", event | {"callinputs": 1, "callcancel": True})

        net.after(5, call_off)
        net.advance(net.clock.now_us() + 10_000_000)
        assert len(net.hosts["b"].engine.calls.open) == 1
        net.play(40, 120)
    assert any("has not called for" in told.reason for told in seen.of(Dropped, "home/work/far"))


def test_it_is_heard_in_order_behind_what_it_calls_off(tmp_path: Path) -> None:
    made = matrix(ASKS, {"edges": ["in -> far"], "deadline": "5s"})
    with played(tmp_path, made) as net:
        heard: list[tuple[int, bool]] = []

        def hear(client_id: str, publication: Publication) -> None:
            if client_id == "em-host-a" and publication.topic == "em/in/home/work/far/in":
                event: Any = decode_value(publication.payload)
                heard.append((event["sequence"], event.get("callcancel", False)))

        net.bus.heard.append(hear)
        net.after(1, lambda: net.tell("t/go", 1))
        net.play(30, 120)
    assert heard == [(1, False), (2, True)]


def test_what_calls_off_a_call_that_was_over_before_a_restart_leaves_nothing(tmp_path: Path) -> None:
    """The end of the call and the word that nobody waits for it cross; whether all of it had come is known no more, and all had."""
    slow = JOINS | {"triggers": {"both": JOINS["triggers"]["both"] | {"do": [{"delay": "4s"}, {"emit": {"out": "${left.value}"}}]}}}
    made = matrix(slow, {"edges": ["in -> far.left", "in -> far.right"], "deadline": "5s"})
    with played(tmp_path, made) as net:
        seen = Seen(net)
        cut(net, lambda publication: publication.topic.startswith("em/out/home/work/far/") and net.now_s < 30)
        cut(net, lambda publication: b'"callcancel":true' in publication.payload and net.now_s < 12)
        net.after(1, lambda: net.tell("t/go", 1))
        net.after(10, lambda: net.kill("b"))
        net.after(10, lambda: net.back("b"))
        net.play(40, 120)
    assert [told.outcome for told in seen.of(RunEnded, "home/work/far")] == [Outcome.DONE]
    assert [told.outcome for told in seen.of(RunEnded, "home/work")] == [Outcome.FAILED]
