"""`edgematrix approve`: which questions wait, and the answers to them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fake_host import FakeHost, HostOf, Steer

from edgematrix.cli.order import Reply
from edgematrix.cli.waiting_question import questions_in

FIRST, SECOND = "01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10", "01976f3e-9c1a-7c52-9d0b-5b1f6c2a9e11"
EDITOR = {
    "agent": "home/report/editor",
    "run": FIRST,
    "question": "Publish it?\n(3 pages)",
    "choices": ["yes", "2"],
    "until": "2026-01-02T00:00:00Z",
}
COOK = {"agent": "home/cook", "run": SECOND, "question": "What is for dinner?", "choices": [], "until": "2026-01-01T00:00:00Z"}


def asks(host: FakeHost, *questions: dict[str, Any]) -> None:
    """Let a host have these questions."""

    def answer(_verb: str, _path: str, data: dict[str, Any]) -> dict[str, Any]:
        return {"done": True, "questions": list(questions)} if data.get("list") else {"done": True}

    host.answer = answer


class Terminal(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_the_questions_that_wait_are_listed_whole_the_most_urgent_first(host: FakeHost, steer: Steer, root: str):
    asks(host, EDITOR, COOK)

    done = steer("approve")

    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].startswith(f"home/cook  (run {SECOND}, until ")
    assert lines[1] == "  What is for dinner?"
    assert lines[2].startswith(f"home/report/editor  (run {FIRST}, until ")
    assert lines[3:] == ["  Publish it?", "  (3 pages)", "  → yes, 2"]
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/approve/home"
    assert event["data"] == {"session": event["data"]["session"], "list": True}


def test_for_programs_one_question_a_line(host: FakeHost, steer: Steer):
    asks(host, EDITOR, COOK)

    assert [json.loads(line) for line in steer("approve", "--json").out.splitlines()] == [COOK, EDITOR]


def test_nothing_waits(host: FakeHost, steer: Steer):
    asks(host)

    assert (steer("approve").out, steer("approve", "--json").out) == ("no question waits\n", "")
    done = steer("approve", "home/report", "yes")
    assert (done.code, "no question of home/report waits" in done.err) == (1, True)


def test_each_host_is_heard(host_of: HostOf, steer: Steer):
    asks(host_of(("home/report",), name="pi"), EDITOR)
    asks(host_of(("home/cook",), name="attic"), COOK)

    for _ in range(3):
        assert steer("approve", "--json").out.count("\n") == 2


@pytest.mark.parametrize(
    ("meant", "answer", "path", "data"),
    [
        ("home/report", "yes", "home/report/editor", {"run": FIRST, "answer": "yes"}),
        (FIRST, "2", "home/report/editor", {"run": FIRST, "answer": "2"}),
        ("home/cook", "soup, and bread", "home/cook", {"run": SECOND, "answer": "soup, and bread"}),
        (SECOND, '{"soup": 1}', "home/cook", {"run": SECOND, "answer": {"soup": 1}}),
    ],
)
def test_the_one_question_that_is_meant_is_answered(
    host: FakeHost, steer: Steer, root: str, meant: str, answer: str, path: str, data: dict[str, object]
):
    asks(host, EDITOR, COOK)

    done = steer("approve", meant, answer)

    assert (done.code, done.out) == (0, f"✓ answered {path}: {answer}\n")
    host.next_asked()
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/approve/{path}"
    assert event["data"] == {"session": event["data"]["session"], **data}


def test_of_several_none_is_answered(host: FakeHost, steer: Steer):
    asks(host, EDITOR, COOK)

    done = steer("approve", "home", "yes")

    assert done.code == 2
    assert "home/cook" in done.out
    assert f"2 questions wait\n  → say which, by its run: edgematrix approve {SECOND} yes" in done.err
    host.next_asked()
    assert host.asked.empty()


def test_without_an_answer_and_without_a_terminal_the_remedy_is_an_answer(host: FakeHost, steer: Steer):
    asks(host, EDITOR)

    done = steer("approve", "home/report")

    assert done.code == 2
    assert "Publish it?" in done.out
    assert "→ edgematrix approve home/report/editor yes" in done.err


@pytest.mark.parametrize(
    ("question", "typed", "answer"),
    [(EDITOR, "yes\n", "yes"), (EDITOR, "perhaps\n3\n1\n", "yes"), (EDITOR, "2\n", "2"), (COOK, "soup\n", "soup")],
)
def test_in_a_terminal_it_asks_until_there_is_an_answer(
    host: FakeHost, steer: Steer, monkeypatch: pytest.MonkeyPatch, question: dict[str, Any], typed: str, answer: str
):
    asks(host, question)
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    done = steer("approve", "home")

    assert done.code == 0, done.err
    assert done.out.endswith(f"✓ answered {question['agent']}: {answer}\n")
    host.next_asked()
    assert host.next_asked()[1]["data"]["answer"] == answer


def test_who_types_nothing_answers_nothing(host: FakeHost, steer: Steer, monkeypatch: pytest.MonkeyPatch):
    asks(host, EDITOR)
    monkeypatch.setattr("sys.stdin", Terminal(""))

    assert steer("approve", "home").code == 1
    host.next_asked()
    assert host.asked.empty()


def test_an_answer_may_be_refused(host: FakeHost, steer: Steer):
    asks(host, EDITOR)
    listed = host.answer
    host.answer = lambda verb, path, data: (
        listed(verb, path, data) if data.get("list") else {"refused": "'no' is no answer, expected yes, 2"}
    )

    done = steer("approve", FIRST, "no")

    assert (done.code, "'no' is no answer, expected yes, 2" in done.err) == (1, True)


@pytest.mark.parametrize("strange", [None, 7, [None, 3, {}, {"agent": ""}], {"agent": "home/a"}])
def test_what_is_no_list_of_questions_is_none(strange: object):
    assert questions_in([Reply("pi", {"done": True, "questions": strange})]) == []


def test_a_question_from_anywhere_is_shown_harmlessly():
    about = {"agent": "a\x1b[2J", "run": 3, "question": "\x07one\r\ntwo", "choices": ["\x1b"], "until": "9999-99-99"}

    (question,) = questions_in([Reply("pi", {"questions": [about]})])

    agent, first, second, choices = question.lines()
    assert "a\\x1b[2J" in agent
    assert (first, second) == ("  \\x07one", "  two")
    assert choices.endswith(" \\x1b")


def test_an_answer_about_a_command_names_the_action_that_was_shown(host: FakeHost, steer: Steer):
    action = {"agent": "home/door", "port": "lock", "payload": "UNLOCK", "origins": ["web"], "run": SECOND, "digest": "0123456789abcdef"}
    asks(host, EDITOR | {"agent": "home/door", "choices": ["yes", "no"], "action": action})

    assert json.loads(steer("approve", "--json").out)["action"] == action
    assert steer("approve", "home/door", "yes").code == 0
    orders = [host.next_asked()[1]["data"] for _ in range(3)]
    assert [order for order in orders if "answer" in order] == [
        {"session": orders[-1]["session"], "run": FIRST, "answer": "yes", "digest": "0123456789abcdef"}
    ]
