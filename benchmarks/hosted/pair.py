"""What is measured: from a sensor to an actuator through two agents, each on a host of its own, or through two bare scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.hosted.broker import Broker
from benchmarks.hosted.program import Program

__all__ = ["Pair", "bare", "hosts"]

_MATRIX = """
matrix: bench
defaults: {{delivery: {delivery}}}
agents:
  first:
    outputs: {{out: any}}
    triggers:
      relay: {{on: {{s: {{topic: bench/sensor/0}}}}, rate_max: none, do: [{{emit: {{out: "${{s.value}}"}}}}]}}
  second:
    triggers:
      tell:
        rate_max: none
        on: {{o: {{from: first.out}}}}
        do: [{{publish: {{topic: bench/actuator/0, payload: "${{o.value}}"}}}}]
"""
_HOSTS = {"bench/first": "a", "bench/second": "b"}


class Pair:
    """A broker and the two programs between a sensor and an actuator."""

    def __init__(self, broker: Broker, first: Program, second: Program) -> None:
        self.broker = broker
        self.first = first
        self.second = second

    @property
    def programs(self) -> tuple[Program, Program, Program]:
        """All three, in the order in which a message meets them first."""
        return self.first, self.second, self.broker


@contextmanager
def hosts(place: Path, delivery: str, *, is_traced: bool = False) -> Iterator[Pair]:
    """Two hosts. `first` puts out what it hears of the sensor, `second` publishes that for the actuator.

    Args:
        place: a folder that is made.
        is_traced: whether what the hosts wait for is logged.
    """
    place.mkdir()
    matrix = place / "bench.yaml"
    matrix.write_text(_MATRIX.format(delivery=delivery))
    placed = [f"{path}={host}" for path, host in _HOSTS.items()]
    broker = Broker(place)
    url = f"mqtt://127.0.0.1:{broker.port}"
    module = "benchmarks.floors.host_placed"
    commands = ([sys.executable, "-m", module, name, str(matrix), url, str(place / name), *placed] for name in ("a", "b"))
    with _run(broker, *(Program(name, command, place, is_traced=is_traced) for name, command in zip("ab", commands, strict=True))) as pair:
        yield pair


@contextmanager
def bare(place: Path, qos: int) -> Iterator[Pair]:
    """Two scripts that hand on what they hear."""
    place.mkdir()
    broker = Broker(place)
    head = [sys.executable, "-m", "benchmarks.floors.bare_relay", str(broker.port), str(qos)]
    first, second = [*head, "bench/sensor/0", "bench/between"], [*head, "bench/between", "bench/actuator/0"]
    with _run(broker, Program("a", first, place), Program("b", second, place)) as pair:
        yield pair


@contextmanager
def _run(broker: Broker, first: Program, second: Program) -> Iterator[Pair]:
    with broker, first, second:
        yield Pair(broker, first, second)
