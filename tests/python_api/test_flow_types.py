"""What a type checker says about the edges of flows."""

import re
import sys
from pathlib import Path

import pytest
from mypy import api

pytestmark = pytest.mark.xdist_group("mypy")  # two at once would wait for each other's cache

WRONG = Path(__file__).parent / "expected_errors" / "flow_edges.py"


@pytest.fixture(scope="module")
def found() -> dict[int, str]:
    out, err, _ = api.run(["--strict", "--no-error-summary", "--hide-error-context", "--python-executable", sys.executable, str(WRONG)])
    assert not err, err
    lines: dict[int, str] = {}
    for number, text in re.findall(r"flow_edges\.py:(\d+): error: (.*)", out):
        lines[int(number)] = lines.get(int(number), "") + text + "\n"
    return lines


def expected() -> list[tuple[int, str]]:
    lines = WRONG.read_text().splitlines()
    return [(number, line.partition("# E: ")[2]) for number, line in enumerate(lines, 1) if "# E: " in line]


@pytest.mark.parametrize(("line", "words"), expected())
def test_a_wrong_edge_is_an_error_for_mypy(found: dict[int, str], line: int, words: str) -> None:
    near = found.get(line, "") + found.get(line + 1, "")  # a decorator's error stands at the decorator or at the function
    assert words in near, f"mypy said {found}"


def test_what_is_right_is_no_error_for_mypy(found: dict[int, str]) -> None:
    marked = {line + step for line, _ in expected() for step in (0, 1)}
    assert not {line: text for line, text in found.items() if line not in marked}
