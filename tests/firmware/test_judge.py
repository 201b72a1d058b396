"""A board at work with its rules: what it tells and what it keeps, when the network, the memory or the power goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rules_bench import form_of

from edgematrix.errors import UsageError
from firmware_bridge import micropython

PROGRAM = Path(__file__).parent / "judging_board.py"
Play = Callable[..., list[Any]]


def table_of(*rules: tuple[dict[str, Any], list[Any]], quiet: tuple[str, ...] = ("t",), name: str = "one") -> list[Any]:
    """A table: each rule a group and its actions."""
    return [1, name, [[port, []] for port in quiet], [[f"r{place}", *form_of(group), acts] for place, (group, acts) in enumerate(rules)]]


HOT = {"on": {"t": {"topic": "t", "above": 27, "hysteresis": 1}}}
COLD = {"on": {"t": {"topic": "t", "below": 5, "for": "10s"}}}
ON = [[0, "do", 0, "on"]]


@pytest.fixture
def interpreter() -> list[str]:
    """MicroPython; that CPython judges in the same way, `test_rules.py` shows."""
    try:
        return micropython.command()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def play(interpreter: list[str], byte_code: Path, tmp_path: Path) -> Play:
    """Play a script: what was published, `[moment, last level, value]`. A board of one name finds what it has kept."""
    found = micropython.environment() | {"MICROPYPATH": f"{byte_code}:.frozen"}

    def run(*lines: Any, board: str = "one") -> list[Any]:
        folder = tmp_path / board
        folder.mkdir(exist_ok=True)
        (tmp_path / "script").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        words = [*interpreter, str(PROGRAM), str(tmp_path / "script"), str(folder)]
        done = subprocess.run(words, env=found, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return [[moment, word, _read(value)] for moment, word, value in map(json.loads, done.stdout.splitlines())]

    return run


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def of(told: list[Any], word: str) -> list[Any]:
    return [[moment, value] for moment, found, value in told if found == word]


def put(table: list[Any]) -> list[Any]:
    return [0, "table", json.dumps(table)]


def emits(*readings: tuple[int, Any], port: str = "t") -> list[Any]:
    return [[moment, "emit", port, value] for moment, value in readings]


def test_readings_stay_and_firings_go(play: Play) -> None:
    told = play(put(table_of((HOT, ON), (COLD, []))), *emits((1000, 20), (2000, 28.5), (3000, 4), (9000, 3), (20_000, 28)))
    assert of(told, "t") == []
    reports = [value for _, value in of(told, "_rules")]
    boot = reports[0][1]
    assert reports == [
        [1, boot, 1, "r0", 0, None, [0], [[28.5, 0]], 0],
        [1, boot, 2, "r1", 0, None, [], [[3, 4000]], 0],
        [1, boot, 3, "r0", 0, None, [0], [[28, 0]], 0],
    ]
    assert [moment for moment, _ in of(told, "_rules")] == [2000, 13_000, 20_000]
    assert of(told, "act") == [[2000, "on"], [20_000, "on"]]


def test_what_it_says_of_itself(play: Play) -> None:
    told = play(put(table_of((HOT, []))), [0, "link", True])
    states = [value["rules"] for _, value in of(told, "board")]
    assert [state["table"] for state in states] == ["one", "one"]
    assert 800 < states[0]["bytes_max"] < 1024


def test_without_rules_everything_is_told(play: Play) -> None:
    told = play(*emits((1, 20), (2, {"a": 1}), (3, "21")))
    assert of(told, "t") == [[1, 20], [2, {"a": 1}], [3, 21]]


def test_offline_it_acts_and_tells_later_the_newest_sixteen(play: Play) -> None:
    ups = [(1000 * second, 28 if second % 2 else 20) for second in range(1, 41)]
    told = play(put(table_of((HOT, ON))), [0, "link", False], *emits(*ups), [60_000, "link", True])
    assert of(told, "act") == [], "its outputs are lost without a link"
    reports = [value for _, value in of(told, "_rules")]
    assert [report[2] for report in reports] == list(range(5, 21)), "the oldest four went"
    assert {report[8] for report in reports} == {4}
    assert (reports[0][4], reports[-1][4]) == (51_000, 21_000), "how long ago"
    assert of(told, "lost") == [[60_000, 4]]


def test_an_action_that_is_refused_is_left_to_the_host(play: Play) -> None:
    acts = [[0, "do", 0, "on"], [1, "do", 0, "broken"], [2, "do", 0, "off"]]
    told = play(put(table_of((HOT, acts))), *emits((1, 28)))
    assert of(told, "_rules")[0][1][6] == [0]
    assert of(told, "act") == [[1, "on"]]
    missing = play(put(table_of((HOT, [[0, "nobody", 0, 1]]), name="two")), *emits((1, 20), (2, 28)), board="two")
    assert of(missing, "_rules")[0][1][6] == []


def test_an_action_takes_the_value_of_a_source(play: Play) -> None:
    told = play(put(table_of((HOT, [[0, "do", 1, 0]]))), *emits((1, 28.5)))
    assert of(told, "act") == [[1, 28.5]]


def test_after_a_reset_it_knows_its_rules_and_what_it_knew(play: Play) -> None:
    begun = play(put(table_of((HOT, ON), (COLD, []))), *emits((1000, 28)), [2000, "reset", {}], *emits((3000, 29), (4000, 4)))
    numbers = {(value[1], value[2]) for _, value in of(begun, "_rules")}
    assert len(numbers) == 1, "an ON level makes no edge again; what is told again has its old number"
    asleep = play([0, "link", True], [1, "reset", {"slept_ms": 20_000}], [2, "emit", "u", 1])
    assert [value[3] for _, value in of(asleep, "_rules")] == ["r1"], "it slept through the ten seconds"
    assert [value["rules"]["table"] for _, value in of(asleep, "board")] == ["one"]


def test_what_waits_to_be_told_outlives_a_reset(play: Play) -> None:
    before = [put(table_of((HOT, ON))), [0, "link", False], *emits((1000, 28)), [2000, "reset", {}]]
    told = play(*before, [5000, "link", True], *emits((6000, 20), (7000, 28)))
    reports = [value for _, value in of(told, "_rules")]
    assert [report[2] for report in reports] == [1, 1]
    assert reports[0][1] != reports[1][1], "of two lives"
    assert reports[0][7] == [[28, 0]]


def test_rules_that_stay_know_what_they_knew_in_a_new_table(play: Play) -> None:
    other = table_of((HOT, []), (COLD, []), name="two")
    before = [put(table_of((HOT, []))), *emits((1000, 28))]
    told = play(*before, [2000, "table", json.dumps(other)], *emits((3000, 29), (4000, 20), (5000, 28)))
    assert [value[2] for _, value in of(told, "_rules")] == [1, 2]
    assert of(told, "end")[0][1]["table"] == "two"


def test_too_many_samples_end_the_rules_for_good(play: Play) -> None:
    mean = {"on": {"t": {"topic": "t", "above": 27, "aggregate": {"fn": "mean", "over": "1h"}}}}
    readings = emits(*((second * 1000, 20) for second in range(34)))
    told = play(put(table_of((mean, []))), *readings, [60_000, "reset", {}], *emits((61_000, 20)))
    assert of(told, "t") == [[32_000, 20], [33_000, 20], [61_000, 20]], "from then on the host judges"
    assert of(told, "end")[0][1]["refused"] == {"table": "one", "reason": "over 32 samples in a window of t"}
    assert of(told, "end")[0][1]["table"] == ""


def test_rules_that_set_one_another_off_end(play: Play) -> None:
    ring = {"on": {"a": {"topic": "act"}}}
    told = play(put(table_of((ring, [[0, "do", 0, 1]]), quiet=("act",))), *emits((1, 1), port="act"))
    assert of(told, "end")[0][1]["refused"]["reason"] == "its rules set one another off without end"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (json.dumps([1, "odd", [], [[1]]]), "the table is malformed"),
        (json.dumps([9, "new", [], []]), "the table is of version 9, known is 1"),
    ],
)
def test_a_table_of_no_use_is_refused_and_the_host_judges(play: Play, payload: str, reason: str) -> None:
    told = play(put(table_of((HOT, []))), [1, "table", payload], [1, "table", payload], *emits((2, 28)))
    assert of(told, "t") == [[2, 28]]
    assert of(told, "end")[0][1]["refused"]["reason"] == reason
    assert len(of(told, "board")) == 2, "it says so once"


@pytest.mark.parametrize("payload", ["", "{", "[]", "7", "{}"])
def test_what_is_no_table_changes_nothing(play: Play, payload: str) -> None:
    told = play(put(table_of((HOT, []))), [1, "table", payload], *emits((2, 28)))
    assert of(told, "end")[0][1]["table"] == "one"
    assert len(of(told, "_rules")) == 1


def test_damaged_files_are_forgotten_and_told(play: Play) -> None:
    told = play(put(table_of((HOT, []))), *emits((1, 28)), [2, "spoil", "rules"], [2, "spoil", "memory"], [3, "reset", {}], *emits((4, 29)))
    assert of(told, "t") == [[4, 29]]


def test_a_provisioned_table_counts_until_a_newer_one_comes(play: Play) -> None:
    given, newer = table_of((HOT, []), name="given"), table_of((COLD, []), name="newer")
    told = play([0, "reset", {"table": given}], [1, "table", json.dumps(newer)], [2, "reset", {"table": given}])
    assert of(told, "end")[0][1]["table"] == "newer"
    again = play([0, "reset", {"table": table_of((HOT, []), name="given anew")}])
    assert of(again, "end")[0][1]["table"] == "given anew"


def test_a_firing_that_fits_into_no_packet_is_counted(play: Play) -> None:
    every = {"on": {"t": {"topic": "t", "value": "a"}}}
    told = play(put(table_of((every, []))), *emits((1, {"a": "x" * 600, "b": "y" * 300}), (2, {"a": 1})))
    assert [value[2:4] for _, value in of(told, "_rules")] == [[2, "r0"]]
    assert of(told, "_rules")[0][1][8] == 1


@pytest.mark.parametrize(("rules", "fits"), [(12, True), (32, False)])
def test_a_dozen_rules_fit_into_the_memory_of_a_chip_and_too_many_are_refused(play: Play, rules: int, fits: bool) -> None:
    group = {"on": {f"s{n}": {"topic": f"p{n}", "above": n, "for": "1m"} for n in range(2)}, "throttle": "5m", "cooldown": "1m"}
    readings = emits(*((second * 1000, 30 - second % 20) for second in range(1, 200)), port="p0")
    told = play(
        put(table_of(*(((group, ON),) * rules), quiet=("p0",))), *readings, *emits((200_000, 9), port="p1"), [400_000, "link", True]
    )
    if fits:
        assert len(of(told, "_rules")) >= min(rules, 16)
        assert of(told, "p0") == []
    else:
        assert "memory" in of(told, "end")[0][1]["refused"]["reason"]
        assert len(of(told, "p0")) == 199, "the host judges"


def test_of_what_the_host_judges_the_values_that_make_a_difference_go(play: Play) -> None:
    sieve = ["t", None, 0, 0, [27, 26, None, None], 0, 1, None]
    table = [1, "one", [["t", [sieve]]], []]
    told = play(put(table), *emits((1, 20), (2, 21), (3, 28), (4, 26.5), (5, "unknown"), (6, 20), (7, 20)))
    assert of(told, "t") == [[1, 20], [3, 28], [6, 20]]
    lost = play(
        put(table), *emits((1, 20)), [2, "link", False], *emits((3, 28), (4, 28)), [5, "link", True], *emits((6, 28), (7, 28)), board="two"
    )
    assert of(lost, "t") == [[1, 20], [6, 28]], "what could not be sent is made up for"


def test_a_value_that_has_no_form_to_be_kept_disturbs_nobody(play: Play) -> None:
    group = {"on": {"t": {"topic": "t", "not": "x"}}}
    told = play(put(table_of((group, ON))), [1, "bytes", "t"], *emits((2, "x"), (3, 4)))
    assert of(told, "act") == [[1, "on"], [3, "on"]]
    assert of(told, "lost") == [[3, 1]], "bytes cannot be told"
