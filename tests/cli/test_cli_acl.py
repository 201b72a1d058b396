"""`edgematrix acl`: what it writes, tells, compares, and brings to a running broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgematrix.cli import broker_access
from edgematrix.cli.main import main

HOME = """
matrix: home
access:
  hosts: [pi]
  operators: {anna: {}, ben: {paths: [home/hall], verbs: [pause]}}
  clients: {z2m: {publishes: ["zigbee2mqtt/#"], reads: ["zigbee2mqtt/+/set"]}}
agents:
  hall:
    agents:
      lamp: {device: {reads: {light: {topic: zigbee2mqtt/lamp}}, writes: {set: {topic: zigbee2mqtt/lamp/set}}}}
      dark: {triggers: {now: {on: {light: {from: lamp.light}}, do: [{send: {to: lamp.set, payload: 1}}]}}}
  tank: {host: board, inputs: {pump: boolean}, outputs: {level: number}}
"""

Acl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home.yaml").write_text(HOME)
    return tmp_path / "home.yaml"


@pytest.fixture
def acl(home: Path, capsys: pytest.CaptureFixture[str]) -> Acl:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["acl", str(home), *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_it_writes_what_mosquitto_reads_and_finds_it_right(acl: Acl, tmp_path: Path):
    code, text, _ = acl()
    (tmp_path / "acl").write_text(text)
    assert code == 0
    assert "user home.tank\n# it speaks for itself\ntopic write em/ack/home/tank/#\n" in text
    assert "# home/hall/lamp writes set\ntopic write zigbee2mqtt/lamp/set\n" in text
    assert acl("--check", str(tmp_path / "acl")) == (0, "✓ it says what the matrix says\n", "")


def test_it_writes_what_nats_reads_and_finds_it_right(acl: Acl, tmp_path: Path):
    code, text, _ = acl("--broker", "nats")
    (tmp_path / "access.conf").write_text(text)
    assert code == 0
    assert '"zigbee2mqtt.*.set"  # z2m reads' in text
    assert acl("--broker", "nats", "--check", str(tmp_path / "access.conf"))[0] == 0


def test_a_list_that_was_edited_is_told_with_its_lines(acl: Acl, tmp_path: Path):
    text = acl()[1]
    edited = text.replace("topic write zigbee2mqtt/#", "topic readwrite zigbee2mqtt/#").replace("topic read em/spec/home/#\n", "", 1)
    (tmp_path / "acl").write_text(edited)
    line = edited.splitlines().index("topic readwrite zigbee2mqtt/#") + 1
    code, _, told = acl("--check", str(tmp_path / "acl"))
    assert code == 1
    assert f"{tmp_path}/acl:{line}: client z2m may read zigbee2mqtt/#, which the matrix does not grant" in told
    assert f"{tmp_path}/acl: host pi may not read em/spec/home/#, which the matrix grants" in told
    assert "✗ 2 differences" in told


def test_people_are_told_who_may_do_what_and_why(acl: Acl):
    code, text, _ = acl("--list")
    assert code == 0
    assert "device home/tank, as home.tank" in text
    assert [line.split(None, 2)[2] for line in text.splitlines() if "publishes  zigbee2mqtt/lamp/set" in line] == [
        "home/hall/lamp writes set"
    ]


def test_commands_of_the_plugin_can_be_looked_at(acl: Acl):
    code, text, _ = acl("--form", "commands")
    assert code == 0
    assert '"rolename": "em:home:anna"' in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--list", "--check", "x"], "--list, --check and --apply are three questions"),
        (["--broker", "nats", "--form", "commands"], "NATS reads a file"),
        (["--broker", "nats", "--apply", "mqtt://x"], "NATS reads a file"),
        (["--check", "nowhere"], "nowhere: error: cannot be read"),
        (["--access", "nowhere"], "the list of identities is lost"),
    ],
)
def test_what_cannot_be_asked_is_refused(acl: Acl, arguments: list[str], told: str):
    code, _, error = acl(*arguments)
    assert code == 2
    assert told in error


def test_a_file_that_is_no_list_of_nats_is_refused(acl: Acl, home: Path):
    code, _, error = acl("--broker", "nats", "--check", str(home))
    assert code == 1
    assert f"{home}: error: " in error


def test_a_grant_that_cannot_be_is_refused(acl: Acl, home: Path):
    home.write_text(HOME.replace('"zigbee2mqtt/#"', '"#"'))
    code, _, error = acl()
    assert code == 1
    assert "z2m publishes: '#' reaches topics below em/" in error


def test_a_broker_without_the_plugin_is_told_with_what_to_do(acl: Acl, mosquitto, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(broker_access, "ANSWER_S_MAX", 0.3)
    code, _, error = acl("--apply", mosquitto.url)
    assert code == 1
    assert "the dynamic security plugin does not answer" in error
    assert "→ the broker needs the plugin" in error


def test_nobody_listens(acl: Acl):
    code, _, error = acl("--apply", "mqtt://127.0.0.1:1")
    assert code == 1
    assert "no broker answers" in error
