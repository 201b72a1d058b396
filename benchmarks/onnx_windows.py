"""What a model over windows costs as an agent, against bare onnxruntime in the same run: time for a window, and memory.

A window counts from the sample that completes it (its message is handed to the engine) until its label is out, which an observer of the
engine sees; samples are handed in without a broker. The bare runtime is called in this process, with the same window, in turns with the
agent. `cpu` is processor time, the model's process included, which other work of the machine hardly changes; `best` is the time that
passes in the quickest twentieth; `pipe` is what as many bytes take to another process and an answer back, the least that a model costs
that cannot take its host with it. RSS is that of the model's process, and of a program that does nothing but load the same file with
onnxruntime and run it.
"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import parse_document
from edgematrix.config.model_card import ModelCard, find_card
from edgematrix.config.reading import parse_matrix
from edgematrix.config.surroundings import Surroundings
from edgematrix.models.card import Precision
from edgematrix.protocol.message import Message
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Observation, Published
from edgematrix.runtime.scorer import Scorers
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock

_WINDOWS: Final = 400
_WARM: Final = 40
_EVERY_US: Final = 20_000
_BARE: Final = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
for _ in range(100):
    session.run(None, {"window": numpy.zeros((1, 200, 6), numpy.float32)})
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""
_ECHO: Final = """
import os, sys
size, heard = int(sys.argv[1]), 0
while data := os.read(0, 65536):
    heard += len(data)
    if heard == size:
        heard = 0
        os.write(1, b"x" * 100)
"""
_WINDOW_BYTES: Final = 4_800


def _matrix(precision: Precision) -> str:
    on = ", ".join(f"{name}: {{topic: imu, value: {name}, unit: {'g' if name[0] == 'a' else 'rad/s'}}}" for name in _INPUTS)
    return f"matrix: gym\nagents:\n  what: {{onnx: {{model: activity, precision: {precision}, on: {{{on}}}}}}}\n"


_INPUTS: Final = ("ax", "ay", "az", "wx", "wy", "wz")


class Figures(NamedTuple):
    """Microseconds for a window, but for the RSS."""

    bare_cpu_us: float
    agent_cpu_us: float
    bare_best_us: float
    agent_best_us: float
    pipe_best_us: float
    agent_median_us: float
    rss_mb: float


def main() -> None:
    """Measure both precisions."""
    card = find_card("activity", Path())
    print("onnx: the model activity, 200 rows of 6 inputs, a window each 50 samples; µs for a window")
    names = ("bare cpu", "agent cpu", "over", "bare best", "agent best", "over", "pipe best", "median", "RSS MB", "bare MB")
    print(f"{'':6}{''.join(f'{name:>11}' for name in names)}")
    for precision in card.precisions:
        found = asyncio.run(_measured(card, precision))
        bare_mb = (
            int(subprocess.run([sys.executable, "-c", _BARE, str(card.file(precision))], capture_output=True, check=True).stdout) / 1_024
        )
        over_cpu, over_best = found.agent_cpu_us - found.bare_cpu_us, found.agent_best_us - found.bare_best_us
        figures = (*found[:2], over_cpu, *found[2:4], over_best, *found[4:], bare_mb)
        print(f"{precision:6}{''.join(f'{figure:>11.0f}' for figure in figures)}")


async def _measured(card: ModelCard, precision: Precision) -> Figures:
    clock, loader = VirtualClock(0), CodeLoader(Path())
    scorers = Scorers(clock, is_quick=True)
    around = Surroundings(
        clock=clock,
        new_id=id_maker(0),
        workshop=lambda limits, stalled: Workshop(clock, limits, stalled),
        loader=loader,
        scorer=scorers,
    )
    assembly = build(parse_matrix(parse_document(_matrix(precision), "gym.yaml"), loader=loader).spec, around)
    engine, loop = assembly.engine, asyncio.get_running_loop()
    out: asyncio.Future[int] = loop.create_future()

    def seen(observation: Observation) -> None:
        if isinstance(observation, Published) and observation.topic.endswith("label") and not out.done():
            agent.stop()
            out.set_result(0)

    bare, agent, pipe = Timed(), Timed(), Timed()
    engine.observers.append(seen)
    assembly.start({}, 0, lambda key, error: None)  # noqa: ARG005 - nothing is stored
    run = _bare(card, precision)
    echo = _echo()
    plan, worker_ns = card.plan(), 0
    last = plan.rows
    for at in range(plan.rows + plan.step * (_WINDOWS + _WARM)):
        payload = {name: round(math.sin(at / 7 + place), 3) for place, name in enumerate(_INPUTS)}
        clock.set(at * _EVERY_US)
        if at + 1 < last:
            engine.receive(Message("imu", payload), at * _EVERY_US)
            continue
        last += plan.step
        with agent:
            engine.receive(Message("imu", payload), at * _EVERY_US)
            await out
        out = loop.create_future()
        engine.outbox.clear()
        with bare:
            run()
        with pipe:
            _there_and_back(echo)
        if not worker_ns and len(agent.wall_ns) == _WARM:
            agent, bare, pipe, worker_ns = Timed(), Timed(), Timed(), _cpu_ns(scorers)
    model_us = (_cpu_ns(scorers) - worker_ns) / len(agent.wall_ns) / 1_000
    best = (bare.at(0.05), agent.at(0.05), pipe.at(0.05))
    figures = Figures(bare.cpu_us, agent.cpu_us + model_us, *best, agent.at(0.5), _rss_mb(scorers))
    scorers.close()
    echo.communicate()
    return figures


def _echo() -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _ECHO, str(_WINDOW_BYTES)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def _there_and_back(echo: subprocess.Popen[bytes]) -> None:
    assert echo.stdin is not None
    assert echo.stdout is not None
    echo.stdin.write(bytes(_WINDOW_BYTES))
    os.read(echo.stdout.fileno(), 1_000)


class Timed:
    """How long something took, each time, and the processor time of this process until all of it was over."""

    def __init__(self) -> None:
        self.wall_ns: list[int] = []
        self._cpu_ns = 0
        self._stopped_ns = 0

    def stop(self) -> None:
        """What is waited for has come: what follows takes processor time alone."""
        self._stopped_ns = time.perf_counter_ns()

    def __enter__(self) -> None:
        self._stopped_ns = 0
        self._began_cpu_ns = time.process_time_ns()
        self._began_ns = time.perf_counter_ns()

    def __exit__(self, *error: object) -> None:
        self.wall_ns.append((self._stopped_ns or time.perf_counter_ns()) - self._began_ns)
        self._cpu_ns += time.process_time_ns() - self._began_cpu_ns

    @property
    def cpu_us(self) -> float:
        """Processor time, in the mean."""
        return self._cpu_ns / len(self.wall_ns) / 1_000

    def at(self, share: float) -> float:
        """The time that this share of all stays below, microseconds."""
        return sorted(self.wall_ns)[int(len(self.wall_ns) * share)] / 1_000


def _cpu_ns(scorers: Scorers) -> int:
    """Processor time of the model's process."""
    (pid,) = scorers.pids
    return sum(int(file.read_text(encoding="ascii").split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _bare(card: ModelCard, precision: Precision) -> Any:
    import numpy as np  # noqa: PLC0415 - of the extra
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(card.file(precision)), options, providers=["CPUExecutionProvider"])
    window = np.random.default_rng(0).normal(0, 1, (1, 200, 6)).astype(np.float32)
    return lambda: session.run(["probabilities", "embedding"], {"window": window})


def _rss_mb(scorers: Scorers) -> float:
    (pid,) = scorers.pids
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1_024
