"""`edgematrix dead`: messages that could not be handled, listed, shown, retried and dropped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, Running, call, no_traceback
from fake_host import FakeHost, HostOf, Steer

from edgematrix.cli.letter_text import outcome_line, short_ids, table, whole

FIRST, SECOND = "01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10", "01976f3e-8c1a-7c52-9d0b-5b1f1c2a9e10"
OLD = {
    "id": FIRST,
    "agent": "home/report",
    "topic": "em/run/home/report",
    "reason": "ValueError: it is late",
    "at": "2025-01-01T10:00:00Z",
    "retries": 2,
    "size_bytes": 40,
    "run": "r1",
    "taint": "web",
}
NEW = {
    "id": SECOND,
    "agent": "home/hall/lamp",
    "topic": "em/in/home/hall/lamp/set",
    "reason": "level is 300\n" + "x" * 200,
    "at": "2025-01-02T10:00:00Z",
    "retries": 0,
    "size_bytes": 20,
}


def has(host: FakeHost, *letters: dict[str, Any], **more: Any) -> None:
    """Let a host have these letters, and handle all that it is asked to."""

    def answer(_verb: str, _path: str, data: dict[str, Any]) -> dict[str, Any]:
        if data["do"] == "list":
            found = list(letters)
        else:
            found = [letter for letter in letters if data.get("all") or letter["id"] in data["ids"]]
            if not found:
                return {"refused": f"no dead letter {data['ids'][0]} is kept here", "remedy": "look", "last": True}
        unknown = [text for text in data.get("ids", ()) if text not in [letter["id"] for letter in found]]
        outcomes = {"retry": {"outcome": "handed_in", "how": "a fresh message"}, "drop": {"outcome": "dropped"}}
        told = [letter | outcomes.get(data["do"], {}) for letter in found]
        return {"done": True, "total": len(letters), "forgotten": 0, "unknown": unknown, "letters": told, "last": True, **more}

    host.answer = answer


class Terminal(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


def test_the_newest_is_listed_first_with_the_end_of_its_id(host: FakeHost, steer: Steer, root: str):
    has(host, OLD, NEW, forgotten=7)

    done = steer("dead", "list")

    heading, new, old = done.out.splitlines()
    assert done.code == 0
    assert heading.split() == ["ID", "DIED", "AGENT", "RETRIES", "REASON"]
    short = short_ids([FIRST, SECOND])
    assert new.startswith(f"{short[SECOND]}  ")
    assert "home/hall/lamp  0        level is 300\\nxxx" in new
    assert new.endswith("x…")
    assert len(new) <= 120
    assert old.startswith(f"{short[FIRST]}  ")
    assert old.endswith("  home/report     2        ValueError: it is late")
    assert done.err == "7 gave way to newer ones\n"
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/dead/home"
    assert event["data"] == {"session": event["data"]["session"], "do": "list", "newest": 50}


def test_ids_are_shown_by_ends_that_differ():
    assert short_ids(["ab12345678"]) == {"ab12345678": "12345678"}
    assert short_ids(["ab12345678", "ac12345678", "ad12345678"]) == {f"a{x}12345678": f"{x}12345678" for x in "bcd"}


def test_no_letters_and_letters_that_are_not_shown(host: FakeHost, steer: Steer):
    has(host)
    assert (steer("dead", "list").out, steer("dead", "list", "--json").out) == ("no dead letters\n", "")

    has(host, NEW, OLD, total=30)
    done = steer("dead", "list", "--last", "1")
    assert len(done.out.splitlines()) == 2
    assert done.err == "29 older ones are kept too\n"


def test_for_programs_a_letter_a_line_of_each_host(host_of: HostOf, steer: Steer):
    has(host_of(("home/report",), name="pi"), OLD)
    has(host_of(("home/hall/lamp",), name="attic"), NEW)

    told = [json.loads(line) for line in steer("dead", "list", "--json").out.splitlines()]

    assert told == [{"host": "attic", **NEW}, {"host": "pi", **OLD}]


def test_an_answer_in_parts_is_one_answer(host: FakeHost, steer: Steer, root: str):
    def answer(verb: str, path: str, data: dict[str, Any]) -> dict[str, Any]:
        part = {"verb": verb, "path": path, "done": True, "total": 2, "letters": [OLD], "last": False}
        event = {"specversion": "1.0", "id": "p", "source": "/home", "type": "em.reply", "data": part}
        host._client.publish(f"{root}/reply/pi/operator/{data['session']}", json.dumps(event), 1)
        return part | {"letters": [NEW], "last": True}

    host.answer = answer

    assert [json.loads(line)["id"] for line in steer("dead", "list", "--json").out.splitlines()] == [SECOND, FIRST]


def test_one_is_shown_whole_with_its_payload_laid_out(host: FakeHost, steer: Steer):
    has(host, OLD | {"payload": {"in": ["a", "\x1b[2J"]}, "retry": {"how": "as new work"}})

    done = steer("dead", "show", FIRST)

    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == FIRST
    assert "  agent     home/report" in lines
    assert "  reason    ValueError: it is late" in lines
    assert "  run       r1" in lines
    assert "  taint     web" in lines
    assert "  retry     as new work" in lines
    start = lines.index("  payload")
    assert lines[start + 1 :] == ["    {", '      "in": [', '        "a",', '        "\\u001b[2J"', "      ]", "    }"]


def test_an_end_of_an_id_will_do_if_it_tells_one_from_all_others(host: FakeHost, steer: Steer):
    has(host, OLD, NEW)

    assert json.loads(steer("dead", "show", FIRST[-12:], "--json").out)["id"] == FIRST
    assert host.next_asked()[1]["data"]["do"] == "list"
    assert host.next_asked()[1]["data"]["ids"] == [FIRST]
    ambiguous = steer("dead", "drop", FIRST[-7:])
    assert ambiguous.code == 2
    assert "2 dead letters have an id like" in ambiguous.err
    assert host.next_asked()[1]["data"]["do"] == "list"
    assert host.asked.empty(), "nothing was dropped"


@pytest.mark.parametrize(("do", "words"), [("retry", "handed in: a fresh message"), ("drop", "dropped")])
def test_those_that_are_named_are_handled(host: FakeHost, steer: Steer, root: str, do: str, words: str):
    has(host, OLD, NEW)

    done = steer("dead", do, FIRST, SECOND, "--in", "home/hall")

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [f"✓ {FIRST}  home/report  {words}", f"✓ {SECOND}  home/hall/lamp  {words}"]
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/dead/home/hall"
    assert event["data"] == {"session": event["data"]["session"], "do": do, "ids": [FIRST, SECOND]}


def test_what_no_host_has_is_said_and_is_a_failure(host_of: HostOf, steer: Steer):
    has(host_of(("home/report",), name="pi"), OLD)
    has(host_of(("home/hall/lamp",), name="attic"), NEW)
    other = "01976f3e-8c1a-7c52-9d0b-000000000000"

    both = steer("dead", "drop", FIRST, SECOND)
    assert (both.code, both.out.count("dropped"), both.err) == (0, 2, "")
    one = steer("dead", "drop", FIRST, other)
    assert (one.code, one.out.count("dropped"), one.err) == (1, 1, f"no dead letter {other} is kept\n")
    none = steer("dead", "drop", other)
    assert (none.code, f"no dead letter {other} is kept here" in none.err) == (1, True)


@pytest.mark.parametrize("became", [{"outcome": "died", "reason": "late"}, {"outcome": "refused", "reason": "late", "remedy": "hurry"}])
def test_one_that_cannot_be_retried_or_dies_again_is_a_failure(host: FakeHost, steer: Steer, became: dict[str, str]):
    host.answer = lambda *_: {"done": True, "letters": [{"id": FIRST, "agent": "home/report", **became}], "last": True}

    done = steer("dead", "retry", FIRST)

    assert done.code == 1
    assert f"✗ {FIRST}  home/report  " in done.out
    assert "late" in done.out


def test_all_are_handled_after_a_question_in_a_terminal(host: FakeHost, steer: Steer, root: str, monkeypatch: pytest.MonkeyPatch):
    has(host, OLD, NEW)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    refused = steer("dead", "drop", "--all", "home/hall")
    assert (refused.code, "Drop 2 dead letters of home/hall?" in refused.err) == (1, True)
    assert host.next_asked()[1]["data"]["do"] == "list"
    assert host.asked.empty()

    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert steer("dead", "drop", "--all", "home/hall").code == 0
    host.next_asked()
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/dead/home/hall"
    assert event["data"] == {"session": event["data"]["session"], "do": "drop", "all": True}

    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert steer("dead", "retry", "--all", "--yes").code == 0
    assert host.next_asked()[1]["data"]["do"] == "retry"
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert steer("dead", "retry", "--all").code == 0, "nobody is there to be asked"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("drop",), "drop which?"),
        (("retry", "--all", "home", "home/hall"), "--all takes one path"),
        (("drop", "--all", "home", "--in", "home"), "--all takes one path"),
        (("list", "No/Path"), "No"),
        (("list", "--last", "0"), "--last"),
    ],
)
def test_wrong_usage(host: FakeHost, steer: Steer, words: tuple[str, ...], what: str):
    done = steer("dead", *words)

    assert (done.code, what in done.err) == (2, True), done.err
    assert host.asked.empty()


def test_each_sub_command_has_help_with_an_example():
    for name in ("list", "show", "retry", "drop"):
        done = call("dead", name, "--help", cwd=Path.cwd())
        assert done.returncode == 0
        assert f"  edgematrix dead {name}" in done.stdout
        for option in ("--url", "--root", "--json"):
            assert option in done.stdout


def test_what_is_no_letter_is_shown_harmlessly():
    told = {"id": None, "agent": "\x1b[2J", "reason": 7, "at": "soon", "retry": [], "payload": "\x07one\ntwo", "cut": True}

    assert list(table([told, {}], 80))[1:]
    lines = list(whole(told))
    assert "\x1b[2J" not in "".join(lines)
    assert lines[-2:] == ["    \\x07one", "    two"]
    assert outcome_line({"outcome": "buried\x1b"}).endswith("buried\\x1b: None")


# Beside a real host

MATRIX = """
matrix: shop
agents:
  lamp: {device: {writes: {set: {topic: dead/lamp, range: {level: [0, 10]}}}}}
  till: {python: "till:work", inputs: {in: {type: text}}, outputs: {out: {type: text}}, retry: {attempts: 1}}
