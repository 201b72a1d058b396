"""Errors as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgematrix.cli.finding import show_error, show_issue
from edgematrix.errors import BusError, ConfigError, Issue


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def test_an_issue_shows_its_line_and_points_at_the_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "home.yaml"
    file.write_text("matrix: home\nagents:\n  hall:\n    trigers: {}\n")

    show_issue(Issue("error", "the key 'trigers' is not known here", str(file), 4, 5, "agents.hall", "did you mean 'triggers'?"))

    assert capsys.readouterr().err.splitlines() == [
        f"{file}:4:5: error: the key 'trigers' is not known here  at agents.hall",
        "  4 │     trigers: {}",
        "    │     ^^^^^^^",
        "  → did you mean 'triggers'?",
    ]


def test_a_password_in_the_line_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "home.yaml"
    file.write_text("broker: mqtt://anna:hunter2@host\nother: mqtt://anna:${secret:pw}@host\n")

    show_issue(Issue("warning", "look", str(file), 1, 9))
    show_issue(Issue("warning", "look", str(file), 2, 8))

    shown = capsys.readouterr().err
    assert "mqtt://anna:*******@host" in shown
    assert "mqtt://anna:${secret:pw}@host" in shown


def test_the_caret_stands_below_its_word_after_tabs_and_wide_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "home.yaml"
    file.write_text("\t居間: nein\n", encoding="utf-8")

    show_issue(Issue("error", "expected true or false", str(file), 1, 6))

    _, line, carets = capsys.readouterr().err.splitlines()
    assert line == "  1 │  居間: nein"
    assert carets == "    │        ^^^^", "each of the two letters takes two columns"


def test_a_long_line_is_cut_around_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "home.yaml"
    file.write_text("a" * 5_000 + " here " + "b" * 5_000)

    show_issue(Issue("error", "no", str(file), 1, 5_002))

    _, line, carets = capsys.readouterr().err.splitlines()
    assert len(line) < 140
    assert line[carets.index("^") : carets.rindex("^") + 1] == "here"


@pytest.mark.parametrize(("line", "column"), [(0, 0), (99, 1), (1, 500), (2, 1)])
def test_a_place_that_is_not_in_the_file_costs_only_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: int, column: int):
    file = tmp_path / "home.yaml"
    file.write_text("matrix: home\n")

    show_issue(Issue("warning", "odd", str(file), line, column))

    assert "warning: odd" in capsys.readouterr().err


def test_what_comes_from_outside_cannot_reach_the_terminal(capsys: pytest.CaptureFixture[str]):
    show_error(BusError("it said \x1b[2Jboo\u202e\x07", where="a\x9bb"))

    shown = capsys.readouterr().err
    assert shown == "a\\x9bb: error: it said \\x1b[2Jboo\\u202e\\x07\n"


def test_each_issue_of_a_file_is_told(capsys: pytest.CaptureFixture[str]):
    show_error(ConfigError([Issue("error", "first", "a.yaml", 1, 2), Issue("error", "second", "a.yaml", 3, 4)]))

    shown = capsys.readouterr().err
    assert "a.yaml:1:2: error: first" in shown
    assert "a.yaml:3:4: error: second" in shown
