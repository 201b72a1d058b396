"""The commands that change a running matrix, before a host that answers as the test wants."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from fake_host import FakeHost, HostOf, Steer
from free_port import free_port

from edgematrix.protocol.codec import decode_event

RUN = "01976f3e-8c1a-7c52-9d0b-5b1f6c2a9e10"


@pytest.mark.parametrize(
    ("words", "topic", "data", "told"),
    [
        (["remove", "home/hall/lamp"], "remove/home/hall/lamp", {}, "removed home/hall/lamp"),
        (["duplicate", "home/hall", "home/attic"], "duplicate/home/hall", {"to": "home/attic"}, "duplicated home/hall as home/attic"),
        (["pause", "home/hall/"], "pause/home/hall", {}, "paused home/hall"),
        (["resume", "home"], "resume/home", {}, "resumed home"),
        (["cancel", RUN], "cancel/home", {"run": RUN}, f"cancelled {RUN}"),
        (["cancel", RUN, "home/report"], "cancel/home/report", {"run": RUN}, f"cancelled {RUN}"),
        (["connect", "home/report", "a", "b.x"], "connect/home/report", {"from": "a", "to": "b.x"}, "connected a -> b.x in home/report"),
        (
            ["connect", "home/report", "critic", "writer", "--when", "verdict == 'redo'", "--loop"],
            "connect/home/report",
            {"from": "critic", "to": "writer", "when": "verdict == 'redo'", "loop": True},
            "connected critic -> writer in home/report",
        ),
        (["disconnect", "home/report", "a", "b"], "disconnect/home/report", {"from": "a", "to": "b"}, "disconnected a -> b in home/report"),
    ],
)  # fmt: skip
def test_what_is_asked_and_what_is_told(
    host: FakeHost, steer: Steer, root: str, words: list[str], topic: str, data: dict[str, object], told: str
):
    done = steer(*words)

    assert (done.code, done.out, done.err) == (0, f"✓ {told}  (revision 4)\n", "")
    asked, event = host.next_asked()
    assert asked == f"{root}/op/operator/{topic}"
    assert event["data"] == {"session": event["data"]["session"], **data}
    assert event["type"] == f"em.op.{words[0]}"
    decode_event(json.dumps(event).encode())


def test_the_user_of_the_broker_is_who_asks(host: FakeHost, steer: Steer, root: str, mosquitto: BrokerProcess):
    assert steer("pause", "home", url=mosquitto.url.replace("//", "//anna:secret@")).code == 0

    assert host.next_asked()[0] == f"{root}/op/anna/pause/home"


def test_what_an_answer_holds_besides_is_shown_harmlessly_and_to_programs_as_it_is(host: FakeHost, steer: Steer):
    host.answer = lambda *_: {"done": True, "run": RUN, "cancelled": 3, "note": "one\x1b[2J"}

    assert steer("cancel", RUN, "home/report").out == f"✓ cancelled {RUN}\n  cancelled: 3\n  note: one\\x1b[2J\n"
    assert json.loads(steer("cancel", RUN, "home/report", "--json").out) == {
        "host": "pi",
        "verb": "cancel",
        "path": "home/report",
        "done": True,
        "run": RUN,
        "cancelled": 3,
        "note": "one\x1b[2J",
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_a_refusal_is_told_with_its_remedy(host: FakeHost, steer: Steer, as_json: bool):
    host.answer = lambda *_: {"refused": "there is no agent home/hal", "remedy": "did you mean home/hall?"}

    done = steer("remove", "home/hal", *(["--json"] if as_json else []))

    assert done.code == 1
    assert "error: there is no agent home/hal\n  → did you mean home/hall?" in done.err
    assert (json.loads(done.out)["refused"] if as_json else done.out) == ("there is no agent home/hal" if as_json else "")


def test_an_order_that_no_host_can_read_is_refused_by_its_dead_letter(host: FakeHost, steer: Steer, root: str):
    def give_up(verb: str, path: str, _data: dict[str, object]) -> None:
        host.dead_letter("home", f"{root}/op/operator/{verb}/{path}", "no pause: what is this")

    host.answer = give_up

    done = steer("pause", "home/hall")

    assert done.code == 1
    assert "home/hall: error: no pause: what is this" in done.err


def test_who_was_asked_and_does_not_answer_is_named(host_of: HostOf, steer: Steer, root: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgematrix.cli.order.ANSWER_S_MAX", 0.3)
    for name in ("pi", "attic"):
        host_of(name=name, agents=(f"home/{name}",)).answer = lambda *_: None

    done = steer("pause", "home")

    assert done.code == 1
    assert "no answer from attic, pi within" in done.err
    assert f"{root}/op/operator/pause/#" in done.err


def test_one_host_that_does_it_is_enough_whatever_the_other_says(host_of: HostOf, steer: Steer):
    host_of(name="pi", agents=("home/hall",))
    host_of(name="attic", agents=("home/attic",)).answer = lambda *_: {"refused": "not here"}

    for _ in range(3):
        done = steer("duplicate", "home/new", "home/newer")
        assert (done.code, done.err) == (0, "")


def test_what_somebody_else_was_answered_is_no_answer(host: FakeHost, steer: Steer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgematrix.cli.order.ANSWER_S_MAX", 0.3)
    host.answer = lambda *_: {"done": "maybe"}

    assert "no answer from pi" in steer("pause", "home").err


def test_agents_that_are_paused_can_be_resumed_and_get_no_work(host_of: HostOf, steer: Steer):
    host_of(status="paused")

    assert steer("resume", "home/hall").code == 0
    done = steer("send", "home/hall/lamp.set", "1")
    assert done.code == 1
    assert "home/hall/lamp is paused\n  → edgematrix resume home/hall/lamp" in done.err


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["pause", "elsewhere/hall"], 1, "no agent elsewhere/hall is on this bus"),
        (["pause", "home/#"], 2, "segment '#'"),
        (["pause"], 2, "PATH"),
        (["duplicate", "home/hall", "Attic"], 2, "'Attic'"),
        (["cancel", " "], 2, "the id of the run is empty"),
        (["connect", "home/report", "home/report/a", "b"], 2, "without its path"),
        (["connect", "home/report", "a.b.c", "b"], 2, "no end of an edge"),
        (["connect", "home/report", "a", "b", "--when", "verdict =="], 2, "--when 1:11"),
        (["connect", "home/report", "a", "b", "--when", "1 + 2"], 2, "a condition gives true or false"),
        (["disconnect", "home/report", "a"], 2, "TO"),
    ],
)
def test_what_cannot_be_asked_is_told(host: FakeHost, steer: Steer, words: list[str], code: int, complaint: str):
    done = steer(*words)

    assert complaint in done.err
    assert (done.code, done.out) == (code, "")
    assert host.asked.empty()


def test_without_a_path_there_has_to_be_one_matrix(host_of: HostOf, steer: Steer):
    assert "no agent is online" in steer("cancel", RUN).err

    host_of(agents=("home/a",), name="a")
    host_of(agents=("shop/a",), name="b")
    done = steer("cancel", RUN)

    assert done.code == 2
    assert f"several matrices are on this bus: home, shop\n  → edgematrix cancel {RUN} home" in done.err


def test_no_broker(steer: Steer):
    done = steer("pause", "home", url=f"mqtt://127.0.0.1:{free_port()}")

    assert (done.code, "no broker answers" in done.err) == (1, True)


# create

LAMP = """
device:
  writes:
    set: {topic: zigbee2mqtt/attic_lamp/set, range: {brightness: [0, 254]}}
