"""`edgematrix init`: a project that works at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cli_process import call, no_traceback
from typer.testing import Result


def test_what_it_makes_passes_check_and_test(project: Path):
    assert call("check", "home.yaml", "--strict", cwd=project).returncode == 0
    tested = call("test", cwd=project)
    assert tested.returncode == 0, tested.stderr
    assert "1 passed" in tested.stdout


def test_its_recording_lights_the_lamp_and_puts_it_out(project: Path):
    played = call("simulate", "home.yaml", "--input", "evening.jsonl", cwd=project)

    states = [json.loads(line)["payload"]["state"] for line in played.stdout.splitlines()]
    assert "ON" in states
    assert "OFF" in states


def test_it_tells_the_next_commands_and_they_are_there(tmp_path: Path, cli: Callable[..., Result]):
    result = cli("init", tmp_path / "my home")

    assert "cd '" in result.stdout, "a folder with a space can be pasted"
    for words in (
        "edgematrix test",
        "edgematrix run home.yaml --play evening.jsonl",
        "edgematrix send home/helper.say",
        "edgematrix watch",
    ):
        assert words in result.stdout


def test_it_overwrites_nothing(project: Path):
    (project / "home.yaml").write_text("mine")
    before = {path.name: path.read_bytes() for path in project.iterdir()}

    done = call("init", cwd=project)

    assert done.returncode == 2
    assert "home.yaml" in done.stderr
    assert "nothing is overwritten" in done.stderr
    assert {path.name: path.read_bytes() for path in project.iterdir()} == before


def test_a_gitignore_that_is_there_stays_and_the_line_to_add_is_told(tmp_path: Path):
    (tmp_path / ".gitignore").write_text("*.pyc\n")

    done = call("init", cwd=tmp_path)

    assert done.returncode == 0
    assert "add .edgematrix/ to your .gitignore" in done.stdout
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n"


def test_a_place_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    for place in ("file", "file/below", "/proc/none"):
        done = call("init", place, cwd=tmp_path)
        assert done.returncode == 2
        no_traceback(done)
