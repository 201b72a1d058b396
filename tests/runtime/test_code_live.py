"""Agents with code on a real event loop: threads, stalls, cancellation, and a matrix that is run as a program."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from bus_fixtures import Bus, open_bus

from edgematrix.runtime.observation import Outcome, RunEnded, Stalled

MATRIX = """
matrix: home
agents:
  %s:
    python: work:%s
    triggers: {t: {on: {x: {topic: t/x}}, mode: %s}}
"""

MODULE = """
import asyncio, threading, time
import edgematrix as em

def plain(value: float, ctx: em.Context) -> str:
    return threading.current_thread().name

async def stalls(value: float, ctx: em.Context) -> float:
    time.sleep(0.15)
    return value

async def waits(value: float, ctx: em.Context) -> float:
    await ctx.publish("t/began", value)
    try:
        await asyncio.Event().wait()
    finally:
        print("let go of", value)
    return value
"""


def on_memory(tmp_path: Path, test) -> None:
    (tmp_path / "work.py").write_text(MODULE)

    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus:
            await test(bus)

    asyncio.run(main())


def test_a_plain_function_runs_in_a_thread_of_its_own(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(MATRIX % ("plain", "plain", "single")):
            ear.say("t/x", 1)
            await ear.until(lambda: bool(ear.on("em/out/home/plain/out")))
            assert ear.on("em/out/home/plain/out")[0]["data"].startswith("agent")

    on_memory(tmp_path, test)


def test_code_that_holds_the_loop_is_traced_with_its_path(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(MATRIX % ("stalls", "stalls", "single")) as (_, observations):
            ear.say("t/x", 1)
            await ear.until(lambda: bool(ear.on("em/out/home/stalls/out")))
            (stall,) = [found for found in observations if isinstance(found, Stalled)]
            assert stall.path == "home/stalls"
            assert stall.stall_ms >= 100

    on_memory(tmp_path, test)


def test_a_restart_cancels_the_run_that_waits_and_the_end_of_the_host_the_last(tmp_path: Path, capsys) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear:
            async with bus.host(MATRIX % ("waits", "waits", "restart")) as (_, observations):
                ear.say("t/x", 1)
                await ear.until(lambda: ear.on("t/began") == [1])
                ear.say("t/x", 2)
                await ear.until(lambda: ear.on("t/began") == [1, 2])
                assert [found.outcome for found in observations if isinstance(found, RunEnded)] == [Outcome.CANCELLED]
            assert capsys.readouterr().out.splitlines() == ["let go of 1.0", "let go of 2.0"]

    on_memory(tmp_path, test)


def test_a_matrix_runs_as_a_program(tmp_path: Path) -> None:
    attic = Path(__file__).parent.parent.parent / "examples" / "attic" / "attic.py"
    program = tmp_path / "program.py"
    program.write_text("import logging\nlogging.basicConfig(level=logging.INFO)\n" + attic.read_text())
    process = subprocess.Popen(
        [sys.executable, str(program)], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "launch:connected" in line:
            process.send_signal(signal.SIGINT)
            break
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
