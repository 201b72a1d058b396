"""What a hop from agent to agent costs in a composition, without a model, beside awaited functions and bare paho.

    python -m benchmarks composition             # everything, about a minute

A hop is one step: the member is called with a value, the value is validated, its coroutine runs, what it returns is validated,
and the composition decides what comes next. The host is a whole one: session, alarm, tracer with all steps of the newest runs.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.composed.members import Item
from benchmarks.composed.members import step as plain_step
from benchmarks.composed.two_hosts import round_trips
from edgematrix.config.build import build
from edgematrix.config.opening import open_matrix
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.engine import Hits
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.workshop import Workshop
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.settings import Settings

__all__ = ["main"]

_ROUNDS = 5
_RUNS = 100
_WAITING = 10_000
_LOOP_US = 1_000_000
_MEMBERS = "benchmarks.composed.members"


def _members(names: list[str], function: str) -> str:
    return "\n".join(f"      {name}: {{python: '{_MEMBERS}:{function}'}}" for name in names)


_CHAIN = [f"s{number}" for number in range(10)]
_MATRIX = f"""
matrix: home
limits: {{cascade_max: 1000000, runs_max: 20000}}
agents:
  chain:
    flow: {{edges: ["in -> {" -> ".join(_CHAIN)}"]}}
    agents:
{_members(_CHAIN, "step")}
  fan:
    flow: {{edges: ["in -> {", ".join(_CHAIN)}", "{", ".join(_CHAIN)} -> all"]}}
    agents:
{_members(_CHAIN, "step")}
      all: {{python: '{_MEMBERS}:join'}}
  ring:
    outputs: {{out: {{from: check}}}}
    flow: {{edges: ["in -> work -> check", {{from: check, to: work, when: "number < 100"}}], max_steps: 1000}}
    agents:
      work: {{python: '{_MEMBERS}:again'}}
      check: {{python: '{_MEMBERS}:step'}}
  talk:
    chat: {{members: [a, b, c], max_turns: 300}}
    agents:
{_members(["a", "b", "c"], "speak")}
  slow:
    flow: {{edges: [in -> s -> w]}}
    agents:
      s: {{python: '{_MEMBERS}:step'}}
      w: {{python: '{_MEMBERS}:wait'}}
"""


def main() -> None:
    """Measure and print."""
    asyncio.run(_measure())
    with tempfile.TemporaryDirectory() as name:
        round_trips(Path(name))


async def _measure() -> None:
    floor_us = min([await _awaited() for _ in range(_ROUNDS)])
    print(f"{'inside one host, a hop':52} {'us':>8} {'x awaited':>10}")
    _show("awaited functions, a chain of 10", floor_us, floor_us)
    async with _host() as engine_host:
        for what, path, hops, runs in (
            ("a chain of 10, one run after another (aim 30)", "chain", 10, 1),
            (f"a chain of 10, {_RUNS} runs at once", "chain", 10, _RUNS),
            ("fan-out to 10, and a join", "fan", 11, 1),
            ("a loop of 50 rounds of two steps", "ring", 100, 1),
            ("a chat of 3, 300 turns", "talk", 300, 1),
        ):
            await _hop_us(engine_host, path, hops, runs)
            cost_us = min([await _hop_us(engine_host, path, hops, runs) for _ in range(_ROUNDS)])
            _show(what, cost_us, floor_us)
        await _weigh(engine_host)


def _show(what: str, cost_us: float, floor_us: float) -> None:
    print(f"{what:52} {cost_us:8.2f} {cost_us / floor_us:10.0f}")


async def _awaited() -> float:
    """The same functions without anything between them."""
    rounds = 2_000
    began = time.process_time()
    for _ in range(rounds):
        item = Item(number=0)
        for _ in _CHAIN:
            item = await plain_step(item, None)  # type: ignore[arg-type]  # the function does not look at it
    return (time.process_time() - began) / rounds / len(_CHAIN) * _LOOP_US


class _Counter:
    """Hears the ends of runs."""

    agent = AgentPath("home")

    def __init__(self) -> None:
        self.left = 0
        self.done = asyncio.Event()

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - a listener's signature
        """Count one."""
        self.left -= 1
        if self.left <= 0:
            self.done.set()


class _Bench:
    """A host that runs, and who starts runs in it."""

    def __init__(self, host: Host, clock: SystemClock) -> None:
        self.host = host
        self.clock = clock
        self.counters: dict[str, _Counter] = {}
        for path in ("chain", "fan", "ring", "talk"):
            counter = self.counters[path] = _Counter()
            host.engine.listen(TopicFilter.parse(f"em/out/home/{path}/out"), counter)

    def start(self, path: str, number: int) -> None:
        """Begin a run."""
        now_us = self.clock.now_us()
        self.host.engine.send(AgentPath("home"), AgentPath(f"home/{path}"), "in", {"number": number}, NO_TRAIL, now_us)

    async def until_waiting(self, number: int) -> None:
        """Let the event loop turn until so many runs wait; each turn begins what is ready."""
        for _ in range(number):
            waiting = sum(1 for call in self.host.engine.calls.open.values() if call.receiver.endswith("/w"))
            if waiting >= number:
                return
            await asyncio.sleep(0)
        raise TimeoutError("the runs do not come to wait")


@asynccontextmanager
async def _host() -> AsyncIterator[_Bench]:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "matrix.yaml"
        file.write_text(_MATRIX)
        opened = open_matrix(file, allowed=["benchmarks"])
        clock = SystemClock()
        around = Surroundings(
            clock=clock, new_id=id_maker(), workshop=lambda limits, told: Workshop(clock, limits, told), loader=opened.loader
        )
        assembly = build(opened.hand_over(), around)
        transport = MemoryTransport(MemoryBus(), Settings(client_id="bench"))
        host = Host(assembly, transport, clock, name="bench", session="s1", changed=lambda _: None)
        running = asyncio.create_task(host.run())
        await asyncio.sleep(0)
        yield _Bench(host, clock)
        host.stop()
        await running


async def _hop_us(bench: _Bench, path: str, hops: int, runs: int) -> float:
    """The time of a hop, microseconds, over so many runs that it can be measured."""
    counter = bench.counters[path]
    repeats = max(1, 2_000 // (hops * runs))
    began = time.process_time()
    for _ in range(repeats):
        counter.left = runs
        counter.done.clear()
        for number in range(runs):
            bench.start(path, number if runs > 1 else 0)
        bench.host.engine.settle(bench.clock.now_us())
        await counter.done.wait()
    return (time.process_time() - began) / (repeats * runs * hops) * _LOOP_US


async def _weigh(bench: _Bench) -> None:
    """What a run that waits weighs, by the size of the process."""
    gc.collect()
    before = _rss_bytes()
    began = time.process_time()
    for number in range(_WAITING):
        bench.start("slow", number)
    bench.host.engine.settle(bench.clock.now_us())
    await bench.until_waiting(_WAITING)
    took_s = time.process_time() - began
    gc.collect()
    each_kb = (_rss_bytes() - before) / _WAITING / 1000
    print(f"{_WAITING:,} runs at once, each at its second step: {took_s:.2f} s, {each_kb:.2f} kB a run (aim 5)")


def _rss_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
