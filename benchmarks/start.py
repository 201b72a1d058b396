"""How long a host takes to start, and how much memory it and its agents take.

    python -m benchmarks start                       # about a minute
    python -m benchmarks start --rules 1 1000        # other sizes

Each program is a process of its own, on one mosquitto on loopback. Figures of one machine say little; the ratios to a
bare `python -c pass` and to a bare paho script, measured beside them, say more. Times are the best of a few runs, for
other work of the machine only ever adds to them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.load import usage_of
from benchmarks.processes import mosquitto, running

__all__ = ["main"]

_IMPORTS = ("pass", "import paho.mqtt.client", "import asyncio", "import pydantic", "import edgematrix", "import edgematrix.config.launch")
_RSS = "print(int(open('/proc/self/statm').read().split()[1]) * __import__('resource').getpagesize())"
_IMPORT_RUNS = 7
_START_RUNS = 5
_LARGE = 1_000
"""From this size on a start is measured once."""
_PATIENCE_S = 90.0
_CALM_S = 1.0
"""After the last agent has announced itself, before memory is looked at."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a start went: from the start of the process to the first reaction; memory at rest."""

    reaction_s: float
    cpu_s: float
    rss_bytes: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 1_000, 10_000], help="sizes of the matrices, agents of one rule each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        place = Path(name)
        _keep_byte_code(place)
        _show_imports()
        print(f"\n{'':24} {'to a reaction s':>15} {'x paho':>7} {'CPU s':>7} {'RSS MB':>7} {'x paho':>7} {'kB an agent':>12}")
        floor = _best([sys.executable, "-m", "benchmarks.floors.bare_paho", str(port)], port, place, 0)
        _show("bare paho", floor, floor)
        empty = _best(_run(place, port, 0), port, place, 0)
        _show("empty host, until online", empty, floor)
        for rules in options.rules:
            start = _best(_run(place, port, rules), port, place, rules)
            weight = f"{(start.rss_bytes - empty.rss_bytes) / rules / 1e3:12.2f}" if rules >= _LARGE else ""
            _show(f"{rules:,} rule{'s' * (rules > 1)}", start, floor, weight)


def _keep_byte_code(place: Path) -> None:
    """Let the processes find compiled modules, as an installed package has them, whatever the environment says."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(place / "byte code")


def _show_imports() -> None:
    print(f"{'':32} {'ms':>7} {'x pass':>7} {'RSS MB':>7} {'x pass':>7}")
    floor: tuple[float, int] | None = None
    for statement in _IMPORTS:
        found = min(_import(statement) for _ in range(_IMPORT_RUNS))
        floor = floor or found
        took_s, rss_bytes = found
        print(f"{statement:32} {took_s * 1e3:7.1f} {took_s / floor[0]:7.1f} {rss_bytes / 1e6:7.1f} {rss_bytes / floor[1]:7.2f}", flush=True)


def _import(statement: str) -> tuple[float, int]:
    """Seconds of the whole process, and the memory at its end."""
    began_s = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", f"{statement}\n{_RSS}"], check=True, capture_output=True).stdout
    return time.perf_counter() - began_s, int(answer)


def _show(name: str, start: Start, floor: Start, weight: str = "") -> None:
    print(
        f"{name:24} {start.reaction_s:15.3f} {start.reaction_s / floor.reaction_s:7.2f} {start.cpu_s:7.2f} "
        f"{start.rss_bytes / 1e6:7.1f} {start.rss_bytes / floor.rss_bytes:7.2f} {weight}",
        flush=True,
    )


def _run(place: Path, port: int, rules: int) -> list[str]:
    """What runs a matrix of so many agents of one rule each."""
    lines = ["matrix: bench", "agents:" if rules else "agents: {}"]
    for number in range(rules):
        lines += [
            f"  a{number}:",
            "    triggers:",
            "      hot:",
            f"        on: {{t: {{topic: bench/sensor/{number}, above: 25}}}}",
            f'        do: [{{publish: {{topic: bench/actuator/{number}, payload: "${{t.value}}"}}}}]',
        ]
    matrix = place / f"start{rules}.yaml"
    matrix.write_text("\n".join(lines) + "\n")
    state = place / f"state{rules}"
    words = ["run", str(matrix), "--broker", f"mqtt://127.0.0.1:{port}", "--name", "bench", "--state", str(state)]
    return [sys.executable, "-m", "edgematrix", *words]


def _best(command: list[str], port: int, place: Path, rules: int) -> Start:
    runs = [_start(command, port, place, rules) for _ in range(1 if rules >= _LARGE else _START_RUNS)]
    return min(runs, key=lambda run: run.reaction_s)


def _start(command: list[str], port: int, place: Path, rules: int) -> Start:
    probe = _Probe(port, rules)
    try:
        began_s = time.perf_counter()
        with running(command, place / "log") as process:
            probe.wait_for_reaction()
            reaction_s = time.perf_counter() - began_s
            cpu_s = usage_of(process.pid).cpu_s
            probe.wait_for_announcements()
            time.sleep(_CALM_S)
            return Start(reaction_s, cpu_s, usage_of(process.pid).rss_bytes)
    finally:
        probe.close()


class _Probe:
    """Plays the sensor of the last rule and hears its actuator; without rules it waits for the host to say that it is online.

    The bare script counts as rule 0 of none.
    """

    def __init__(self, port: int, rules: int) -> None:
        self._rules = rules
        self._sensor = f"bench/sensor/{max(rules - 1, 0)}"
        self._announced = 0
        self._reacted = threading.Event()
        self._settled = threading.Event()
        listens = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._heard
        self._client.on_subscribe = lambda *_: listens.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([("bench/actuator/+", 0), ("em/host/bench", 0), ("em/state/bench/+", 0)])
        self._client.loop_start()
        if not listens.wait(_PATIENCE_S):
            raise TimeoutError("the broker takes no subscription")

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for_reaction(self) -> None:
        """Let the value rise over the threshold again and again, until there is a reaction."""
        give_up_at_s = time.perf_counter() + _PATIENCE_S
        while not self._reacted.wait(0.005):
            for value in (b"20", b"30"):
                self._client.publish(self._sensor, value)
            if time.perf_counter() > give_up_at_s:
                raise TimeoutError(f"no reaction to {self._sensor} within {_PATIENCE_S} s")

    def wait_for_announcements(self) -> None:
        """Wait until each agent has announced itself."""
        if self._rules and not self._settled.wait(_PATIENCE_S):
            raise TimeoutError(f"{self._announced} of {self._rules} agents have announced themselves within {_PATIENCE_S} s")

    def _heard(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.retain:
            return  # of an earlier run
        if message.topic.startswith("bench/actuator/") or (not self._rules and b'"online"' in message.payload):
            self._reacted.set()
        elif message.topic.startswith("em/state/"):
            self._announced += 1
            if self._announced == self._rules:
                self._settled.set()
