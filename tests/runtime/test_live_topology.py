"""Agents come, go, and change in a running matrix, and what runs goes on undisturbed. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from live_support import asked, order

from edgematrix.runtime.observation import DeadLettered, Dropped, Fired, Outcome, RunEnded
from edgematrix.testing.simulator import Restart

SECOND_US = 1_000_000
REPLY = "em/reply/simulation/me/s1"


def echo(topic: str, out: str) -> dict[str, Any]:
    return {"triggers": {"t": {"on": {"v": {"topic": topic}}, "do": [{"publish": {"topic": out, "payload": "${v.value}"}}]}}}


RULE = """
matrix: home
agents:
  rule: {triggers: {t: {on: {v: {topic: t/v}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
  slow: {triggers: {t: {on: {v: {topic: t/slow}}, mode: parallel, do: [{delay: 10s}, {publish: {topic: t/late, payload: "${v.value}"}}]}}}
  hall: {agents: {ear: {triggers: {t: {on: {v: {topic: t/v}}, do: [{publish: {topic: t/ear, payload: "${v.value}"}}]}}}}}
"""


def at(played, topic: str) -> list[tuple[float, object]]:
    return [(when, payload) for when, seen, payload in played.told if seen == topic]


def answers(played) -> list[dict[str, Any]]:
    return played.on(REPLY)


def test_a_created_agent_works_and_the_others_go_on(play) -> None:
    played = play(
        RULE,
        [
            (1, "t/v", 1),
            (1, "t/slow", "a"),
            (2, *asked("create", "home/new", spec=echo("t/v", "t/new"))),
            (3, "t/v", 2),
            (4, *asked("create", "home/hall/inner", spec=echo("t/v", "t/inner"))),
            (5, "t/v", 3),
        ],
    )
    assert answers(played) == [
        {"verb": "create", "path": "home/new", "done": True, "revision": 1},
        {"verb": "create", "path": "home/hall/inner", "done": True, "revision": 2},
    ]
    assert at(played, "t/out") == [(1, 1), (3, 2), (5, 3)]
    assert at(played, "t/new") == [(3, 2), (5, 3)]
    assert at(played, "t/inner") == [(5, 3)]
    assert at(played, "t/late") == [(11, "a")]


def test_a_wrong_change_is_refused_whole_with_the_reason_and_the_remedy(play) -> None:
    wrong = {"triggers": {"t": {"on": {"v": {"from": "rul.out"}}, "do": [{"publish": {"topic": "t/x", "payload": 1}}]}}}
    played = play(
        RULE,
        [
            (1, *asked("create", "home/new", spec=wrong)),
            (2, *asked("create", "home/new", spec={"trigers": {}})),
            (3, *asked("create", "home/rule", spec=echo("t/v", "t/x"))),
            (4, *asked("create", "home/nowhere/new", spec=echo("t/v", "t/x"))),
            (5, *asked("create", "home", spec=echo("t/v", "t/x"))),
            (6, *asked("remove", "home/rul")),
            (7, *asked("create", "home/new", spec={"python": "os:system"})),
            (8, *asked("create", "home/new")),
            (9, "t/v", 1),
        ],
    )
    found = answers(played)
    assert [answer.get("done") for answer in found] == [None] * 7
    assert "there is no agent home/rul" in found[0]["refused"]
    assert found[0]["remedy"] == "did you mean rule.out?"
    assert "trigers" in found[1]["refused"]
    assert "triggers" in found[1]["remedy"]
    assert found[2]["refused"] == "there is an agent home/rule already"
    assert "home/nowhere" in found[3]["refused"]
    assert "matrix itself" in found[4]["refused"]
    assert found[5]["remedy"] == "did you mean home/rule?"
    assert "module" in found[6]["refused"]
    assert any("spec" in letter.reason for letter in played.of(DeadLettered))  # whoever breaks the form is not answered
    assert at(played, "t/out") == [(9, 1)]
    assert not [topic for _, topic, _ in played.told if topic.startswith("em/spec")]


def test_a_removed_agent_is_gone_with_its_runs_and_what_is_below_it(play) -> None:
    played = play(
        RULE,
        [
            (1, "t/slow", "a"),
            (2, *asked("remove", "home/slow")),
            (3, *asked("remove", "home/hall")),
            (4, "t/slow", "b"),
            (4, "t/v", 1),
        ],
    )
    assert [answer["done"] for answer in answers(played)] == [True, True]
    assert at(played, "t/late") == []
    assert at(played, "t/ear") == []
    assert at(played, "t/out") == [(4, 1)]
    ended = [seen for seen in played.of(RunEnded) if seen.path == "home/slow"]
    assert [(seen.at_us - ended[0].at_us, seen.outcome) for seen in ended] == [(0, Outcome.CANCELLED)]


def test_an_agent_that_others_need_is_not_removed(play) -> None:
    matrix = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
  rule: {triggers: {t: {on: {v: {topic: t/v}}, do: [{send: {to: lamp.set, payload: "${v.value}"}}]}}}
"""
    played = play(matrix, [(1, *asked("remove", "home/lamp")), (2, "t/v", "ON"), (3, *asked("remove", "home/rule"))])
    first, second = answers(played)
    assert "agents.rule.triggers.t.do[0]" in first["refused"]
    assert "home/lamp" in first["refused"]
    assert second["done"]
    assert at(played, "z/lamp/set") == [(2, "ON")]


def test_a_removed_device_gives_its_topics_free(play) -> None:
    matrix = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set, dwell: 10s}}}}
