"""Hosts that each run a part of one matrix call one another, in memory and on a real broker."""

from __future__ import annotations

from collections.abc import Mapping

from bus_fixtures import Bus, Ear, OnBus

from edgematrix.protocol.path import AgentPath

CODE = """
import asyncio

async def work(value: object, context) -> object:
    if value == "fail":
        raise ValueError("no way")
    if value == "slow":
        await asyncio.sleep(30)
    return None if value == "none" else {"got": value}

async def both(value: object, context) -> object:
    return value
"""
MATRIX = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far, far -> deep, deep -> last]}
    delivery: %s
    agents:
      far: {python: "code:work"}
      deep: {flow: {edges: [in -> inner]}, agents: {inner: {python: "code:both"}}}
      last: {python: "code:both"}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
HOSTS: Mapping[AgentPath, str] = {
    AgentPath(path): host
    for path, host in {
        "home/work": "a",
        "home/work/far": "b",
        "home/work/deep": "b",
        "home/work/deep/inner": "a",
        "home/work/last": "c",
        "home/told": "c",
    }.items()
}


def prepared(bus: Bus, delivery: str) -> str:
    (bus.folder / "code.py").write_text(CODE)
    return MATRIX % delivery


async def all_there(ear: Ear, *paths: str) -> None:
    await ear.until(lambda: all(any(state["status"] == "ready" for state in ear.on(f"em/state/{path}") if state) for path in paths))


def ends(ear: Ear) -> list[tuple[str, str]]:
    return [(topic[len("em/out/") : -len("/_end")], said["data"]["outcome"]) for topic, said, _ in ear.heard if topic.endswith("/_end")]


def test_three_hosts_give_outputs_nothing_and_failures(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        matrix = prepared(bus, "best_effort")
        async with (
            bus.ear() as ear,
            bus.host(matrix, name="b", hosts=HOSTS) as (b, _),
            bus.host(matrix, name="c", hosts=HOSTS) as (c, _),
            bus.host(matrix, name="a", hosts=HOSTS) as (a, _),
        ):
            await all_there(ear, *HOSTS)
            ear.say("t/go", 5)
            await ear.until(lambda: bool(ear.on("t/out")))
            ear.say("t/go", "none")
            ear.say("t/go", "fail")
            await ear.until(lambda: bool(ear.on("t/error")))
            assert ear.on("t/out") == [{"got": 5}]
            assert ear.on("t/error") == ["ValueError: no way"]
            await ear.until(lambda: len(ends(ear)) == 6)
            assert sorted(ends(ear)) == [
                ("home/work/deep", "done"),
                ("home/work/deep/inner", "done"),
                ("home/work/far", "done"),
                ("home/work/far", "done"),
                ("home/work/far", "failed"),
                ("home/work/last", "done"),
            ]
            assert not any(host.engine.calls.open for host in (a, b, c))

    on_bus(test)


def test_a_host_that_goes_fails_what_it_works_on(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        matrix = prepared(bus, "best_effort")
        async with bus.ear() as ear, bus.host(matrix, name="a", hosts=HOSTS) as (a, _), bus.host(matrix, name="c", hosts=HOSTS):
            async with bus.host(matrix, name="b", hosts=HOSTS):
                await all_there(ear, *HOSTS)
                ear.say("t/go", "slow")
                await ear.until(lambda: bool(ear.on("em/in/home/work/far/in")))
            await ear.until(lambda: bool(ear.on("t/error")))
            assert ear.on("t/error") == ["its host b is offline"]
            assert not a.engine.calls.open

    on_bus(test)


def test_work_for_a_durable_member_waits_until_its_host_is_back(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        matrix = prepared(bus, "durable")
        async with (
            bus.ear() as ear,
            bus.host(matrix, name="a", hosts=HOSTS, store=True) as (a, _),
            bus.host(matrix, name="c", hosts=HOSTS, store=True),
        ):
            async with bus.host(matrix, name="b", hosts=HOSTS, store=True):
                await all_there(ear, *HOSTS)
                ear.say("t/go", 4)
                await ear.until(lambda: bool(ear.on("t/out")))
            await ear.until(lambda: ear.on("em/host/b")[-1]["status"] == "offline")
            ear.say("t/go", 5)
            await ear.until(lambda: ear.say("test/look", 1) is not None or bool(a.engine.calls.open))  # it looks at all it hears
            async with bus.host(matrix, name="b", hosts=HOSTS, store=True):
                await ear.until(lambda: len(ear.on("t/out")) == 2)
                assert ear.on("t/out") == [{"got": 4}, {"got": 5}]
                assert ear.on("t/error") == []

    on_bus(test)
