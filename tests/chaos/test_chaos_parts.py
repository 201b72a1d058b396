"""The harness's own parts: programs, kills, brokers, and the ear that is not ours."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from process_life import lives

from tests.broker_process import skip_without
from tests.chaos.bus import brokers
from tests.chaos.ear import Heard, ear, heard
from tests.chaos.program import Program, ProgramError, Programs
from tests.chaos.reaper import Reaper
from tests.chaos.schedule import Kill, draw

WAIT_S = 60.0
SLEEPER = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
PARENT = [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({SLEEPER!r}); time.sleep(600)"]


def until(predicate: Callable[[], object], wait_s: float = WAIT_S) -> None:
    give_up_at = time.monotonic() + wait_s
    while not predicate():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.fixture
def programs() -> Iterator[Programs]:
    with Programs() as held:
        yield held


def pid_told(log: Path) -> int | None:
    text = log.read_text() if log.exists() else ""
    return int(text) if text.endswith("\n") else None


def test_a_killed_program_leaves_no_child(tmp_path: Path, programs: Programs) -> None:
    program = programs.add(Program("parent", PARENT, tmp_path / "log"))
    program.start()
    until(lambda: pid_told(tmp_path / "log"))
    child, parent = pid_told(tmp_path / "log"), program.pid
    assert child is not None
    assert lives(child)
    program.kill()
    until(lambda: not lives(child) and not lives(parent))


def test_nothing_is_left_when_the_harness_is_interrupted_or_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys\nfrom pathlib import Path\nfrom tests.chaos.program import Program, Programs\n"
        "with Programs() as programs:\n"
        f"    programs.add(Program('sleeper', {SLEEPER!r}, Path(sys.argv[1]))).start()\n"
        "    signal.pause()\n"
    )
    for number in (signal.SIGINT, signal.SIGKILL):
        log = tmp_path / f"log{number}"
        harness = subprocess.Popen([sys.executable, "-c", code, str(log)], stderr=subprocess.DEVNULL)
        until(lambda log=log: pid_told(log))
        pid = pid_told(log)
        assert pid is not None
        harness.send_signal(number)
        harness.wait(WAIT_S)
        until(lambda pid=pid: not lives(pid))


def test_a_program_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path, programs: Programs) -> None:
    program = programs.add(Program("p", [sys.executable, "-c", "raise SystemExit('no room')"], tmp_path / "log", ready=lambda: False))
    program.start()
    with pytest.raises(ProgramError, match="no room"):
        asyncio.run(program.until_ready(WAIT_S))


def test_kills_are_those_of_the_seed_and_in_bounds() -> None:
    drawn = draw(7, 1_000, 50, ["a", "b", "broker"])
    assert drawn == draw(7, 1_000, 50, ["a", "b", "broker"])
    assert drawn != draw(8, 1_000, 50, ["a", "b", "broker"])
    assert len(drawn) == 50
    assert [kill.at for kill in drawn] == sorted(kill.at for kill in drawn)
    assert all(20 <= kill.at <= 980 and 0 <= kill.down_s < 1 for kill in drawn)
    assert {kill.victim for kill in drawn} == {"a", "b", "broker"}
    assert any(kill.again_s is not None for kill in drawn)


def test_kills_strike_when_so_much_has_come_and_all_comes_back(tmp_path: Path, programs: Programs) -> None:
    made = {name: programs.add(Program(name, SLEEPER, tmp_path / name)) for name in "ab"}
    kills = [Kill(10, "a", 0.05), Kill(10, "b", 0), Kill(10, "a", 0, again_s=0.05), Kill(20, "b", 0)]

    async def test() -> None:
        for program in made.values():
            program.start()
        reaper = Reaper(kills, made)
        running = asyncio.create_task(reaper.run())
        reaper.progressed(9)
        assert all(program.is_running for program in made.values())
        reaper.progressed(10)
        assert not any(program.is_running for program in made.values())
        async with asyncio.timeout(WAIT_S):
            while len(reaper.done) < 3:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        reaper.progressed(25)
        async with asyncio.timeout(WAIT_S):
            while not reaper.is_over:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert {name: program.starts for name, program in made.items()} == {"a": 3, "b": 3}
        assert all(program.is_running for program in made.values())
        os.kill(made["a"].pid, signal.SIGKILL)
        with pytest.raises(ExceptionGroup) as found:
            await asyncio.wait_for(running, WAIT_S)
        assert "a ended by itself" in str(found.value.exceptions[0])

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["mosquitto", pytest.param("nats-cluster", marks=pytest.mark.slow)])
def test_the_ear_hears_through_a_restart_of_the_broker(kind: str, tmp_path: Path, programs: Programs) -> None:
    skip_without(kind.partition("-")[0])
    made = brokers(kind, tmp_path / "brokers", persistent=True)
    listening = programs.add(ear(made.urls[0], tmp_path / "ear.log", ("t/#",)))

    def say(topic: str, payload: str) -> bool:
        address = made.urls[-1].removeprefix("mqtt://127.0.0.1:")
        command = ["mosquitto_pub", "-p", address, "-q", "1", "-t", topic, "-m", payload]
        return subprocess.run(command, capture_output=True, check=False, timeout=WAIT_S).returncode == 0

    def told(topic: str) -> Heard:
        return heard(tmp_path / "ear.log", topic)

    async def test() -> None:
        for program in made.programs:
            programs.add(program).start()
        for program in made.programs:
            await program.until_ready(WAIT_S)
        listening.start()
        until(lambda: say("t/hello", "0") and told("t/hello").numbers == 1)
        assert say("t/a", "1")
        assert say("t/a", '{"specversion": "1.0", "data": {"number": 2}}')
        assert say("t/a", "2")
        until(lambda: told("t/a") == Heard(2, 1))
        made.programs[0].kill()
        made.programs[0].start()
        await made.programs[0].until_ready(WAIT_S)
        until(lambda: say("t/a", "3") and told("t/a").numbers == 3, 6 * WAIT_S)  # a node of a cluster takes its time

    asyncio.run(test())
