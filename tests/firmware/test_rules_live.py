"""A board that judges for a house: real MicroPython, a real broker, and a real host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from firmware_bench import WAIT_S, Board, Broker, Listener

from edgematrix.errors import UsageError
from firmware_bridge import micropython

Start = Callable[..., Board]

BOARD = "home/green/board"
STATE = f"em/state/{BOARD}"
AIR = f"em/in/{BOARD}/air"
HOUSE = """
matrix: home
agents:
  green:
    agents:
      board: {host: green-board, inputs: {set: text, air: any, shine: any}, outputs: {temperature: number, fan: text, light: any}}
      fan:
        outputs: {told: any}
        triggers:
          hot:
            on: {t: {from: board.temperature, above: 27, hysteresis: 1}}
            do: [{send: {to: board.set, payload: "on"}}, {emit: {told: "${t.value}"}}]
          cool:
            on: {t: {from: board.temperature, below: 24}}
            do: [{send: {to: board.set, payload: "off"}}, {publish: {topic: t/cool, payload: "${t.value}"}}]
          dark: {on: {l: {from: board.light, below: 5, for: 300ms}}, do: [{publish: {topic: t/dark, payload: "${l.value}"}}]}
          odd: {on: {l: {from: board.light}}, if: "l.value > 100", do: [{publish: {topic: t/odd, payload: "${l.value}"}}]}
