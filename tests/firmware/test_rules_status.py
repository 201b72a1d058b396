"""`edgematrix firmware status`, of rules: who judges what, who could, and what is left over for boards that are gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_bench import Broker, Listener

from edgematrix.cli import main

MATRIX = """
matrix: home
agents:
  green:
    agents:
      board: {host: b, inputs: {fan: text}, outputs: {t: number}}
      rule: {triggers: {hot: {on: {t: {from: board.t, above: 27}}, do: [{send: {to: board.fan, payload: "on"}}]}}}
  yard:
    agents:
      probe: {host: p, outputs: {t: number}}
"""
STATE = "em/state/home/green/board"
RULES = "em/in/home/green/board/_rules"
Status = Callable[..., tuple[int, str]]


@pytest.fixture
def status(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Status:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgematrix.cli.logs.show_logs", lambda: None)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "home.yaml").write_text(MATRIX)

    def run(*words: str) -> tuple[int, str]:
        code = main.main(["firmware", "status", *words, "--url", f"mqtt://127.0.0.1:{broker.port}"])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def born(listener: Listener, rules: object, topic: str = STATE) -> None:
    state = {"v": 1, "status": "ready", "host": "b", "session": "s", "since": None, "revision": 0, "rules": rules}
    listener.publish(topic, json.dumps(state), retain=True)


def test_what_a_board_judges(status: Status, listener: Listener) -> None:
    born(listener, {"table": "0badcafe", "bytes_max": 900})
    listener.publish(RULES, '[1, "0badcafe", [], []]', retain=True)
    code, said = status("--matrix", "home.yaml")
    assert code == 0
    assert "home/green/board" in said
    assert "judges the rules 0badcafe itself" in said
    assert "the broker holds" not in said
    listener.publish(RULES, '[1, "1badcafe", [], []]', retain=True)
    assert "the broker holds the rules 1badcafe for it, which it has not taken yet" in status("--matrix", "home.yaml")[1]
    assert "judges the rules 0badcafe itself" in status()[1]
    found = json.loads(status("--json", "home/green/board")[1])
    assert found["rules"] == {"judges": True, "table": "0badcafe", "offered": "1badcafe", "refused": None}


def test_why_a_board_does_not_judge(status: Status, listener: Listener) -> None:
    born(listener, None)
    born(listener, None, "em/state/home/yard/probe")
    code, said = status("--matrix", "home.yaml")
    assert code == 0
    assert "could judge 1 group, and its program has no Judge: the host judges, and nobody while it is cut off" in said
    assert "probe" not in said, "nothing could be judged there"
    assert status()[1] == "no boards that can be updated, or judge\n"
    born(listener, {"table": "", "bytes_max": 900})
    assert "could judge 1 group, and has no rules yet" in status("--matrix", "home.yaml")[1]
    born(listener, {"table": "", "bytes_max": 900, "refused": {"table": "0badcafe", "reason": "there is no memory for it"}})
    assert "refused the rules 0badcafe: there is no memory for it" in status()[1]


def test_what_is_left_for_boards_that_are_gone(status: Status, broker: Broker, listener: Listener) -> None:
    gone = ("em/in/home/green/old/_rules", "em/in/home/green/old/_update")
    for topic in (*gone, RULES, "em/in/office/board/_rules"):
        listener.publish(topic, '[1, "0badcafe", [], []]', retain=True)
    said = status("--matrix", "home.yaml")[1]
    for topic in gone:
        assert f"{topic} is for a board that is gone: left over, --clear takes it back" in said
    assert RULES not in said
    assert "office" not in said
    assert "taken back" in status("--matrix", "home.yaml", "--clear")[1]
    late = Listener(broker.port)
    late.publish("end", b"")
    assert sorted(late.topics_until("end")) == [RULES, "em/in/office/board/_rules"]
    late.close()


def test_what_is_cleared_is_told_by_a_matrix(status: Status) -> None:
    code, said = status("--clear")
    assert code == 2
    assert "--matrix FILE" in said


@pytest.mark.parametrize("payload", ["", "7", "[]", "[1]", "[1, 2]", "{", '{"rules": 7}', '{"v": 1, "status": "ready", "rules": [1]}'])
def test_what_makes_no_sense_is_passed_over(status: Status, listener: Listener, payload: str) -> None:
    listener.publish(STATE, payload, retain=True)
    listener.publish(RULES, payload or "x", retain=True)
    code, said = status("--matrix", "home.yaml")
    assert (code, said) == (0, "no boards that can be updated, or judge\n")
