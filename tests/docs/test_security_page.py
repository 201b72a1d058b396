"""The page on security claims nothing without a test that shows it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")
_HELD = re.compile(r"^(yes|partly|no|yours)\b")
"""How a line of a table begins that tells whether something is protected: `yours` is what whoever runs it has to do."""


def rows() -> list[list[str]]:
    """The rows of the tables that say what is held, without their heads."""
    found: list[list[str]] = []
    is_wanted = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            is_wanted = False
        elif cells[1] == "held?":
            is_wanted = True
        elif is_wanted and not cells[0].startswith("-"):
            found.append(cells)
    return found


@cache
def source(file: str) -> str:
    return (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_each_line_says_whether_it_holds_and_shows_it(row: list[str]) -> None:
    what, held, shown = row
    found = _HELD.match(held)
    assert found is not None, f"{what}: {held}"
    if found[1] in ("yes", "partly"):
        assert _TEST.search(shown), f"{what}: no test is named"


@pytest.mark.parametrize(("file", "name"), sorted(set(_TEST.findall(PAGE))))
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", source(file), re.MULTILINE), f"tests/{file} has no {name}"


def test_the_lists_are_whole() -> None:
    titles = " ".join(row[0] for row in rows())
    wanted = [f"5.{number} " for number in range(1, 14)] + ["6 "] + [f"I{number} " for number in range(1, 11)]
    wanted += [f"ASI{number:02} " for number in range(1, 11)]
    assert [name for name in wanted if name not in f"{titles} "] == []
