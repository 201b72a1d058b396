"""Boards that sleep most of the time: what waited is heard, what is late is not carried out, what nobody took is told the next time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from firmware_bench import Broker, Listener
from free_port import free_port

from firmware_bridge import micropython
from firmware_bridge.upy.judge import Judge
from firmware_bridge.upy.sleep import Sleeper

HERE = Path(__file__).parent
SET = "em/in/home/probe/set"
READING = "em/out/home/probe/reading"
STATE = "em/state/home/probe"

Wake = Callable[..., dict[str, Any]]


@pytest.fixture
def wake(interpreter: list[str], tmp_path: Path) -> Wake:
    """Let the board wake once, as after deep sleep: a new process, with what it kept."""

    def once(port: int | str, reading: object, awake_ms_max: int = 20_000, clock: int | str = 0, qos: int = 1) -> dict[str, Any]:
        words = [
            *interpreter,
            str(HERE / "sleeper.py"),
            str(port),
            str(tmp_path / "kept"),
            json.dumps(reading),
            str(awake_ms_max),
            str(clock),
            str(qos),
        ]
        done = subprocess.run(words, env=micropython.environment(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return once


def test_what_waited_is_heard_in_order_and_once(broker: Broker, listener: Listener, wake: Wake) -> None:
    assert wake(broker.port, 1)["drained"]
    assert listener.wait_for(READING) == b"1"
    for number in range(50):  # more than a broker lets be under way at once
        listener.publish(SET, str(number))
    report = wake(broker.port, 2)
    assert report["drained"]
    assert report["heard"] == list(range(50))
    assert wake(broker.port, 3)["heard"] == []
    assert [listener.wait_for(READING) for _ in range(2)] == [b"2", b"3"]


def test_what_is_late_is_refused_with_the_reason(broker: Broker, listener: Listener, wake: Wake) -> None:
    wake(broker.port, 1)
    head = {"specversion": "1.0", "source": "/home/rule", "type": "em.in.set"}
    listener.publish(SET, json.dumps({**head, "id": "late", "data": 1, "expirytime": "2026-01-01T00:00:00Z"}))
    listener.publish(SET, json.dumps({**head, "id": "fresh", "data": 2, "expirytime": "2096-01-01T00:00:00Z"}))
    report = wake(broker.port, 2)
    assert (report["heard"], report["expired"]) == ([2], 1)
    assert json.loads(listener.wait_for("em/ack/home/probe")) == {"id": "late", "error": "it has expired"}
    assert json.loads(listener.wait_for("em/ack/home/probe")) == {"id": "fresh"}


def test_it_says_how_long_it_sleeps_once_and_is_not_offline_meanwhile(broker: Broker, listener: Listener, wake: Wake) -> None:
    first = wake(broker.port, 1)
    state = json.loads(listener.wait_for(STATE))
    assert (state["status"], state["sleeps_s"]) == ("ready", 600)
    second = wake(broker.port, 2)
    assert second["sent"] < first["sent"], "neither the birth nor the subscription goes out again"
    listener.publish("end", b"")
    assert STATE not in listener.topics_until("end")


def test_a_broker_that_forgot_it_is_told_everything_again(broker: Broker, listener: Listener, wake: Wake) -> None:
    wake(broker.port, 1)
    listener.wait_for(STATE)
    broker.kill()
    broker.start()  # it keeps nothing on disk
    again = Listener(broker.port)
    assert wake(broker.port, 2)["drained"]
    assert json.loads(again.wait_for(STATE))["status"] == "ready"
    again.publish(SET, b"7")
    assert wake(broker.port, 3)["heard"] == [7]
    again.close()


def test_readings_that_nobody_took_are_told_later_the_newest_eight(broker: Broker, wake: Wake) -> None:
    nobody = free_port()
    for number in range(12):
        report = wake(nobody, number, 100)
        assert not report["drained"]
    assert (report["waiting"], report["lost"]) == (8, 4)
    listener = Listener(broker.port)
    assert wake(broker.port, 12)["drained"]
    assert [listener.wait_for(READING) for _ in range(9)] == [str(number).encode() for number in range(4, 13)]
    assert wake(broker.port, 13)["waiting"] == 0
    listener.close()


def test_a_command_to_a_board_that_sleeps_for_a_week(broker: Broker, listener: Listener, wake: Wake) -> None:
    wake(broker.port, 1)
    now = datetime.now(UTC)
    head = {"specversion": "1.0", "source": "/home/rule", "type": "em.in.set"}
    for name, days in (("a day", 1), ("a month", 30)):
        listener.publish(SET, json.dumps({**head, "id": name, "data": name, "expirytime": (now + timedelta(days=days)).isoformat()}))
    report = wake(broker.port, 2, clock=7 * 86_400)
    assert (report["heard"], report["expired"]) == (["a month"], 1)


def test_a_board_whose_clock_says_1970_has_no_session(broker: Broker, listener: Listener, wake: Wake) -> None:
    wake(broker.port, 1, clock="none")
    listener.publish(SET, b"old")  # nobody could tell how old it is
    report = wake(broker.port, 2, clock="none")
    assert (report["drained"], report["heard"]) == (True, [])
    assert json.loads(listener.wait_for(STATE))["since"] is None


class Small:
    """A keep that takes so many bytes, as the memory of a real-time clock does."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.data = b""

    def load(self) -> bytes:
        return self.data

    def store(self, data: bytes) -> None:
        if len(data) > self.bytes_max:
            raise OSError("no room")
        self.data = data


@pytest.mark.parametrize("bytes_max", [450, 700, 1_200])
def test_where_there_is_no_room_the_oldest_gives_way_and_is_counted(bytes_max: int) -> None:
    """Nobody takes anything for forty wakes of a board that judges for itself: it goes on sleeping and waking."""
    table = [1, "0badcafe", [], [["00000001", 0, [["air", None, 0, 0, [27, 27, None, None], 0, 1, None]], None, []]]]
    keep, readings, firings = Small(bytes_max), 40, 20
    for number in range(readings):
        probe = Sleeper(
            "home/probe", "127.0.0.1", free_port(), every_s=600, keep=keep, awake_ms_max=5, retry_ms=1, log=lambda _: None  # type: ignore[arg-type]
        )  # fmt: skip
        judge = Judge(None, table, slept_ms=600_000)
        probe.use(judge)
        probe.emit("air", 20 if number % 2 else 30, qos=1)
        waiting = probe.wake()["waiting"]
        assert probe.lost + waiting == number + 1
    assert probe.lost >= readings - 8
    assert judge.lost + judge.waiting == firings
    assert len(keep.data) <= bytes_max


def test_where_there_is_no_room_at_all_it_is_said() -> None:
    probe = Sleeper(
        "home/probe", "127.0.0.1", free_port(), every_s=600, keep=Small(8), awake_ms_max=5, retry_ms=1, log=lambda _: None  # type: ignore[arg-type]
    )  # fmt: skip
    with pytest.raises(OSError, match="no room"):
        probe.wake()