"""
    new = {"triggers": {"t": {"on": {"v": {"topic": "t/v"}}, "do": [{"publish": {"topic": "z/lamp/set", "payload": "${v.value}"}}]}}}
    played = play(
        matrix,
        [
            (1, "em/in/home/lamp/set", "ON"),
            (2, "em/in/home/lamp/set", "OFF"),  # held back by the dwell
            (3, *asked("remove", "home/lamp")),
            (4, *asked("create", "home/new", spec=new)),
            (20, "t/v", 1),
        ],
    )
    assert at(played, "z/lamp/set") == [(1, "ON"), (20, 1)]


def test_what_a_removed_agent_had_retained_is_taken_back(play) -> None:
    mode = {"outputs": {"mode": {"type": "text", "retain": True, "initial": "home"}}, **echo("t/v", "t/x")}
    played = play(RULE, [(1, *asked("create", "home/mode", spec=mode)), (2, *asked("remove", "home/mode"))])
    assert [answer["done"] for answer in answers(played)] == [True, True]
    assert at(played, "em/out/home/mode/mode") == [(1, "home"), (2, b"")]


@pytest.mark.parametrize(("verb", "data"), [("remove", {}), ("pause", {}), ("send", {"port": "in", "payload": 1})])
def test_an_order_that_came_too_late_is_not_carried_out(play, verb: str, data: dict[str, object]) -> None:
    played = play(RULE, [(1, f"em/op/me/{verb}/home/rule", order(data, expirytime="2026-01-01T00:00:00.5Z")), (2, "t/v", 1)])
    (letter,) = played.of(DeadLettered)
    assert letter.reason.startswith("it came too late: its expirytime has passed")
    assert at(played, "t/out") == [(2, 1)]


def test_a_copy_works_as_the_original_does(play) -> None:
    played = play(
        RULE,
        [(1, *asked("duplicate", "home/hall", to="home/attic")), (2, "t/v", 1), (3, *asked("remove", "home/hall")), (4, "t/v", 2)],
    )
    assert [answer["done"] for answer in answers(played)] == [True, True]
    assert at(played, "t/ear") == [(2, 1), (2, 1), (4, 2)]


def test_states_of_the_others_are_kept_and_those_of_a_removed_agent_forgotten(play) -> None:
    level = """
