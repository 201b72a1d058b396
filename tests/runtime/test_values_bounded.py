"""What agents put out, send and call with grows no deeper, and to no more values, than any event may have, in memory too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from durable_net import DurableNet

from edgematrix.errors import ConfigError
from edgematrix.protocol.nesting import outgrows
from edgematrix.runtime.observation import Observation, RunEnded

PARALLEL = {"mode": "parallel"}
MEMBERS = """
class Odd:
    pass

async def odd(value: object, context) -> object:
    return Odd()

def ring(value: object, context) -> object:
    found: list = []
    found.append(found)
    return found

def deep(value: object, context) -> object:
    for _ in range(3_000):
        value = [value]
    return value

async def publishes(value: object, context) -> object:
    await context.publish("t/deep", deep(value, context))
    return 1

async def emits(value: object, context) -> object:
    await context.emit("out", Odd())

async def half(value: object, context) -> object:
    return {"a": ["\\ud800"]}

async def asks(value: object, context) -> object:
    return await context.call("/home/sink.in", Odd())

async def streams(value: object, context) -> object:
    await context.stream(Odd())
    return 1

async def spells(value: object, context) -> object:
    await context.publish("t/deep", "[" * 40 + "]" * 40)
    return 1

async def sends(value: object, context) -> object:
    await context.send("/home/sink.in", nested())
    return 1

async def calls(value: object, context) -> object:
    return await context.call("/home/sink.in", nested())

def nested():
    value = 1
    for _ in range(40):
        value = [value]
    return value
