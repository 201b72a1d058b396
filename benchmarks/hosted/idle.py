"""What idle hosts and agents send and are sent, counted between each host and the broker."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hosted.broker import Broker
from benchmarks.hosted.deployment import deploy
from benchmarks.hosted.program import Program
from benchmarks.hosted.proxy import CountingProxy

__all__ = ["Idle", "measure_idle"]

_SETTLE_S = 5.0
_MINUTE_S = 60.0
_MANY = 100
_MATRIX = """
matrix: {name}
agents:
  guard: {{{more}, triggers: {{t: {{on: {{s: {{topic: bench/never}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """What one host says and is told in a minute: bytes inside TCP, and in how many pieces.

    `each_hour` is what an agent adds in an hour; None where there are no agents to compare.
    """

    what: str
    bytes_minute: float
    pieces_minute: float
    each_hour: float | None


def measure_idle(place: Path, seconds: float) -> list[Idle]:
    """Count for so long, for all of them at once."""
    counted: dict[str, CountingProxy] = {}
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(place))

        def count(what: str) -> int:
            proxy = counted[what] = stack.enter_context(CountingProxy(broker.port))
            return proxy.port

        for what, agents in (("run: no agents", 0), (f"run: {_MANY} agents", _MANY)):
            stack.enter_context(_host(place, f"idle{agents}", agents, count(what)))
        through = [("a", count("deployed: one agent")), ("b", count("deployed: nothing"))]
        stack.enter_context(deploy(_folder(place, "plain"), _MATRIX.format(name="plain", more="host: a"), through, broker.port))
        through = [("c", count("deployed: holds a lease")), ("d", count("deployed: would take it"))]
        _, observer = stack.enter_context(
            deploy(_folder(place, "moving"), _MATRIX.format(name="moving", more="failover: [c, d]"), through, broker.port)
        )
        observer.until_held("moving/guard")
        time.sleep(_SETTLE_S)
        before = {what: (proxy.bytes_passed, proxy.pieces) for what, proxy in counted.items()}
        time.sleep(seconds)
        each_s = {
            what: ((proxy.bytes_passed - before[what][0]) / seconds, (proxy.pieces - before[what][1]) / seconds)
            for what, proxy in counted.items()
        }
    compared = {f"run: {_MANY} agents": ("run: no agents", _MANY), "deployed: holds a lease": ("deployed: one agent", 1)}
    lines = []
    for what, (bytes_s, pieces_s) in each_s.items():
        floor, agents = compared.get(what, (what, 0))
        each_hour = (bytes_s - each_s[floor][0]) / agents * 3_600 if agents else None
        lines.append(Idle(what, bytes_s * _MINUTE_S, pieces_s * _MINUTE_S, each_hour))
    return lines


def _folder(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir()
    return folder


def _host(place: Path, name: str, agents: int, port: int) -> Program:
    """A host of rules that nothing sets off."""
    lines = [f"matrix: {name}", "agents:" if agents else "agents: {}"]
    for number in range(agents):
        lines += [f"  a{number}: {{triggers: {{t: {{on: {{s: {{topic: bench/never/{number}}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}"]
    matrix = place / f"{name}.yaml"
    matrix.write_text("\n".join(lines) + "\n")
    placed = [f"{name}/a{number}=here" for number in range(agents)]
    words = ["here", str(matrix), f"mqtt://127.0.0.1:{port}", str(place / name), *placed]
    return Program(name, [sys.executable, "-m", "benchmarks.floors.host_placed", *words], place)
