"""Programs on trial, on CPython without a network: kept or given up, and what is remembered of it when a flash is damaged or full."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ota_board import Bench, Slots, boot, code, image, rig, update

from firmware_bridge import micropython


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(tmp_path)
    monkeypatch.setattr(update, "ticks_ms", lambda: found.clock_ms)
    return found


def try_out(bench: Bench, version: int, *, ok: Callable[[], object], online: bool = True) -> dict[str, Any]:
    """Load a version and try it; what the board says after it was given up."""
    told = bench.offer(image(version).offer)
    if told["phase"] != "loading":
        return told
    bench.load(image(version))
    assert bench.start(ok=ok) == "b"
    bench.agent.online = bench.agent.settled = online

    def pass_second() -> None:
        bench.clock_ms += 1_000

    bench.go_on(pass_second)
    assert bench.start() == "a"
    found: dict[str, Any] = bench.agent.said()
    return found


def test_a_program_that_is_not_content_is_given_up_and_not_tried_again(bench: Bench) -> None:
    told = try_out(bench, 2, ok=lambda: False)
    assert (told["phase"], told["version"], told["slot"]) == ("idle", 1, "a")
    assert told["failed"] == [[2, "it was not content in 120 s"]]
    told = bench.offer(image(2).offer)
    assert (code(told), told["phase"]) == ("failed", "idle")
    assert not bench.agent.wishes()
    assert bench.agent.said("_update")["latest_version"] == "2"
    assert bench.offer(image(3).offer)["phase"] == "loading"


def test_a_program_whose_check_raises_is_not_content(bench: Bench) -> None:
    assert try_out(bench, 2, ok=lambda: 1 / 0)["failed"] == [[2, "it was not content in 120 s"]]


def test_a_program_that_did_not_reach_the_broker_is_tried_again_a_few_times(bench: Bench) -> None:
    """That may be the broker's fault. What is there is not loaded again."""
    for number in range(3):
        told = try_out(bench, 2, ok=lambda: True, online=False)
        assert told["failed"] == [[2, "it did not reach the broker in 120 s"]], number
    assert code(bench.offer(image(2).offer)) == "failed"


def test_what_failed_is_remembered_in_bounds(bench: Bench) -> None:
    for version in range(2, 14):
        try_out(bench, version, ok=lambda: False)
    assert [entry[0] for entry in Slots(bench.files).bad] == list(range(6, 14))
    assert len(bench.agent.said()["failed"]) == 3
    assert len(json.dumps(bench.agent.said())) < 991


def test_a_program_that_falls_over_is_given_up_after_three_starts(bench: Bench) -> None:
    """The power goes each time, as by a watchdog; nobody says anything."""
    bench.offer(image(2).offer)
    bench.load(image(2))
    assert [Slots(bench.files).start() for _ in range(5)] == ["b", "b", "b", "a", "a"]
    assert "started 3 times" in Slots(bench.files).bad[0][3]


def test_what_is_offered_during_a_trial_waits_for_its_end(bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start(ok=lambda: bench.clock_ms > 1_005_000)
    bench.agent.parts["_update"](image(3).offer, True)
    bench.agent.tick()
    assert bench.agent.said()["phase"] == "trial"
    bench.clock_ms += 10_000
    bench.agent.tick()
    told = bench.agent.said()
    assert (told["phase"], told["version"], told["offered"]) == ("loading", 2, 3)


def test_without_what_is_remembered_the_newest_whole_program_runs(bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start()
    bench.agent.tick()
    for content in (b"", b"garbage", b'[9,"c","",0,"",[]]\n00000000'):
        for copy in ("slots.0", "slots.1"):
            bench.files.write(copy, content)
        slots = Slots(bench.files)
        assert (slots.run, slots.version(), slots.trial) == ("b", 2, "")


@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_copy_of_what_is_remembered_does_not_matter(copy: int, bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start()
    bench.agent.tick()
    whole = bench.files.read(f"slots.{copy}")
    for at in range(len(whole)):
        bench.files.write(f"slots.{copy}", whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        slots = Slots(bench.files)
        assert slots.start() in ("a", "b")
        assert slots.manifest(slots.run)
        assert slots.run == "b" or copy == slots.number & 1 or slots.trial == "b"
        bench.files.write(f"slots.{copy}", whole)


def test_a_board_without_a_program_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boot(str(tmp_path))
    assert "there is no program" in capsys.readouterr().out


def full(*_: object) -> None:
    raise OSError(28, "no room")


def test_a_flash_that_takes_nothing_leaves_the_former_program(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    with monkeypatch.context() as patch:
        patch.setattr(bench.files, "write", full)
        assert Slots(bench.files).start() == "a", "what cannot be counted is not tried"
    assert bench.start() == "b"
    with monkeypatch.context() as patch:
        patch.setattr(bench.files, "write", full)
        for _ in range(130):
            bench.clock_ms += 1_000
            with contextlib.suppress(OSError, rig.Restarted):
                bench.agent.tick()
        assert bench.updater._leaving
        assert Slots(bench.files).start() == "a"
    assert Slots(bench.files).version() == 1


MACHINE = """
import sys


class Timer:
    ONE_SHOT = 0
    callback = None

    def __init__(self, number):
        if number < 0:
            raise ValueError("there are timers of the hardware alone")

    def init(self, mode, period, callback):
        print("timer", period)
        Timer.callback = callback


def reset():
    print("reset")
    sys.exit(3)
"""


def test_a_timer_ends_a_trial_that_hangs(bench: Bench, tmp_path: Path) -> None:
    """A stand-in for a chip's module `machine`."""
    bench.offer(image(2).offer)
    bench.load(image(2))
    (tmp_path / "b" / "main.py").write_text("import machine\nmachine.Timer.callback(None)\nprint('never')\n")
    (tmp_path / "a" / "main.py").write_text("print('the former one')\n")
    (tmp_path / "machine.py").write_text(MACHINE)
    (tmp_path / "main.py").write_text("import slots\n\nslots.boot(rest_s=0)\n")
    (tmp_path / "slots.py").write_text((Path(micropython.__file__).parent / "upy" / "slots.py").read_text())
    said = [subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=False, capture_output=True, text=True) for _ in range(2)]
    assert [one.returncode for one in said] == [3, 3], said
    assert said[0].stdout.split("\n")[:2] == ["timer 300000", "reset"]
    assert "never" not in said[0].stdout
    assert said[1].stdout.startswith("the former one\n")
    assert Slots(bench.files).bad[0][3] == "it said nothing for 300 s"
