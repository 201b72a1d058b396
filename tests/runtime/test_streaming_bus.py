"""Pieces of outputs on a real bus: who gets them, in which order, and what is told of a gap. On memory and on a real broker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import Bus, Ear, OnBus

from edgematrix.runtime.observation import Dropped

WORK = """
from typing import Any
import edgematrix as em

async def write(text: Any, ctx: em.Context) -> str:
    for word in str(text).split():
        await ctx.stream(word)
    return str(text).upper()

async def ask(text: Any, ctx: em.Context) -> Any:
    heard = []
    whole = await ctx.call("writer", text, on_part=lambda part: heard.append([part.value, part.sequence, part.lost]))
    return {"whole": whole, "heard": heard}
"""
HOME = """
matrix: home
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: writer}}
    flow: {edges: [request -> writer]}
    agents: {writer: {python: "streaming_work:write"}}
  spy: {triggers: {g: {on: {p: {topic: "em/part/#"}}, do: [{publish: {topic: t/spied, payload: "${p.value}"}}]}}}
"""
AWAY = """
matrix: home
agents:
  worker: {python: "streaming_work:ask", sends: [writer]}
  writer: {host: away, inputs: {in: text}, outputs: {out: text}}
  frame:
    inputs: {in: text}
    flow: {edges: [in -> inner, inner -> out]}
    outputs: {out: text}
    agents: {inner: {host: away, inputs: {in: text}, outputs: {out: text}}}
"""


@pytest.fixture(autouse=True)
def work(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "streaming_work.py").write_text(WORK)
    yield
    sys.modules.pop("streaming_work", None)


def event(data: object, kind: str, source: str = "/home", **more: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": "1", "source": source, "type": f"em.{kind}", "data": data, **more}


def told(ear: Ear, path: str, port: str = "out") -> list[tuple[int, Any, str]]:
    return [(value["sequence"], value["data"], value["runid"]) for value in ear.on(f"em/part/home/{path}/{port}")]


def test_pieces_of_a_run_that_somebody_elsewhere_asked_for_are_on_the_bus(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOME):
            ear.say("em/in/home/report/request", event("a b c", "in.request", runid="r1"))
            await ear.until(lambda: bool(ear.on("em/out/home/report/summary")))
            assert told(ear, "report", "summary") == [(1, "a", "r1"), (2, "b", "r1"), (3, "c", "r1")]
            (raw, *_) = ear.on("em/part/home/report/summary")
            assert (raw["type"], raw["source"]) == ("em.part.summary", "/home/report")
            assert not any(retained for topic, _, retained in ear.heard if topic.startswith("em/part"))
            assert told(ear, "report/writer") == []  # the flow called it, and nobody watches

    on_bus(test)


def test_pieces_of_what_is_inside_leave_the_host_while_somebody_watches(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOME):
            ear.say("em/op/me/watch/home/report", event({"session": "s1", "newest": 1}, "op.watch"))
            await ear.until(lambda: bool(ear.on("em/reply/pi/me/s1")))
            ear.say("em/in/home/report/request", event("a b", "in.request", runid="r1"))
            await ear.until(lambda: bool(ear.on("em/out/home/report/summary")))
            assert [(sequence, value) for sequence, value, _ in told(ear, "report/writer")] == [(1, "a"), (2, "b")]

    on_bus(test)


def test_no_trigger_sees_a_piece_whatever_it_listens_to(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOME):
            ear.say("em/part/home/other/out", event("x", "part.out", source="/home/other", sequence=1))
            ear.say("em/in/home/report/request", event("a b", "in.request", runid="r1"))
            await ear.until(lambda: bool(ear.on("em/out/home/report/summary")))
            ear.say("test/done", 1)
            await ear.until(lambda: bool(ear.on("test/done")))
            assert ear.on("t/spied") == []

    on_bus(test)


async def writing(ear: Ear, path: str) -> str:
    """The run that an agent elsewhere was called for."""
    topic = f"em/in/home/{path}/in"
    await ear.until(lambda: bool(ear.on(topic)))
    runid: str = ear.on(topic)[0]["runid"]
    return runid


def stream(ear: Ear, path: str, runid: str, *pieces: tuple[int, str]) -> None:
    for sequence, piece in pieces:
        ear.say(f"em/part/home/{path}/out", event(piece, "part.out", source=f"/home/{path}", runid=runid, sequence=sequence), qos=0)


def answer(ear: Ear, path: str, runid: str, value: str) -> None:
    ear.say(f"em/out/home/{path}/out", event(value, "out.out", source=f"/home/{path}", runid=runid))


def test_pieces_from_elsewhere_reach_the_caller_in_order_and_a_gap_is_told(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(AWAY) as (_, observations):
            ear.say("em/in/home/worker/in", event("q", "in.in", runid="r1"))
            runid = await writing(ear, "writer")
            stream(ear, "writer", runid, (1, "a"), (2, "b"), (2, "b"), (5, "e"), (4, "d"))
            stream(ear, "writer", "another", (6, "x"))
            answer(ear, "writer", runid, "whole")
            await ear.until(lambda: bool(ear.on("em/out/home/worker/out")))
            (found,) = ear.on("em/out/home/worker/out")
            assert found["data"] == {"whole": "whole", "heard": [["a", 1, 0], ["b", 2, 0], ["e", 5, 2]]}
            dropped = [seen.reason for seen in observations if isinstance(seen, Dropped)]
            assert dropped == ["piece 2 came after piece 2", "piece 4 came after piece 5"]

    on_bus(test)


def test_a_flow_streams_on_what_its_last_member_streams_elsewhere(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(AWAY):
            ear.say("em/in/home/frame/in", event("q", "in.in", runid="r1"))
            runid = await writing(ear, "frame/inner")
            stream(ear, "frame/inner", runid, (1, "a"), (3, "c"))
            answer(ear, "frame/inner", runid, "whole")
            await ear.until(lambda: bool(ear.on("em/out/home/frame/out")))
            assert told(ear, "frame") == [(1, "a", "r1"), (3, "c", "r1")]  # the gap is seen behind it too

    on_bus(test)
