"""How long an agent with `failover` is nowhere, when its host dies and when its host falls silent."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hosted.broker import Broker
from benchmarks.hosted.deployment import deploy
from benchmarks.hosted.recovery import Steady

__all__ = ["Failover", "measure_failover"]

_AGENT = "bench/guard"
_MATRIX = """
matrix: bench
agents:
  guard:
    failover: [a, b]
    triggers:
      tell:
        rate_max: none
        on: {s: {topic: bench/sensor/0}}
        do: [{publish: {topic: bench/actuator/0, payload: "${s.value}"}}]
"""
_PATIENCE_S = 30.0
_CALM_S = 2.0


@dataclass(frozen=True, slots=True)
class Failover:
    """The seconds from each end of a host to the first answer of another one; how many readings were answered by both."""

    what: str
    seconds: list[float]
    twice: int


def measure_failover(place: Path, times: int) -> list[Failover]:
    """Let the host that has the agent die, or fall silent, again and again.

    Raises:
        TimeoutError: the agent is not seen again.
    """
    place.mkdir()
    with Broker(place) as broker, deploy(place, _MATRIX, [("a", broker.port), ("b", broker.port)], broker.port) as (programs, observer):
        by_name = {program.name: program for program in programs}
        load = Steady(broker.port, qos=0)
        found = []
        try:
            load.wait_for_answer(_PATIENCE_S)
            for what in ("killed: its will says so", "stopped: it falls silent"):
                seconds, twice = [], load.twice
                for _ in range(times):
                    load.flow(_CALM_S)
                    victim = by_name[observer.until_held(_AGENT)]
                    if what.startswith("killed"):
                        victim.kill()
                        seconds.append(load.flow_until_answer(time.perf_counter()))
                        victim.start()
                    else:
                        os.kill(victim.pid, signal.SIGSTOP)
                        seconds.append(load.flow_until_answer(time.perf_counter()))
                        os.kill(victim.pid, signal.SIGCONT)
                    load.flow(_CALM_S)
                    observer.until_online(victim.name)
                found.append(Failover(what, seconds, load.twice - twice))
        finally:
            load.close()
    return found