"""
CODE = """
from pathlib import Path
from edgematrix import Context

async def work(text: str, ctx: Context) -> str:
    if not Path("open").exists():
        raise ValueError("the shop is closed")
    return f"sold {text}"
"""


@pytest.fixture
def broker(own_broker: Callable[..., BrokerProcess]) -> BrokerProcess:
    found = own_broker("mosquitto")
    found.start()
    return found


def test_letters_of_a_real_host_outlive_it_and_are_handled(tmp_path: Path, broker: BrokerProcess, start: Callable[..., Running]):
    (tmp_path / "shop.yaml").write_text(MATRIX)
    (tmp_path / "till.py").write_text(CODE)

    def run() -> Running:
        running = start("run", "shop.yaml", "--broker", broker.url, "--name", "pi", cwd=tmp_path)
        running.wait_for("  connected")
        return running

    host, ear = run(), Ear(broker.port, "#")
    try:
        assert call("send", "shop/till", "bread", "--wait", "0", cwd=tmp_path).returncode == 0
        ear.say("em/in/shop/lamp/set", '{"level": 11}')
        for path in ("shop/till", "shop/lamp"):
            ear.wait_for(lambda topic, _, path=path: topic == f"em/dead/{path}")
        listed = [json.loads(line) for line in call("dead", "list", "--json", cwd=tmp_path).stdout.splitlines()]
        assert [letter["agent"] for letter in listed] == ["shop/lamp", "shop/till"]
        lamp, till = (letter["id"] for letter in listed)

        died = call("dead", "retry", till[-8:], cwd=tmp_path)
        assert (died.returncode, "died again: ValueError: the shop is closed" in died.stdout) == (1, True), died.stderr
        host.stop()
        host = run()
        shown = call("dead", "show", till[-8:], cwd=tmp_path)
        assert "the shop is closed" in shown.stdout
        assert "retries   1" in shown.stdout
        assert '"in": "bread"' in shown.stdout

        (tmp_path / "open").touch()
        retried = call("dead", "retry", "--all", "shop/till", cwd=tmp_path)
        assert retried.returncode == 0, retried.stdout + retried.stderr
        out = ear.wait_for(lambda topic, _: topic == "em/out/shop/till/out")
        assert json.loads(out[1])["data"] == "sold bread"
        dropped = call("dead", "drop", lamp, cwd=tmp_path)
        assert dropped.stdout == f"✓ {lamp}  shop/lamp  dropped\n"
        assert call("dead", "list", cwd=tmp_path).stdout == "no dead letters\n"
        gone = call("dead", "show", lamp, cwd=tmp_path)
        assert (gone.returncode, f"no dead letter {lamp} is kept here" in gone.stderr) == (1, True)
        no_traceback(gone)
    finally:
        ear.close()
