"""Two hosts of one matrix: what durable delivery costs beside best effort, how they come back, what they say when idle.

    python -m benchmarks hosts                       # everything, about four minutes
    python -m benchmarks hosts --only traffic disk

From a sensor to an agent on one host, to an agent on another host, to an actuator: three times through one mosquitto on
loopback. Latency is from the load's socket back to it. Figures of one machine say little; the ratios to two bare paho
scripts, and to best effort, measured beside them, say more.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.hosted.capacity import measure_capacity
from benchmarks.hosted.failover import measure_failover
from benchmarks.hosted.idle import measure_idle
from benchmarks.hosted.pair import Pair, bare, hosts
from benchmarks.hosted.recovery import measure_recovery
from benchmarks.hosted.traffic import WINDOWS, Traffic, measure, measure_disk

__all__ = ["main"]

_SECONDS = 4.0
_KILLS = 5
_FAILOVERS = 4
_IDLE_S = 60.0
_DELIVERIES = (("best_effort", 0), ("durable", 1))
"""With the QoS of what the sensor publishes: only with 1 the broker keeps a reading until it is stored."""


def main() -> None:
    """Measure and print."""
    parts = {"traffic": _traffic, "disk": _disk, "recovery": _recovery, "failover": _failover, "idle": _idle, "broker": _broker}
    parser = argparse.ArgumentParser(prog="python -m benchmarks hosts", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=parts, default=list(parts), help="what is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for part in options.only:
            parts[part](Path(name))


def _traffic(place: Path) -> None:
    windows = " ".join(f"{f'max/s w{window}':>11} {'x':>5} {'us a':>7} {'us b':>7} {'broker':>7}" for window in WINDOWS)
    print(f"\n{'from sensor to actuator':28} {'p50 ms':>7} {'p99 ms':>7} {'lost':>5} {'us a':>7} {'us b':>7} {windows}")
    floor: Traffic | None = None
    for what, qos in (("bare paho, QoS 0", 0), ("bare paho, QoS 1", 1)):
        with bare(place / f"bare{qos}", qos) as pair:
            _show(what, measure(pair, qos=qos, seconds=_SECONDS), None)
    for delivery, qos in _DELIVERIES:
        with hosts(place / delivery, delivery) as pair:
            found = measure(pair, qos=qos, seconds=_SECONDS)
        floor = floor or found
        _show(f"hosts, {delivery}", found, floor)


def _show(what: str, found: Traffic, floor: Traffic | None) -> None:
    """A line; its ratios are to best effort."""
    paced = found.paced
    cells = [f"{what:28} {paced.p50_ms:7.2f} {paced.p99_ms:7.2f} {paced.sent - paced.answered:5}"]
    cells += [f"{cost_us:7.0f}" for cost_us in found.paced_cpu_us[:2]]
    for index, full in enumerate(found.full):
        ratio = "" if floor is None else f"{full.rate / floor.full[index].rate:.2f}"
        cells += [f"{full.rate:11.0f} {ratio:>5}", *(f"{cost_us:7.1f}" for cost_us in full.cpu_us)]
    print(" ".join(cells), flush=True)


def _disk(place: Path) -> None:
    print(f"\n{'what each message writes':28} {'at':>12} {'messages':>9} {'syncs a':>8} {'syncs b':>8} {'bytes a':>8} {'bytes b':>8}")
    for delivery, qos in _DELIVERIES:
        with hosts(place / f"{delivery}-disk", delivery, is_traced=True) as pair:
            found = measure_disk(pair, qos=qos)
        for written in found:
            syncs = " ".join(f"{'no strace' if host.syncs is None else f'{host.syncs:.3f}':>8}" for host in written.hosts)
            sizes = " ".join(f"{host.bytes_written:8.0f}" for host in written.hosts)
            print(f"{delivery:28} {written.what:>12} {written.messages:9,} {syncs} {sizes}", flush=True)


def _recovery(place: Path) -> None:
    print(f"\n{'from kill -9 to an answer':28} {'killed':>7} {'median s':>9} {'worst s':>8} {'sent':>6} {'lost':>5} {'twice':>6}")
    programs: list[tuple[str, int, Callable[[Path], AbstractContextManager[Pair]]]] = [("bare paho, QoS 1", 1, partial(bare, qos=1))]
    programs += [(f"hosts, {delivery}", qos, partial(hosts, delivery=delivery)) for delivery, qos in _DELIVERIES]
    for what, qos, make in programs:
        for index, victim in enumerate(("a", "b", "broker")):
            with make(place / f"recovery {what} {victim}") as pair:
                found = measure_recovery(pair, pair.programs[index], qos=qos, kills=_KILLS)
            times = f"{statistics.median(found.seconds):9.2f} {max(found.seconds):8.2f}"
            print(f"{what:28} {victim:>7} {times} {found.sent:6} {found.lost:5} {found.twice:6}", flush=True)


def _failover(place: Path) -> None:
    print(f"\n{'an agent with failover':28} {'median s':>9} {'worst s':>8} {'answered by both':>17}")
    for found in measure_failover(place / "failover", _FAILOVERS):
        print(f"{found.what:28} {statistics.median(found.seconds):9.2f} {max(found.seconds):8.2f} {found.twice:17}", flush=True)


def _idle(place: Path) -> None:
    place = place / "idle"
    place.mkdir()
    print(f"\n{'idle, on the wire':28} {'bytes a minute':>15} {'pieces a minute':>16} {'bytes an agent and hour':>24}")
    for line in measure_idle(place, _IDLE_S):
        each = "" if line.each_hour is None else f"{line.each_hour:24.0f}"
        print(f"{line.what:28} {line.bytes_minute:15.0f} {line.pieces_minute:16.0f} {each}", flush=True)


def _broker(place: Path) -> None:
    found = measure_capacity(place / "capacity")
    print(f"\nthe broker, with {found.retained:,} retained definitions of 300 bytes: {found.retained_bytes:.0f} bytes each in memory,")
    print(f"{found.taken_a_second:,.0f} a second taken, {found.handed_a_second:,.0f} a second handed to a client that comes;")
    print(f"{found.client_bytes:,.0f} bytes for a client that is connected")


if __name__ == "__main__":
    main()
