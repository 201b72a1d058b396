"""`edgematrix simulate --diff`: what a changed matrix would have done otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import call, no_traceback

OLD = """
matrix: home
agents:
  rule:
    triggers:
      hot: {on: {t: {topic: t/temp, above: 25}}, do: [{publish: {topic: t/fan, payload: {state: "ON", was: "${t.value}"}}}]}
      cold: {on: {t: {topic: t/temp, below: 19, for: 2m}}, do: [{publish: {topic: t/heat, payload: 1, retain: true}}]}
      same: {on: {t: {topic: t/temp}}, do: [{publish: {topic: t/seen, payload: "${t.value}"}}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old.yaml").write_text(OLD)
    values = [(0, 20), (10, 26), (60, 18), (300, 27), (400, 18), (410, 20)]
    (tmp_path / "day.jsonl").write_text("".join(json.dumps({"at": at, "topic": "t/temp", "payload": value}) + "\n" for at, value in values))
    return tmp_path


def simulate(folder: Path, new: str, *options: object):
    (folder / "new.yaml").write_text(new)
    done = call("simulate", "new.yaml", "--input", "day.jsonl", "--diff", "old.yaml", *options, cwd=folder)
    no_traceback(done)
    return done


def test_what_changes_is_shown_row_by_row(folder: Path):
    done = simulate(folder, OLD.replace('"ON"', '"AUTO"').replace("2m", "3m"))

    assert done.returncode == 1
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        "   at  topic   old                      new",
        ' 10 s  t/fan   {"state":"ON","was":26}  {"state":"AUTO","was":26}',
        "180 s  t/heat  1                        —",
        "240 s  t/heat  —                        1",
        '300 s  t/fan   {"state":"ON","was":27}  {"state":"AUTO","was":27}',
    ]
    assert done.stderr == "1 gone, 1 new, 2 changed; 9 publications before, 9 now\n"


def test_lines_for_programs(folder: Path):
    done = simulate(folder, OLD.replace("retain: true", "retain: false, qos: 1").replace("above: 25", "above: 26.5"), "--json")

    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"at": 10.0, "topic": "t/fan", "old": {"payload": {"state": "ON", "was": 26}, "retain": False, "qos": 0}, "new": None},
        {
            "at": 180.0,
            "topic": "t/heat",
            "old": {"payload": 1, "retain": True, "qos": 0},
            "new": {"payload": 1, "retain": False, "qos": 1},
        },
    ]


def test_a_flag_alone_and_what_differs_far_to_the_right_are_seen(folder: Path):
    long = "x" * 200
    (folder / "old.yaml").write_text(OLD.replace("ON", f"{long}1"))

    done = simulate(folder, OLD.replace("ON", f"{long}2").replace("retain: true", "retain: false"))

    assert f'{{"state":"{long}1","was":26}}' in done.stdout
    assert f'{{"state":"{long}2","was":26}}' in done.stdout
    assert "1 (retained)" in done.stdout
    assert "1 (not retained)" in done.stdout


def test_no_difference_is_exit_code_0(folder: Path):
    done = simulate(folder, "# a comment changes nothing\n" + OLD, "--until", "5m")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no differences: 7 publications\n")


def test_inner_outputs_are_compared_by_their_data(folder: Path):
    (folder / "old.yaml").write_text(OLD.replace("publish: {topic: t/seen, payload:", "emit: {out:"))

    done = simulate(
        folder,
        OLD.replace("publish: {topic: t/seen, payload:", "emit: {out:").replace('"${t.value}"}}]}\n', "1}}]}\n"),
        "--watch",
        "em/out/#",
    )

    assert done.returncode == 1
    assert done.stdout.splitlines()[1].split() == ["0", "s", "em/out/home/rule/out", "20", "1"]


@pytest.mark.parametrize(
    ("new", "old", "complaint", "code"),
    [
        (OLD, "matrix: home\nagents: {a: {tiggers: {}}}\n", "old.yaml:2:", 1),
        (OLD.replace("above", "abuv"), OLD, "new.yaml:6:", 1),
        (OLD, None, "old.yaml", 1),
    ],
)
def test_what_cannot_be_compared_is_told(folder: Path, new: str, old: str | None, complaint: str, code: int):
    (folder / "old.yaml").unlink()
    if old is not None:
        (folder / "old.yaml").write_text(old)

    done = simulate(folder, new)

    assert complaint in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