"""


def test_an_agent_is_created_from_a_file(host: FakeHost, steer: Steer, root: str, tmp_path: Path):
    (tmp_path / "lamp.yaml").write_text(LAMP)

    def took_s(path: str) -> float:
        began_s = time.monotonic()
        done = steer("create", path, str(tmp_path / "lamp.yaml"))
        assert (done.code, done.out) == (0, f"✓ created {path}  (revision 4)\n")
        return time.monotonic() - began_s

    names = ("spare", "other", "third", "fourth", "fifth")  # a busy machine may be late now and then, not each time
    assert any(took_s(f"home/hall/{name}") < 2.5 for name in names), "it waits for an agent that is not there yet"
    topic, event = host.next_asked()
    assert topic == f"{root}/op/operator/create/home/hall/spare"
    assert event["data"]["spec"] == {
        "device": {"writes": {"set": {"topic": "zigbee2mqtt/attic_lamp/set", "range": {"brightness": [0, 254]}}}}
    }


def test_an_agent_is_created_from_standard_input_where_nothing_is_yet(host_of: HostOf, steer: Steer, monkeypatch: pytest.MonkeyPatch):
    host = host_of(agents=())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'\xef\xbb\xbfpython: "rules:night"')))

    assert steer("create", "home/attic/deep/night", "-").code == 0

    assert host.next_asked()[1]["data"]["spec"] == {"python": "rules:night"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("device: {writes: {set: {topik: a/b}}}", "agent.yaml:1:19"),
        ("triggers:\n  dark:\n    on: {lux: {topic: a, below: 3, if: 'value <'}}\n    do: [{emit: {out: 1}}]", "agent.yaml:3:"),
        ("python: 'm:f'\nsentences: {rules: []}", "agent.yaml:2:"),
        ("flow: {edges: ['in -> a', 'a -> b'], max_steps: 3}\nagents: {a: {python: 'm:f'}}", "agent.yaml:1:"),
        ("human: {ask: 'really ${'}", "agent.yaml:1:"),
        ("matrix: home\nagents: {}", "agent.yaml:1:1: error: this is a whole matrix"),
        ("spare:\n  python: 'm:f'", "agent.yaml:1:1: error: the agent's name stands in its path"),
        ("a: [", "agent.yaml:2:1"),
        ("", "agent.yaml"),
        ("- 1", "agent.yaml:1:1"),
    ],
)
def test_a_wrong_definition_is_told_with_its_place_and_asked_of_nobody(
    host: FakeHost, steer: Steer, tmp_path: Path, text: str, complaint: str
):
    (tmp_path / "agent.yaml").write_text(text)

    done = steer("create", "home/hall/spare", str(tmp_path / "agent.yaml"))

    assert (done.code, done.out) == (1, "")
    assert complaint in done.err
    assert "error:" in done.err
    assert host.asked.empty()


@pytest.mark.parametrize("raw", [b"\xff", b"a" * (16 * 1024 * 1024 + 1)])
def test_standard_input_that_is_no_text_of_a_bearable_size(steer: Steer, monkeypatch: pytest.MonkeyPatch, raw: bytes):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))

    done = steer("create", "home/a", "-")

    assert done.code == 1
    assert "<stdin>" in done.err


def test_what_refers_to_others_is_left_to_the_host_and_warnings_are_told(host: FakeHost, steer: Steer, tmp_path: Path):
    (tmp_path / "rule.yaml").write_text(
        "triggers:\n  dusk:\n    need: sequence\n    on: {sun: {sun: sunset}, lux: {from: lux.illuminance, below: 30, role: condition}}\n"
        "    do: [{send: {to: /home/attic/lamp.set, payload: 1}}]\n"
    )

    done = steer("create", "home/hall/rule", str(tmp_path / "rule.yaml"))

    assert done.code == 0, done.err
    assert "rule.yaml:3:11: warning: a sequence of one regular source" in done.err
    assert host.next_asked()[0].endswith("create/home/hall/rule")


def test_a_matrix_is_not_created_so(steer: Steer, tmp_path: Path):
    (tmp_path / "lamp.yaml").write_text(LAMP)

    done = steer("create", "home", str(tmp_path / "lamp.yaml"))

    assert (done.code, "'home' is a matrix" in done.err) == (2, True)