matrix: home
agents:
  cold: {triggers: {t: {on: {v: {topic: t/v, below: 10}}, do: [{publish: {topic: t/cold, payload: "${v.value}"}}]}}}
"""
    cold = {
        "triggers": {"t": {"on": {"v": {"topic": "t/v", "below": 10}}, "do": [{"publish": {"topic": "t/two", "payload": "${v.value}"}}]}}
    }
    played = play(
        level,
        [
            (1, *asked("create", "home/two", spec=cold)),
            (2, "t/v", 5),
            (3, "t/v", 6),  # below as before
            (4, *asked("remove", "home/two")),
            (5, *asked("create", "home/two", spec=cold)),
            (6, "t/v", 7),
            (20, "t/v", 8),
        ],
        restarts=[Restart(10 * SECOND_US)],
    )
    assert at(played, "t/cold") == [(2, 5)]
    assert at(played, "t/two") == [(2, 5), (6, 7)]


def test_a_paused_agent_begins_nothing_and_knows_its_levels_afterwards(play) -> None:
    matrix = """
matrix: home
agents:
  hall:
    agents:
      cold: {triggers: {t: {on: {v: {topic: t/v, below: 10}}, do: [{publish: {topic: t/cold, payload: "${v.value}"}}]}}}
      slow: {triggers: {t: {on: {v: {topic: t/slow}}, do: [{delay: 5s}, {publish: {topic: t/late, payload: 1}}]}}}
"""
    played = play(
        matrix,
        [
            (1, "t/v", 20),
            (1, "t/slow", 1),
            (2, *asked("pause", "home/hall")),
            (3, "t/v", 5),
            (4, *asked("pause", "home/hall/cold")),
            (8, *asked("resume", "home/hall/cold")),
            (9, *asked("resume", "home/hall")),
            (10, "t/v", 6),  # it was below all the while
            (11, "t/v", 20),
            (12, "t/v", 7),
            (13, *asked("resume", "home/hall")),
            (14, *asked("pause", "home/hell")),
        ],
    )
    assert at(played, "t/cold") == [(12, 7)]
    assert at(played, "t/late") == [(6, 1)]
    assert [seen.reason for seen in played.of(Dropped)] == ["home/hall/cold is paused, with home/hall"]
    told = [answer.get("refused") or answer["done"] for answer in answers(played)]
    assert told[0] is True
    assert "paused already" in told[1]
    assert "paused with home/hall" in told[2]
    assert told[3] is True
    assert "not paused" in told[4]
    assert "there is no agent home/hell" in told[5]


def test_changes_and_pauses_outlive_a_restart(play) -> None:
    played = play(
        RULE,
        [
            (1, *asked("create", "home/new", spec=echo("t/v", "t/new"))),
            (2, *asked("remove", "home/hall")),
            (3, *asked("pause", "home/rule")),
            (20, "t/v", 1),
            (21, *asked("create", "home/third", spec=echo("t/v", "t/third"))),
            (22, *asked("resume", "home/rule")),
            (40, "t/v", 2),
        ],
        restarts=[Restart(10 * SECOND_US), Restart(30 * SECOND_US)],
    )
    assert at(played, "t/out") == [(40, 2)]
    assert at(played, "t/new") == [(20, 1), (40, 2)]
    assert at(played, "t/third") == [(40, 2)]
    assert at(played, "t/ear") == []
    assert [answer["revision"] for answer in answers(played)] == [1, 2, 2, 3, 3]


def test_a_run_is_cancelled_by_its_id(play) -> None:
    matrix = """
matrix: home
agents:
  slow:
    triggers:
      t:
        on: {v: {topic: t/slow}}
        mode: parallel
        do: [{emit: {begun: 1}}, {delay: 10s}, {publish: {topic: t/late, payload: "${v.value}"}}]
