"""A model over windows in a host that runs: asked on the event loop, killed while it works, started anew; its agent's state tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from bus_fixtures import Bus, Ear

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from tests.models import onnx_maker

OnBus = Callable[[Callable[[Bus], Awaitable[None]]], None]
MATRIX = """
matrix: home
agents:
  state: {onnx: {model: toy, timeout: 3s, on: {x: {topic: t/both, value: x, unit: °C}, y: {topic: t/both, value: y}}}}
"""
LABEL, STATE = "em/out/home/state/label", "em/state/home/state"


async def window(ear: Ear, value: float) -> None:
    """Publish a window, and wait for its label or for word of a failure."""
    before = len(ear.on(LABEL)) + len(ear.on("em/dead/home/state"))
    ear.say("t/both", {"x": [value] * 3, "y": [0] * 3})
    await ear.until(lambda: len(ear.on(LABEL)) + len(ear.on("em/dead/home/state")) > before)


def test_a_model_that_is_killed_costs_its_window_and_is_started_anew(on_bus: OnBus, tmp_path: Path) -> None:
    onnx_maker.toy(tmp_path, text=onnx_maker.CARD.replace("step: 1", "step: 3"))

    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(MATRIX):
            await window(ear, 0.1)
            await window(ear, 0.9)  # now on the event loop: the process runs
            assert [data["data"] for data in ear.on(LABEL)] == ["low", "high"]
            (pid,) = next(models.pids for models in bus.models if hasattr(models, "pids") and models.pids)
            os.kill(pid, signal.SIGSTOP)
            ear.say("t/both", {"x": [0.9] * 3, "y": [0] * 3})
            await ear.until(lambda: bool(ear.on("em/dead/home/state")))
            assert "did not answer within 3 s" in ear.on("em/dead/home/state")[0]["data"]["reason"]
            await ear.until(lambda: ear.on(STATE)[-1]["status"] == "failed")
            await window(ear, 0.9)
            await ear.until(lambda: ear.on(STATE)[-1]["status"] == "ready")
            assert [data["data"] for data in ear.on(LABEL)] == ["low", "high", "high"]

    on_bus(test)


def test_agents_with_the_same_model_share_its_process(on_bus: OnBus, tmp_path: Path) -> None:
    onnx_maker.toy(tmp_path, text=onnx_maker.CARD.replace("step: 1", "step: 3"))
    three = "".join(MATRIX.splitlines(keepends=True)[3:4]).replace("state:", "{name}:")
    matrix = "matrix: home\nagents:\n" + "".join(three.replace("{name}", name) for name in ("a", "b", "c"))

    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix):
            for number in range(1, 30):
                ear.say("t/both", {"x": [0.9] * 3, "y": [0] * 3})
                await ear.until(lambda wanted=number: all(len(ear.on(f"em/out/home/{name}/label")) == wanted for name in "abc"))
            assert len(next(models.pids for models in bus.models if hasattr(models, "pids") and models.pids)) == 1
            assert ear.on("em/dead/home/a") == []

    on_bus(test)


def test_what_a_host_with_a_model_loads_has_nothing_of_it() -> None:
    program = (
        "import sys, edgematrix.runtime.scorer, edgematrix.models.onnx_model, edgematrix.config.onnx_agent, edgematrix.runtime.onnx_body\n"
    )
    program += "print([name for name in ('numpy', 'onnxruntime', 'onnx') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"
