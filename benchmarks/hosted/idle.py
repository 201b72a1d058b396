"""What idle hosts and agents send and are sent, counted between each host and the broker."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hosted.broker import Broker
from benchmarks.hosted.program import Program
from benchmarks.hosted.proxy import CountingProxy

__all__ = ["Idle", "measure_idle"]

_SETTLE_S = 5.0
_MINUTE_S = 60.0
_MANY = 100


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
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(place))
        counted = {}
        for what, agents in (("a host without agents", 0), ("a host of one agent", 1), (f"a host of {_MANY} agents", _MANY)):
            proxy = counted[what] = stack.enter_context(CountingProxy(broker.port))
            stack.enter_context(_host(place, f"idle{agents}", agents, proxy.port))
        time.sleep(_SETTLE_S)
        before = {what: (proxy.bytes_passed, proxy.pieces) for what, proxy in counted.items()}
        time.sleep(seconds)
        found = {
            what: ((proxy.bytes_passed - before[what][0]) / seconds, (proxy.pieces - before[what][1]) / seconds)
            for what, proxy in counted.items()
        }
    empty, *_, many = found.values()
    lines = [Idle(what, each[0] * _MINUTE_S, each[1] * _MINUTE_S, None) for what, each in found.items()]
    last = lines.pop()
    return [*lines, Idle(last.what, last.bytes_minute, last.pieces_minute, (many[0] - empty[0]) / _MANY * 3_600)]


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