"""


class House:
    """A host as a process of its own, which can be started anew with another matrix."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker = broker
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, matrix: str = HOUSE) -> None:
        file = self._folder / "home.yaml"
        file.write_text(matrix)
        words = [sys.executable, "-m", "edgematrix", "run", str(file), "--broker", f"mqtt://127.0.0.1:{self._broker.port}"]
        with (self._folder / "house.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "--state", str(self._folder / "state")], cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            self._process = None


@pytest.fixture
def house(broker: Broker, tmp_path: Path) -> Iterator[House]:
    found = House(broker, tmp_path)
    yield found
    found.stop()


@pytest.fixture
def board(byte_code: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a program of this folder on MicroPython, with the byte code of its parts, as boards have it."""
    try:
        words = micropython.command()
    except UsageError as error:
        pytest.skip(str(error))
    started: list[Board] = []

    def start(program: Path | str, *arguments: object) -> Board:
        asked = [*words, str(Path(__file__).parent / program), *map(str, arguments)]
        started.append(Board(asked, tmp_path / f"board{len(started)}.log", MICROPYPATH=f"{byte_code}:.frozen"))
        return started[-1]

    yield start
    for found in started:
        found.kill()


def runs_rules(payload: bytes) -> bool:
    return bool(json.loads(payload).get("rules", {}).get("table"))


def rules_of(payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload)["rules"]
    return found


def begin(house: House, listener: Listener, board: Start, broker: Broker, folder: Path) -> tuple[Board, str]:
    """A house, and a board that runs its rules."""
    house.start()
    listener.wait_for("em/state/home/green/fan")
    process = board("rule_board.py", broker.port, folder)
    return process, rules_of(listener.wait_for(STATE, runs_rules))["table"]


def report_of(payload: bytes) -> list[Any]:
    found: list[Any] = json.loads(payload)
    return found


def test_the_radio_speaks_when_something_happens(house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path) -> None:
    begin(house, listener, board, broker, tmp_path)
    told_by_host = Listener(broker.port)  # of its own: what the host says may come before or after what the board does
    listener.publish(AIR, "[20, 21, 26.5, 27.5, 28, 26.5, 27.5]")
    told = report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))
    assert (told[0], told[2], told[6], told[7], told[8]) == (1, 1, [0], [[20, 0]], 0), "below 24 at once, and done there"
    hot = report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))
    assert (hot[2], hot[6], hot[7]) == (2, [0], [[27.5, 0]])
    assert told_by_host.wait_for("t/cool") == b"20"
    assert json.loads(told_by_host.wait_for("em/out/home/green/fan/told"))["data"] == 27.5
    told_by_host.close()
    listener.publish(AIR, "[25, 28]")
    again = report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))
    assert (again[2], again[7]) == (3, [[28, 0]])
    heard = listener.drain(0.5)
    assert [topic for topic, _ in heard if topic == f"em/out/{BOARD}/temperature"] == [], "no reading left the board"
    assert [topic for topic, _ in heard if topic == f"em/in/{BOARD}/set"] == [], "the host does not act a second time"


def test_for_and_conditions_of_the_host(house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path) -> None:
    begin(house, listener, board, broker, tmp_path)
    listener.publish(f"em/in/{BOARD}/shine", "120")
    assert listener.wait_for("t/odd") == b"120"
    listener.publish(f"em/in/{BOARD}/shine", "[4, 3]")
    assert listener.wait_for("t/dark") == b"3"


def test_without_a_network_it_acts_and_tells_afterwards(
    house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path
) -> None:
    process, table = begin(house, listener, board, broker, tmp_path)
    house.stop()
    process.kill()
    broker.kill()
    hot = tmp_path / "hot.py"
    source = (Path(__file__).parent / "rule_board.py").read_text()
    readings = "    for reading in (20, 28, 20, 28):\n        agent.emit('temperature', reading)\n    agent.run()\n"
    hot.write_text(source.replace("    agent.run()\n", readings))
    again = board(hot, broker.port, tmp_path)
    again.wait_for_line("not connected", 2)
    assert again.said().count("fan on") == 2, "it knows its rules from its flash, and acts"
    broker.start()
    listener = Listener(broker.port)
    try:
        house.start()
        found = [report_of(listener.wait_for(f"em/out/{BOARD}/_rules")) for _ in range(4)]
        assert [report[2] for report in found] == [1, 2, 3, 4]
        assert all(report[4] > 0 and abs(report[5][0] - time.time()) < WAIT_S for report in found), "how long ago, and when"
        assert rules_of(listener.wait_for(STATE, runs_rules))["table"] == table
    finally:
        listener.close()
    assert again.interrupt() == 0


def test_a_changed_matrix_changes_the_board(house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path) -> None:
    process, table = begin(house, listener, board, broker, tmp_path)
    house.stop()
    house.start(HOUSE.replace("above: 27", "above: 30"))
    changed = rules_of(listener.wait_for(STATE, lambda payload: runs_rules(payload) and rules_of(payload)["table"] != table))
    listener.publish(AIR, "[20, 29, 31]")
    assert report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))[7] == [[20, 0]]
    assert report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))[7] == [[31, 0]]
    house.stop()
    removed = HOUSE[: HOUSE.index("      fan:")] + "      fan: {outputs: {told: any}}\n"
    house.start(removed)
    listener.wait_for(STATE, lambda payload: rules_of(payload)["table"] != changed["table"])
    listener.publish(AIR, "33")
    assert listener.wait_for(f"em/out/{BOARD}/temperature") == b"33", "nobody judges it, so it is told"
    assert process.interrupt() == 0


def test_after_a_reset_a_level_is_no_edge_again(house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path) -> None:
    process, _ = begin(house, listener, board, broker, tmp_path)
    listener.publish(AIR, "28")
    assert report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))[7] == [[28, 0]]
    process.kill()
    board("rule_board.py", broker.port, tmp_path)
    listener.wait_for(STATE, runs_rules)
    listener.publish(AIR, "[29, 25, 29]")
    assert report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))[7] == [[29, 0]]
    assert [topic for topic, _ in listener.drain(0.3) if topic.endswith("_rules")] == [], "once, after it was cool"


def test_a_board_that_sleeps_wakes_its_radio_when_something_happened(
    house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path
) -> None:
    house.start()
    listener.wait_for("em/state/home/green/fan")

    def wake(reading: float) -> str:
        process = board("sleeping_rule_board.py", broker.port, tmp_path, reading)
        assert process.process.wait(WAIT_S) == 0, process.said()
        return process.said().splitlines()[-1]

    assert wake(25) == "was awake", "it has no rules yet"
    listener.wait_for(f"em/in/{BOARD}/_rules")
    wake(25)  # they came at once, or waited for it
    assert rules_of(listener.wait_for(STATE, runs_rules))["table"]
    assert [wake(reading) for reading in (25, 26, 26.5)] == ["stayed silent"] * 3
    assert wake(28) == "was awake"
    assert report_of(listener.wait_for(f"em/out/{BOARD}/_rules"))[7] == [[28, 0]]
    assert [wake(reading) for reading in (29, 25)] == ["stayed silent"] * 2


def test_a_board_that_is_removed_has_no_rules_left(house: House, broker: Broker, listener: Listener, board: Start, tmp_path: Path) -> None:
    process, table = begin(house, listener, board, broker, tmp_path)
    words = [sys.executable, "-m", "edgematrix", "remove", "home/green", "--url", f"mqtt://127.0.0.1:{broker.port}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listener.wait_for(STATE, lambda payload: rules_of(payload)["table"] != table)
    listener.publish(AIR, "33")
    assert listener.wait_for(f"em/out/{BOARD}/temperature") == b"33", "it judges nothing, so it is told"
    late = Listener(broker.port)
    late.publish("end", b"")
    assert f"em/in/{BOARD}/_rules" not in late.topics_until("end"), "nothing is left for whoever comes"
    late.close()
    assert process.interrupt() == 0
    assert process.said().count("fan on") == 0
