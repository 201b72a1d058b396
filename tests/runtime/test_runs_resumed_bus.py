"""Runs of a host that is stopped, and started again with its store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bus_fixtures import open_bus

MATRIX = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> a, in -> b, "a, b -> c"]}
    agents:
      a: {python: "steps:calls", agents: {oracle: {human: {ask: "Well?", timeout: 1h, answers: t/answer}}}}
      b: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}, s: {topic: t/sensor}}, do: [{emit: {out: "${s.value}"}}]}}}
      c: {python: "steps:both"}
  told: {triggers: {t: {on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}", qos: 1}}]}}}
"""
STEPS = """
async def calls(value: object, context) -> object:
    await context.publish("t/said", value, qos=1)
    answer = await context.call("/home/work/a/oracle.in", value)
    await context.publish("t/said", answer["answer"], qos=1)
    return answer["answer"]

def both(value: object, context) -> object:
    return value
"""
SLOW_TO_END = """
import asyncio

async def calls(value: object, context) -> object:
    await context.publish("t/said", value, qos=1)
    try:
        answer = await context.call("/home/work/a/oracle.in", value)
    except asyncio.CancelledError:
        await asyncio.sleep(0.3)  # a host that is not stopping would have written by then
        try:
            await context.publish("t/said", "bye", qos=1)
        except Exception:
            return "given up"
    await context.publish("t/said", answer["answer"], qos=1)
    return answer["answer"]

def both(value: object, context) -> object:
    return value
"""


@pytest.mark.parametrize("steps", [STEPS, SLOW_TO_END], ids=["at once", "slow to end"])
def test_a_run_goes_on_when_its_host_was_stopped(tmp_path: Path, steps: str) -> None:
    """Whatever its code does when it is cancelled for that."""
    (tmp_path / "steps.py").write_text(steps)

    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus, bus.ear() as ear:
            async with bus.host(MATRIX, store=True):
                ear.say("t/go", 7)
                await ear.until(lambda: bool(ear.on("em/out/home/work/a/oracle/ask")))
            async with bus.host(MATRIX, store=True):
                ear.say("t/answer", "yes")
                await ear.until(lambda: len(ear.on("t/said")) > 1)
            async with bus.host(MATRIX, store=True):
                ear.say("t/sensor", 3)
                await ear.until(lambda: bool(ear.on("t/out")))
            assert ear.on("t/said") == [7, "yes"]
            assert len(ear.on("em/out/home/work/a/oracle/ask")) == 1
            assert ear.on("t/out") == [{"a": "yes", "b": 3}]
            async with bus.host(MATRIX, store=True) as (host, _):
                assert [run for holders in host.engine.holders.values() for holder in holders for run in holder.runs()] == []

    asyncio.run(main())
