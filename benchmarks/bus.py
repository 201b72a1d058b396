"""From a sensor to an actuator through a broker: EdgeMatrix beside programs that do the least that can be done.

    python -m benchmarks bus                         # everything, about two minutes
    python -m benchmarks bus --command 'PROGRAM {matrix} {url}'

Each program is a process of its own, on one mosquitto on loopback; a load process measures. Latency is from the load's
socket back to it, through the broker twice. CPU is of the process under test alone. Figures of one machine say little;
the ratios to a bare paho script, measured beside it, say more.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, usage_of
from benchmarks.processes import mosquitto, running

__all__ = ["main"]

_RATE = 500
_SECONDS = 3.0
_WINDOW = 100
_COMMAND = f"{shlex.quote(sys.executable)} -m edgematrix run {{matrix}} --broker {{url}} --name bench --state {{state}} --log json"
_HOST = f"{shlex.quote(sys.executable)} -m benchmarks.floors.host_alone {{matrix}} {{url}} {{state}}"


@dataclass(slots=True)
class Row:
    """What was measured of one program."""

    name: str
    start_s: float
    rss_mb: float
    p50_ms: float
    p99_ms: float
    lost: int
    cpu_paced_us: float
    rate_max: float
    cpu_full_us: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks bus", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--command", default=_COMMAND, help="what runs a matrix, a line for each event included; {matrix}, {url} and {state} are filled in"
    )
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 1_000], help="sizes of the matrices that are measured in full")
    parser.add_argument("--large", type=int, default=10_000, help="a size of which only start and memory are measured; 0: none")
    options = parser.parse_args()
    _show_import()
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        place = Path(name)
        rows = []
        for label, module in (
            ("raw asyncio socket", "benchmarks.floors.raw_asyncio"),
            ("bare paho", "benchmarks.floors.bare_paho"),
            ("transport alone", "benchmarks.floors.transport_alone"),
        ):
            rows.append(_measure(label, [sys.executable, "-m", module, str(port)], port, place, sensors=1))
            _show(rows)
        for rules in options.rules:
            for label, template in (("host", _HOST), ("run --log", options.command)):
                command = _edgematrix(template, place, port, rules)
                rows.append(_measure(f"{label}, {rules} rule{'s' * (rules > 1)}", command, port, place, sensors=rules))
                _show(rows)
        if options.large:
            _show_large(_edgematrix(_HOST, place, port, options.large), port, place, options.large)


def _measure(name: str, command: list[str], port: int, place: Path, *, sensors: int) -> Row:
    with running(command, place / "log") as process:
        load = Load(port, sensors)
        try:
            began_s = time.perf_counter()
            load.wait_for_answer(60, sensors - 1)
            start_s = time.perf_counter() - began_s
            load.full(_WINDOW, 0.5)
            before = usage_of(process.pid)
            paced = load.paced(_RATE, _SECONDS)
            between = usage_of(process.pid)
            rate = load.full(_WINDOW, _SECONDS)
            after = usage_of(process.pid)
        finally:
            load.close()
    return Row(
        name,
        start_s,
        after.rss_bytes / 1e6,
        paced.p50_ms,
        paced.p99_ms,
        paced.sent - paced.answered,
        (between.cpu_s - before.cpu_s) / paced.sent * 1e6,
        rate,
        (after.cpu_s - between.cpu_s) / (rate * _SECONDS) * 1e6,
    )


def _show(rows: list[Row]) -> None:
    """Print the newest row; its ratios are to bare paho, once that has been measured."""
    if len(rows) == 1:
        print(
            f"\n{'':24} {'start s':>8} {'RSS MB':>7} {'p50 ms':>7} {'p99 ms':>7} {'lost':>5} "
            f"{f'us at {_RATE}/s':>12} {'x paho':>7} {'max/s':>7} {'us at max':>10} {'x paho':>7}"
        )
    floor = next((row for row in rows if row.name == "bare paho"), None)
    row = rows[-1]
    paced = "" if floor is None else f"{row.cpu_paced_us / floor.cpu_paced_us:.2f}"
    full = "" if floor is None else f"{row.cpu_full_us / floor.cpu_full_us:.2f}"
    print(
        f"{row.name:24} {row.start_s:8.2f} {row.rss_mb:7.1f} {row.p50_ms:7.2f} {row.p99_ms:7.2f} {row.lost:5} "
        f"{row.cpu_paced_us:12.0f} {paced:>7} {row.rate_max:7.0f} {row.cpu_full_us:10.1f} {full:>7}",
        flush=True,
    )


def _show_large(command: list[str], port: int, place: Path, rules: int) -> None:
    with running(command, place / "log") as process:
        load = Load(port, rules)
        try:
            began_s = time.perf_counter()
            load.wait_for_answer(90, rules - 1)
            start_s = time.perf_counter() - began_s
            usage = usage_of(process.pid)
        finally:
            load.close()
    print(f"\n{rules} rules: {start_s:.2f} s until the last one answers ({usage.cpu_s:.2f} s of CPU), {usage.rss_bytes / 1e6:.1f} MB RSS")


def _show_import() -> None:
    code = (
        "import resource, sys, time\nbegan = time.perf_counter()\n{}\n"
        "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    print(f"{'':32} {'ms':>7} {'RSS MB':>7}")
    for statement in ("pass", "import edgematrix", "import edgematrix.transport.paho", "import paho.mqtt.client", "import asyncio"):
        found = []
        for _ in range(5):
            answer = subprocess.run([sys.executable, "-c", code.format(statement)], check=True, capture_output=True, text=True).stdout
            took_s, rss_kb = answer.split()
            found.append((float(took_s) * 1e3, int(rss_kb) / 1e3))
        took_ms, rss_mb = min(found)
        print(f"{statement:32} {took_ms:7.1f} {rss_mb:7.1f}")


def _edgematrix(template: str, place: Path, port: int, rules: int) -> list[str]:
    matrix = place / f"bench{rules}.yaml"
    lines = ["matrix: bench", "agents:", "  room:", "    triggers:"]
    lines += [
        f"      rule{number}: {{on: {{s: {{topic: bench/sensor/{number}}}}}, rate_max: none, "
        f'do: [{{publish: {{topic: bench/actuator/{number}, payload: "${{s.value}}"}}}}]}}'
        for number in range(rules)
    ]
    matrix.write_text("\n".join(lines) + "\n")
    words = shlex.split(template)
    return [word.format(matrix=matrix, url=f"mqtt://127.0.0.1:{port}", state=place / "state") for word in words]
