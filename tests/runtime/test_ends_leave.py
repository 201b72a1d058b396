"""The end of a durable call reaches whoever called, whatever its reason says, and however full the outbox is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from durable_net import DurableNet

from edgematrix.runtime.observation import Outcome, RunEnded

PARALLEL = {"mode": "parallel"}
MEMBERS = r"""
async def long(value: object, context) -> object:
    raise ValueError("x" * 300_000)

async def escaped(value: object, context) -> object:
    raise ValueError("\x01" * 300_000)

async def strange(value: object, context) -> object:
    raise ValueError("what it got: \ud800")

async def switches(value: object, context) -> object:
    return await context.call("/home/lamp.set", value)

class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

async def mute(value: object, context) -> object:
    raise Mute

async def fails(value: object, context) -> object:
    for number in range(40):
        await context.send("/home/sink.in", number)
    raise ValueError("no more")

async def tells(value: object, context) -> object:
    for number in range(40):
        await context.send("/home/sink.in", number)
    return "told"
"""


def ended(folder: Path, kind: str, limits: Mapping[str, int], cut: str = "") -> tuple[list[Any], DurableNet]:
    """How the run of a flow on one host ends whose only member is on another, and what is left then.

    Args:
        cut: what is lost for 30 s of what is published on topics that begin so.
    """
    far = {"python": f"members:{kind}", "sends": ["/home/sink.in"]}
    work = {"flow": {"edges": ["in -> far"]}, "agents": {"far": far}, "triggers": {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}}
    feed = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}
    sink = {"inputs": {"in": "any"}, "triggers": {"g": PARALLEL | {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"seen": 1}}]}}}
    agents = {"feed": feed, "work": work, "sink": sink}
    matrix = {"matrix": "home", "limits": limits, "defaults": {"delivery": "durable"}, "agents": agents}
    net = DurableNet(folder, matrix, {"home/work": "a", "home/work/far": "b"}, modules={"members": MEMBERS})
    found: list[Any] = []
    net.observed.append(lambda name, told: found.append(told) if type(told) is RunEnded and told.path == "home/work" else None)
    if cut:
        route = net.bus._route

        def routed(publication: Any, publisher: Any = None) -> None:
            if net.now_s > 30 or not publication.topic.startswith(cut):
                route(publication, publisher)

        net.bus._route = routed  # type: ignore[method-assign]
    try:
        net.after(1, lambda: net.tell("t/go", 1))
        net.play(40, 200)
        assert [*net.left(), *net.failures] == []
    finally:
        net.close()
    return found, net


@pytest.mark.parametrize(("kind", "why"), [("long", "x" * 1_000), ("escaped", "\x01" * 1_000), ("strange", "what it got: \\ud800")])
def test_whatever_the_error_says(tmp_path: Path, kind: str, why: str) -> None:
    (told,), _ = ended(tmp_path, kind, {})
    assert told.outcome is Outcome.FAILED
    assert why in told.reason


@pytest.mark.parametrize("kind", ["fails", "tells"])
def test_whatever_waits_in_the_outbox(tmp_path: Path, kind: str) -> None:
    """What finds no room is a dead letter, the answer too; but that there is none is told."""
    (told,), net = ended(tmp_path, kind, {"outbox_durable_max": 4}, cut="em/in/home/sink")
    assert told.outcome is Outcome.FAILED
    told_of = {"em/in/home/sink/in"} | ({"em/out/home/work/far/out"} if kind == "tells" else set())
    assert {letter.topic for letter in net.unsent()} == told_of


def test_an_error_that_cannot_say_what_it_is(tmp_path: Path) -> None:
    (told,), _ = ended(tmp_path, "mute", {})
    assert told.reason == "far: Mute, which does not say why"


def test_whatever_the_error_says_its_port_takes_it(tmp_path: Path) -> None:
    """A text that has no UTF-8 form could not leave the host, and whoever reads the port `error` would never hear of the failure."""
    work = {"flow": {"edges": ["in -> far"]}, "agents": {"far": {"python": "members:strange"}}}
    work["triggers"] = {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}
    feed = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}
    sink = {
        "triggers": {
            "g": PARALLEL | {"on": {"x": {"from": "work.error"}}, "do": [{"publish": {"topic": "t/seen", "payload": "${x.value.reason}"}}]}
        }
    }
    matrix = {"matrix": "home", "defaults": {"delivery": "durable"}, "agents": {"feed": feed, "work": work, "sink": sink}}
    net = DurableNet(tmp_path, matrix, {"home/work": "a"}, modules={"members": MEMBERS})
    try:
        net.after(1, lambda: net.tell("t/go", 1))
        net.play(10, 200)
        assert list(net.foreign) == ['["t/seen", "ValueError: what it got: \\\\ud800"]']
        assert [*net.left(), *net.failures] == []
    finally:
        net.close()


def test_a_command_that_comes_too_late_is_told_to_whoever_called(tmp_path: Path) -> None:
    """A device takes no stale command, and its host was down; a durable caller waits until that is back."""
    go = {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}
    work = {"python": "members:switches", "sends": ["/home/lamp.set"], "inputs": {"in": "any"}, "triggers": go}
    feed = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}
    lamp = {"device": {"writes": {"set": {"topic": "z/lamp/set"}}}}
    matrix = {"matrix": "home", "defaults": {"delivery": "durable"}, "agents": {"feed": feed, "work": work, "lamp": lamp}}
    net = DurableNet(tmp_path, matrix, {"home/work": "a", "home/lamp": "b"}, modules={"members": MEMBERS})
    found: list[Any] = []
    net.observed.append(lambda name, told: found.append(told) if type(told) is RunEnded and told.path == "home/work" else None)
    try:
        net.after(0.5, lambda: net.kill("b"))
        net.after(1, lambda: net.tell("t/go", "ON"))
        net.after(60, lambda: net.back("b"))
        net.play(80, 200)
        assert [*net.left(), *net.failures] == []
    finally:
        net.close()
    (told,) = found
    assert "it came too late: its expirytime has passed" in told.reason
    assert net.foreign == {}
    assert [(host, letter.topic) for _, host, letter in net.letters] == [("a", "em/run/home/work")]