"""
    inputs = [(1, "t/slow", "a"), (2, "t/slow", "b")]
    runs = [seen.runid for seen in play(matrix, inputs).of(Fired)]
    played = play(
        matrix,
        [
            *inputs,
            (3, *asked("cancel", "home/slow", run=runs[0])),
            (4, *asked("cancel", "home", run=runs[0])),
            (5, *asked("cancel", "home/slow", run="")),
        ],
    )
    assert at(played, "t/late") == [(12, "b")]
    first, second, third = answers(played)
    assert (first["done"], first["cancelled"]) == (True, 1)
    assert "no run" in second["refused"]
    assert "no run" in third["refused"]


def test_an_order_without_a_session_leaves_a_dead_letter_where_it_is_refused(play) -> None:
    played = play(
        RULE,
        [
            (1, "em/op/me/remove/home/rul", order()),
            (2, "em/op/me/pause/home/rule", ""),  # nothing at all will do where there is nothing to say
            (3, "t/v", 1),
            (4, "em/op/me/resume/home/rule", {"session": "s1", "now": True}),
        ],
    )
    reasons = [letter.reason for letter in played.of(DeadLettered)]
    assert reasons[0] == "there is no agent home/rul (did you mean home/rule?)"
    assert "unknown field `now`" in reasons[1]
    assert at(played, "t/out") == []
    assert answers(played) == []


def test_only_an_agent_above_speaks_on_ctl(play) -> None:
    def told(source: str, path: str, verb: str) -> tuple[str, dict[str, object]]:
        return f"em/ctl/{path}/{verb}", order({}, source)

    played = play(
        RULE,
        [
            (1, *told("/home/rule", "home/hall/ear", "remove")),
            (2, *told("/home/hall/ear", "home/hall/ear", "remove")),
            (3, "em/ctl/home/hall/ear/remove", {}),
            (4, *told("/home/hall", "home/hall/ear", "watch")),
            (5, "t/v", 1),
            (6, *told("/home/hall", "home/hall/ear", "pause")),
            (7, "t/v", 2),
            (8, *told("/home", "home/hall", "remove")),
            (9, *asked("resume", "home/hall/ear")),
        ],
    )
    reasons = [letter.reason for letter in played.of(DeadLettered)]
    assert "/home/rule is not above home/hall/ear" in reasons[0]
    assert "is not above" in reasons[1]
    assert "does not say which agent asks" in reasons[2]
    assert "no agent understands 'watch'" in reasons[3]
    assert at(played, "t/ear") == [(5, 1)]
    assert "there is no agent home/hall/ear" in answers(played)[0]["refused"]


def test_definitions_and_the_manifest_are_told_retained_and_taken_back(play) -> None:
    played = play(RULE, [(1, *asked("create", "home/new", spec=echo("t/v", "t/new"))), (2, *asked("remove", "home/new"))])
    specs = [(when, topic, payload) for when, topic, payload in played.told if topic.startswith("em/spec/")]
    assert [topic for _, topic, _ in specs] == ["em/spec/home/new", "em/spec/home"] * 2
    assert specs[0][2] == echo("t/v", "t/new")
    assert specs[2][2] == b""
    assert specs[1][2]["revision"] == 1
    assert set(specs[1][2]["paths"]) == {"home/rule", "home/slow", "home/hall", "home/hall/ear", "home/new"}
    assert set(specs[3][2]["paths"]) == {"home/rule", "home/slow", "home/hall", "home/hall/ear"}


def test_changes_wait_for_their_turn_and_beyond_a_hundred_are_refused(play) -> None:
    played = play(RULE, [(1, *asked("create", f"home/n{number}", spec=echo("t/v", f"n/{number}"))) for number in range(30)])
    done = [when for when, topic, _ in played.told if topic == REPLY]
    assert len([when for when in done if when < 2]) == 20
    assert len(done) == 30
    assert all(answer["done"] for answer in answers(played))
