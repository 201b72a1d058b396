"""The newest runs of a host: kept within bounds, told whole, with what they called."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from bus_fixtures import Bus, Ear, open_bus
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.abridgement import abridged, extent
from edgematrix.runtime.account import account_of
from edgematrix.runtime.compactor import KEPT_LENGTH_MAX, Compactor
from edgematrix.runtime.observation import DeadLettered, Emitted, Fired, Noted, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.runtime.run_account import parts_of, summary_of, works_of
from edgematrix.runtime.run_index import EACH_MAX, KEPT_MAX, RunIndex
from edgematrix.triggers import Firing, Reading

HOUSE = """
matrix: home
agents:
  choose:
    switch: {cases: [{when: "size > 3", to: big}], default: small}
    agents:
      big:
        inputs: {in: {type: object}}
        triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "big ${w.value.size}"}}]}}
      small:
        inputs: {in: {type: object}}
        triggers: {go: {on: {w: {from: self.in}}, mode: parallel, do: [{delay: 1h}, {emit: {out: "late"}}]}}
  rule:
    triggers: {ask: {on: {t: {topic: t/size}}, do: [{call: {agent: choose, payload: {size: "${t.value}"}}}, {emit: {out: "${result}"}}]}}
"""


def fired(runid: str, path: str = "home/f", at_us: int = 0, value: object = 1) -> Fired:
    sources = {"in": Reading(value, value, "em/in/home/f/in", 0)}
    return Fired(at_us, AgentPath(path), "work", 1, Firing("work", None, sources), runid)


def ended(runid: str, path: str = "home/f", at_us: int = 9, outcome: Outcome = Outcome.DONE) -> RunEnded:
    return RunEnded(at_us, AgentPath(path), "work", 1, outcome, "", runid)


def began(runid: str, step: int, called: str, at_us: int = 1) -> StepBegan:
    return StepBegan(at_us, AgentPath("home/f"), runid, step, "home/f/m", called, (("in", 1),))


def over(runid: str, step: int, at_us: int = 2) -> StepEnded:
    return StepEnded(at_us, AgentPath("home/f"), runid, step, Outcome.DONE, {"out": 2})


def silent(path: str, runid: str) -> str:
    return f"{path} {runid}"


def of(index: RunIndex, runid: str) -> list[dict[str, Any]]:
    record = index.record(runid)
    assert record is not None
    return works_of(record, runid, silent, 0)


def test_a_run_is_told_with_its_steps_and_what_they_called() -> None:
    index = RunIndex()
    for seen in (
        fired("a"),
        began("a", 1, "b"),
        fired("b", "home/f/m", 1),
        Noted(2, AgentPath("home/f"), "a", "waits"),
        ended("b", "home/f/m", 2),
        over("a", 1, 3),
        Emitted(4, AgentPath("home/f"), "a", "out", 2),
        ended("a", at_us=5),
    ):
        index.take(seen)

    flow, member = of(index, "a")

    assert (flow["path"], flow["parent"], flow["state"], flow["took_us"], flow["outputs"]) == ("home/f", None, "done", 5, {"out": 2})
    assert [(step["step"], step["member"], step["called"], step["took_us"]) for step in flow["steps"]] == [(1, "home/f/m", "b", 2)]
    assert (flow["steps"][0]["inputs"], flow["steps"][0]["outputs"]) == ({"in": 1}, {"out": 2})
    assert [note["text"] for note in flow["notes"]] == ["waits"]
    assert (member["path"], member["parent"], member["state"]) == ("home/f/m", "a", "done")
    assert [work["path"] for work in of(index, "b")] == ["home/f/m"]  # what was called can be asked about too


def test_what_is_under_way_says_what_it_waits_for() -> None:
    index = RunIndex()
    index.take(fired("a"))
    index.take(began("a", 1, "b"))

    (flow,) = of(index, "a")

    assert (flow["state"], flow["took_us"], flow["waits_for"]) == ("under way", None, "home/f a")
    assert flow["steps"][0]["state"] == "under way"


def test_the_oldest_runs_go_first_with_all_that_they_called() -> None:
    index = RunIndex(runs_max=2)
    for runid in ("a", "b", "c"):
        index.take(fired(runid))
        index.take(began(runid, 1, f"{runid}1"))
        index.take(fired(f"{runid}1", "home/f/m"))

    assert len(index) == 2
    assert index.record("a") is None
    assert index.record("a1") is None
    assert [record.runid for record in index.roots()] == ["c", "b"]
    assert index.forgotten_count == 1
    index.take(over("a", 1))  # what is still told of it makes no new run
    assert index.record("a") is None


def test_a_run_that_is_too_long_tells_how_much_is_left_out_and_how_it_ended() -> None:
    index = RunIndex()
    index.take(fired("a"))
    for step in range(EACH_MAX):
        index.take(began("a", step, f"c{step}"))
        index.take(fired(f"c{step}", "home/f/m"))
        index.take(ended(f"c{step}", "home/f/m"))
        index.take(over("a", step))
    index.take(ended("a", at_us=77, outcome=Outcome.FAILED))

    (record,) = index.roots()
    summary = summary_of(record, 0)
    works = of(index, "a")

    assert len(index) == 1  # no step that is left out has become a run of its own
    assert len(record.seen) == EACH_MAX
    assert (summary["state"], summary["took_us"], summary["left_out"]) == ("failed", 77, 3 * EACH_MAX + 1)
    assert works[0]["left_out"] == 3 * EACH_MAX + 1
    assert works[0]["state"] == "failed"
    states = [step["state"] for step in works[0]["steps"]]
    assert states == ["done"] * (EACH_MAX // 4 - 1) + ["unknown"]  # the end of the last one that is kept is not


def test_all_runs_together_are_bounded() -> None:
    index = RunIndex()
    for run in range(50):
        index.take(fired(f"r{run}"))
        for step in range(500):
            index.take(began(f"r{run}", step, f"r{run}-{step}"))
            index.take(over(f"r{run}", step))

    assert sum(len(record.seen) for record in index.roots()) <= KEPT_MAX
    assert index.forgotten_count > 0
    assert next(index.roots()).runid == "r49"


def test_a_large_value_is_kept_as_the_beginning_of_its_text() -> None:
    compact = Compactor()
    large = {"text": "x" * 100_000}

    kept = compact(StepBegan(1, AgentPath("home/f"), "a", 1, "home/f/m", "b", (("in", large),)))
    small = compact(fired("a", value={"n": 1}))

    assert isinstance(kept, StepBegan)
    assert isinstance(kept.inputs[0][1], str)
    assert len(kept.inputs[0][1]) <= KEPT_LENGTH_MAX
    assert kept.inputs[0][1].startswith('{"text":"xxx')
    assert isinstance(small, Fired)
    assert small.firing.sources["in"] == Reading({"n": 1}, {"n": 1}, "em/in/home/f/in", 0)
    seen = fired("a")
    assert compact(seen) is seen  # no copy of what is small


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)


@given(value=JSON, bound=st.integers(10, 300))
def test_nothing_that_is_kept_is_much_longer_than_the_bound(value: object, bound: int) -> None:
    kept = abridged(value, bound)

    if kept is value and not isinstance(value, (int, float)):
        assert extent(value, bound) <= bound or isinstance(value, str)
    elif isinstance(kept, str):
        assert len(kept) <= bound


def list_of(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_parts_hold_each_step_once_and_keep_to_the_size(sizes: list[int]) -> None:
    works: list[dict[str, Any]] = [
        {"run": str(number), "notes": [], "steps": [{"step": step, "text": "y" * 30} for step in range(size)]}
        for number, size in enumerate(sizes)
    ]

    parts = list(parts_of(works, lambda value: len(json.dumps(value)), 400))

    found = [(work["run"], step["step"]) for part in parts for work in part for step in list_of(work["steps"])]
    assert found == [(str(number), step) for number, size in enumerate(sizes) for step in range(size)]
    assert {work["run"] for part in parts for work in part} == {str(number) for number in range(len(sizes))}
    assert all(len(json.dumps(part)) <= 500 for part in parts)


# Over the bus


def on_bus(tmp_path: Any, test: Callable[[Bus, Ear], Any]) -> None:
    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus, bus.ear() as ear, bus.host(HOUSE):
            await test(bus, ear)

    asyncio.run(main())


def ask(ear: Ear, session: str, path: str = "home", **asked: object) -> None:
    data = {"session": session, "follow": False, **asked}
    event = {"specversion": "1.0", "id": "1", "source": "/operator", "type": "em.op.watch", "data": data}
    ear.say(f"em/op/me/watch/{path}", event)


async def answer(ear: Ear, session: str) -> list[dict[str, Any]]:
    topic = f"em/reply/pi/me/{session}"
    await ear.until(lambda: any(value["data"]["last"] for value in ear.on(topic)))
    return [value["data"] for value in ear.on(topic)]


async def runs(ear: Ear, session: str, **asked: Any) -> list[dict[str, Any]]:
    ask(ear, session, **asked)
    return [run for part in await answer(ear, session) for run in part["runs"]]


def test_a_host_lists_its_runs_and_tells_each(tmp_path: Any) -> None:
    async def test(_: Bus, ear: Ear) -> None:
        ear.say("t/size", 7)
        await ear.until(lambda: bool(ear.on("em/out/home/rule/out")))
        (run,) = await runs(ear, "s1", runs=10)
        assert (run["path"], run["state"], run["steps"]) == ("home/rule", "done", 2)

        ask(ear, "s2", run=run["run"][:13])
        (part,) = await answer(ear, "s2")
        rule, switch, big = part["run"]["works"]

        assert part["run"]["id"] == run["run"]
        assert rule["steps"][0]["called"] == switch["run"]
        assert rule["outputs"] == {"out": "big 7"}
        assert switch["steps"][0]["called"] == big["run"]
        assert (big["path"], big["parent"], big["state"]) == ("home/choose/big", switch["run"], "done")

        assert await runs(ear, "s3", path="home/choose", runs=10) == []  # it began elsewhere

    on_bus(tmp_path, test)


def test_a_run_that_waits_says_for_what(tmp_path: Any) -> None:
    async def test(_: Bus, ear: Ear) -> None:
        ear.say("t/size", 1)
        (run,) = await runs(ear, "s1", runs=1)
        ask(ear, "s2", run=run["run"])
        (part,) = await answer(ear, "s2")
        waits = {work["path"]: work["waits_for"] for work in part["run"]["works"]}
        assert waits["home/rule"] == "the answer of home/choose"
        assert waits["home/choose"] == "`small`, whose case holds"
        assert waits["home/choose/small"] == "the end of a delay"

    on_bus(tmp_path, test)


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ("01234567", "no run 01234567 is kept here"),
        ("0", "no run 0 is kept here"),
    ],
)
def test_a_run_that_is_not_kept_is_refused(tmp_path: Any, asked: str, refusal: str) -> None:
    async def test(_: Bus, ear: Ear) -> None:
        ask(ear, "s1", run=asked)
        (part,) = await answer(ear, "s1")
        assert part["refused"] == refusal
        assert "--runs" in part["remedy"]

    on_bus(tmp_path, test)


def test_a_beginning_that_several_runs_have_is_refused_with_their_ids(tmp_path: Any) -> None:
    async def test(_: Bus, ear: Ear) -> None:
        for size in (7, 8):
            ear.say("t/size", size)
        await ear.until(lambda: len(ear.on("em/out/home/rule/out")) == 2)
        newest, oldest = await runs(ear, "s1", runs=10)
        ask(ear, "s2", run=newest["run"][:8])
        (part,) = await answer(ear, "s2")
        assert part["refused"].startswith("2 runs begin with")
        assert newest["run"] in part["refused"]
        assert oldest["run"] in part["refused"]

        ask(ear, "s3", run=[newest["run"], oldest["run"], "nobody"])
        (part,) = await answer(ear, "s3")
        assert {work["run"] for work in part["run"]["works"] if work["path"] == "home/rule"} == {newest["run"], oldest["run"]}

    on_bus(tmp_path, test)


def test_agents_that_trigger_one_another_are_named_in_the_trace(play: Any) -> None:
    ring = """
matrix: home
agents:
  start: {triggers: {g: {on: {t: {topic: t/go}}, do: [{emit: {out: 1}}]}}}
  ping: {triggers: {g: {on: {s: {from: start}, p: {from: pong}}, need: any, do: [{emit: {out: 1}}]}}}
  pong: {triggers: {g: {on: {p: {from: ping}}, do: [{emit: {out: 1}}]}}}
"""
    (letter,) = play(ring, [(0, "t/go", 1)]).of(DeadLettered)

    text = str(account_of(letter)["text"])

    assert "hops_max is 32: agents trigger one another, " in text
    assert "out/home/ping/out -> out/home/pong/out -> out/home/ping/out" in text or (
        "out/home/pong/out -> out/home/ping/out -> out/home/pong/out" in text
    )