"""


def played(
    folder: Path, far: Mapping[str, Any], flow: Mapping[str, Any], places: Mapping[str, str], given: object = 1, **limits: int
) -> DurableNet:
    """A flow with one member on host `a`, killed a while after it was begun; nothing is left, and nothing has raised."""
    feed = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}}
    work = {"flow": flow, "agents": {"far": far}, "triggers": {"go": PARALLEL | {"on": {"in": {"from": "feed.o"}}}}}
    sink = {"inputs": {"in": "any"}, "triggers": {"g": PARALLEL | {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"out": 1}}]}}}
    ear = {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/deep"}}, "do": [{"emit": {"seen": 1}}]}}}
    errors = {
        "triggers": {
            "g": PARALLEL | {"on": {"x": {"from": "work.error"}}, "do": [{"publish": {"topic": "t/why", "payload": "${x.value.reason}"}}]}
        }
    }
    agents = {"feed": feed, "work": work, "sink": sink, "ear": ear, "errors": errors}
    matrix = {"matrix": "home", "limits": limits, "defaults": {"delivery": "durable"}, "agents": agents}
    net = DurableNet(folder, matrix, places, modules={"members": MEMBERS})
    ends: list[Observation] = []
    net.observed.append(lambda name, told: ends.append(told) if type(told) is RunEnded and told.path == "home/work" else None)
    try:
        net.after(1, lambda: net.tell("t/go", given))
        net.after(2, lambda: net.kill("a"))
        net.after(3, lambda: net.back("a"))
        net.play(10, 120)
        assert [*net.left(), *net.failures] == []
        assert len(ends) == 1
    finally:
        net.close()
    return net


def wrapping(levels: int) -> dict[str, Any]:
    value: object = "${x.value}"
    for _ in range(levels):
        value = {"a": value}
    return {"inputs": {"in": "any"}, "triggers": {"t": PARALLEL | {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"out": value}}]}}}


@pytest.mark.parametrize("far_on", ["a", "b"])
def test_what_grows_in_a_loop_fails_the_run_wherever_its_member_is(tmp_path: Path, far_on: str) -> None:
    flow = {"edges": ["in -> far", {"from": "far", "to": "far", "when": "true", "loop": True}], "max_steps": 3_000}
    net = played(tmp_path, wrapping(1), flow, {"home/work": "a", "home/work/far": far_on})
    (why,) = net.foreign
    assert "nests deeper than depth_max, 32" in why


@pytest.mark.parametrize("far_on", ["a", "b"])
def test_what_multiplies_in_a_loop_fails_the_run_before_it_fills_the_memory(tmp_path: Path, far_on: str) -> None:
    flow = {"edges": ["in -> far", {"from": "far", "to": "far", "when": "true", "loop": True}], "max_steps": 3_000}
    eight = {"emit": {"out": ["${x.value}"] * 8}}
    far = {"inputs": {"in": "any"}, "triggers": {"t": PARALLEL | {"on": {"x": {"from": "self.in"}}, "do": [eight]}}}
    net = played(tmp_path, far, flow, {"home/work": "a", "home/work/far": far_on}, payload_bytes_max=8_000)
    (why,) = net.foreign
    assert ("holds more values than payload_bytes_max, 8000" if far_on == "a" else "payload_bytes_max") in why


def test_the_deepest_value_that_may_leave_goes_all_the_way(tmp_path: Path) -> None:
    """The event that it is in is one level more; of the failure that tells it, what it was given is left out."""
    deepest: object = 1
    for _ in range(31):
        deepest = [deepest]
    net = played(tmp_path, wrapping(1), {"edges": ["in -> far"]}, {"home/work": "a", "home/work/far": "b"}, deepest)
    (why,) = net.foreign
    assert "nests deeper than depth_max, 32" in why
    assert [letter.topic for _, _, letter in net.letters] == ["em/run/home/work"]


CODE = [
    ("odd", "the result has no JSON form"),
    ("ring", "the result has no JSON form"),
    ("deep", "the result has no JSON form"),
    ("half", "no JSON form"),
    ("publishes", "a value of type list has no JSON form"),
    ("emits", "a value of type Odd has no JSON form"),
    ("asks", "a value of type Odd has no JSON form"),
    ("streams", "a value of type Odd has no JSON form"),
    ("calls", "nests deeper than depth_max, 32"),
]


@pytest.mark.parametrize(("kind", "why"), CODE)
@pytest.mark.parametrize("far_on", ["a", "b"])
def test_code_whose_value_has_no_json_form_fails_its_run_alone(tmp_path: Path, kind: str, why: str, far_on: str) -> None:
    far = {"python": f"members:{kind}", "sends": ["/home/sink.in"]}
    net = played(tmp_path, far, {"edges": ["in -> far"]}, {"home/work": "a", "home/work/far": far_on})
    (told,) = net.foreign
    assert why in told


LETTERS = [
    ("spells", "t/deep", "nests deeper than depth_max, 32"),
    ("sends", "em/in/home/sink/in", "nests deeper than depth_max, 32"),
]


@pytest.mark.parametrize(("kind", "topic", "why"), LETTERS)
def test_what_code_publishes_or_sends_and_nests_too_deeply_is_a_dead_letter(tmp_path: Path, kind: str, topic: str, why: str) -> None:
    far = {"python": f"members:{kind}", "sends": ["/home/sink.in"]}
    net = played(tmp_path, far, {"edges": ["in -> far"]}, {"home/work": "a"})
    ((_, _, letter),) = net.letters
    assert letter.topic == topic
    assert why in letter.reason


def test_how_deep_a_payload_may_nest_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="depth_max is at most 100, found 101"):
        DurableNet(tmp_path, {"matrix": "home", "limits": {"depth_max": 101}, "agents": {}}, {}, modules={})


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ([], 1), ({}, 1), ([1, [2], 3], 2), ({"a": {"b": [1]}}, 3), ((((),),), 3), ("[[[", 0)]
)
def test_levels_are_counted(value: object, levels: int) -> None:
    assert not outgrows(value, levels, 10)
    assert levels == 0 or outgrows(value, levels - 1, 10) == "depth"


@pytest.mark.parametrize(("value", "parts"), [(1, 0), ([], 0), ([1, 2], 2), ({"a": 1, "b": [1, 2]}, 4), ([[[]]], 2), ("[1, 2]", 0)])
def test_parts_are_counted(value: object, parts: int) -> None:
    assert not outgrows(value, 10, parts)
    assert parts == 0 or outgrows(value, 10, parts - 1) == "parts"
