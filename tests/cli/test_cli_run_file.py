"""`.edgematrix/run.json`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from edgematrix.cli.announcement import announced, refuse_second_run
from edgematrix.cli.run_file import FOLDER, RunFile, find_run, is_alive, process_birth, without_password
from edgematrix.cli.target import find_target
from edgematrix.errors import BusError

RUN = RunFile(
    url="mqtt://127.0.0.1:1883",
    matrix="/x/home.yaml",
    name="home",
    root="em",
    host="pi",
    pid=1,
    birth=process_birth(1),
    started="",
    state="/x",
)
"""A run whose process lives: the first of all."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_found_from_its_folder_and_from_below(folder: Path):
    RUN.write(folder / FOLDER)
    (folder / "deep" / "er").mkdir(parents=True)

    assert find_run() == RUN
    assert find_run(folder / "deep" / "er") == RUN
    assert find_target(None, None).url == RUN.url


def test_only_its_owner_may_read_it(folder: Path):
    RUN.write(folder / FOLDER)

    assert (folder / FOLDER / "run.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "stale", [replace(RUN, pid=2**22 - 3), replace(RUN, birth="4711 of another boot"), replace(RUN, pid=-1), replace(RUN, pid=os.getpid())]
)
def test_what_a_dead_process_left_is_no_run(folder: Path, stale: RunFile):
    stale.write(folder / FOLDER)

    assert find_run() is None
    refuse_second_run(folder / FOLDER)
    with pytest.raises(BusError, match="nothing runs in this folder"):
        find_target(None, None)


def test_the_environment_names_the_broker_where_nothing_runs_and_nothing_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGEMATRIX_BROKER", "mqtt://house")

    assert find_target(None, None).url == "mqtt://house"
    assert find_target("mqtt://said", None).url == "mqtt://said"
    RUN.write(folder / FOLDER)
    assert find_target(None, None).url == RUN.url, "a try in a folder must not reach the house"


def test_an_empty_environment_names_no_broker(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGEMATRIX_BROKER", " ")

    with pytest.raises(BusError, match="EDGEMATRIX_BROKER"):
        find_target(None, None)


@pytest.mark.parametrize("command", ["send", "watch", "trace", "approve", "pause", "record", "dead"])
def test_a_broker_may_be_given_by_the_word_that_hosts_know(cli: Callable[..., Result], command: str):
    words = {"dead": ["dead", "list"]}.get(command, [command])

    assert "--broker" in cli(*words, "--help").output


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}', '"\\ud800"', '{"pid": "x"}'])
def test_a_broken_file_is_no_run(folder: Path, content: str):
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "run.json").write_text(content)

    assert find_run() is None


def test_a_second_run_on_the_same_states_is_refused(folder: Path):
    RUN.write(folder / FOLDER)

    with pytest.raises(BusError, match="runs here already, as process 1") as refused:
        refuse_second_run(folder / FOLDER)
    assert "--state" in refused.value.remedy


def test_it_is_there_for_as_long_as_the_run(folder: Path):
    with announced(Path("states"), url=RUN.url, matrix=Path("home.yaml"), name="home", root="em", host="pi"):
        for place in ("states", FOLDER):
            text = (folder / place / "run.json").read_text()
            assert f'"matrix": "{folder / "home.yaml"}"' in text
            assert f'"pid": {os.getpid()}' in text
    assert not (folder / "states" / "run.json").exists()
    assert not (folder / FOLDER / "run.json").exists()


def test_the_file_of_another_run_is_left_alone(folder: Path):
    RUN.write(folder / FOLDER)

    with announced(Path("states"), url="mqtt://other", matrix=Path("home.yaml"), name="home", root="em", host="pi"):
        assert find_run() == RUN

    assert find_run() == RUN


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1883"),
        ("mqtt://me@host", "mqtt://me@host"),
        ("mqtt://me:secret@host:1883", "mqtt://me@host:1883"),
        ("mqtts://me:a%40b:c@[::1]:8883?ca=/x.pem", "mqtts://me@[::1]:8883?ca=/x.pem"),
        ("mqtt://:secret@host", "mqtt://@host"),
    ],
)
def test_a_password_is_not_kept(url: str, kept: str):
    assert without_password(url) == kept


def test_a_password_is_looked_up_in_the_matrix(folder: Path, monkeypatch: pytest.MonkeyPatch):
    matrix = folder / "home.yaml"
    matrix.write_text('matrix: home\nbroker: "mqtt://me:${env:SECRET}@host"\n')
    monkeypatch.setenv("SECRET", "secret")
    replace(RUN, url="mqtt://me@host", matrix=str(matrix)).write(folder / FOLDER)

    assert find_target(None, None).url == "mqtt://me:secret@host"

    replace(RUN, url="mqtt://you@host", matrix=str(matrix)).write(folder / FOLDER)
    with pytest.raises(BusError, match="wants a password"):
        find_target(None, None)


def test_a_process_is_known_by_its_number_and_its_birth():
    assert is_alive(os.getpid(), process_birth(os.getpid()))
    assert not is_alive(os.getpid(), process_birth(1))
    assert not is_alive(0, "")
