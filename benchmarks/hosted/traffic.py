"""What a message costs, on the way from a sensor over two hosts to an actuator."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.hosted.disk import Disk, used_of
from benchmarks.hosted.pair import Pair
from benchmarks.load import Load, Paced, usage_of

__all__ = ["RATE", "WINDOWS", "Traffic", "Written", "measure", "measure_disk"]

RATE = 200
WINDOWS = (100, 1_000)
_PATIENCE_S = 30.0
_COUNTED_S = 5.0


@dataclass(frozen=True, slots=True)
class Full:
    """As many messages as there can be, `window` of them under way."""

    rate: float
    cpu_us: tuple[float, float, float]
    """Of each message: first host, second host, broker."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was measured."""

    paced: Paced
    paced_cpu_us: tuple[float, float, float]
    full: tuple[Full, ...]
    """By window."""


@dataclass(frozen=True, slots=True)
class Written:
    """What each message has the disk do, on the first host and on the second."""

    what: str
    messages: int
    hosts: tuple[Disk, Disk]


def measure(pair: Pair, *, qos: int, seconds: float) -> Traffic:
    """Let messages flow; the sensor publishes with this QoS."""
    load = Load(pair.broker.port, qos=qos)
    try:
        load.wait_for_answer(_PATIENCE_S)
        load.full(WINDOWS[0], 1.0)
        before = _cpu_s(pair)
        paced = load.paced(RATE, seconds)
        paced_cpu_us = _each(before, _cpu_s(pair), paced.sent)
        full = []
        for window in WINDOWS:
            before = _cpu_s(pair)
            rate = load.full(window, seconds)
            full.append(Full(rate, _each(before, _cpu_s(pair), round(rate * seconds))))
        return Traffic(paced, paced_cpu_us, tuple(full))
    finally:
        load.close()


def measure_disk(pair: Pair, *, qos: int) -> list[Written]:
    """Let messages flow, and see what is written of them."""
    load = Load(pair.broker.port, qos=qos)
    try:
        load.wait_for_answer(_PATIENCE_S)
        load.full(WINDOWS[0], 0.5)
        found = []
        for window in (None, *WINDOWS):
            before = _disk(pair)
            if window is None:
                what, messages = f"{RATE}/s", load.paced(RATE, _COUNTED_S).sent
            else:
                what, messages = f"window {window:,}", round(load.full(window, _COUNTED_S) * _COUNTED_S)
            first, second = (now.since(then, max(messages, 1)) for now, then in zip(_disk(pair), before, strict=True))
            found.append(Written(what, messages, (first, second)))
        return found
    finally:
        load.close()


def _cpu_s(pair: Pair) -> list[float]:
    return [usage_of(program.pid).cpu_s for program in pair.programs]


def _each(before: list[float], after: list[float], messages: int) -> tuple[float, float, float]:
    first, second, broker = ((end - begin) / max(messages, 1) * 1e6 for begin, end in zip(before, after, strict=True))
    return first, second, broker


def _disk(pair: Pair) -> tuple[Disk, Disk]:
    return used_of(pair.first.pid, pair.first.trace), used_of(pair.second.pid, pair.second.trace)
