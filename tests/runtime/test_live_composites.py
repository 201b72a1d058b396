"""Composites are changed while their runs are under way; people answer; code changes what is below it. In virtual time."""

from __future__ import annotations

from typing import Any

from live_support import asked

from edgematrix.runtime.observation import DeadLettered, Fired, Outcome, RunEnded, StepBegan
from edgematrix.testing.simulator import Restart

SECOND_US = 1_000_000
REPLY = "em/reply/simulation/me/s1"
CODE = """
import asyncio

async def quick(text: str, ctx) -> str:
    return text + ctx.path[-1]

async def slow(text: str, ctx) -> str:
    await asyncio.sleep(10)
    return text + ctx.path[-1]
"""
FLOW = """
matrix: home
agents:
  flow:
    inputs: {request: text}
    outputs: {out: {from: c}}
    triggers: {t: {on: {request: {topic: t/request}}, mode: parallel}}
    flow: {edges: [request -> a, a -> b, "a, b -> c"]}
    agents:
      a: {python: "work:quick"}
      b: {python: "work:slow"}
      c: {python: "work:join"}
  out: {triggers: {t: {on: {v: {from: flow}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
"""
JOIN = """
async def join(values: dict, ctx) -> str:
    return "+".join(values[name] for name in sorted(values))
"""


def at(played, topic: str) -> list[tuple[float, object]]:
    return [(when, payload) for when, seen, payload in played.told if seen == topic]


def answers(played) -> list[dict[str, Any]]:
    return played.on(REPLY)


def test_runs_under_way_go_on_by_the_old_plan_and_new_ones_take_the_new(play) -> None:
    played = play(
        FLOW,
        [
            (1, "t/request", "x"),
            (2, *asked("create", "home/flow/d", spec={"python": "work:quick"})),
            (2, *asked("connect", "home/flow", from_="a", to="d")),
            (2, *asked("connect", "home/flow", from_="d", to="c")),
            (3, "t/request", "y"),
            (20, *asked("disconnect", "home/flow", from_="d", to="c")),
            (20, *asked("disconnect", "home/flow", from_="a", to="d")),
            (20, *asked("remove", "home/flow/d")),
            (21, "t/request", "z"),
        ],
        modules={"work": CODE + JOIN},
    )
    assert [answer.get("refused") for answer in answers(played)] == [None] * 6
    assert at(played, "t/out") == [(11, "xa+xab"), (13, "ya+yab+yad"), (31, "za+zab")]


def test_an_edge_that_makes_no_sense_is_refused_and_the_flow_goes_on(play) -> None:
    played = play(
        FLOW,
        [
            (1, *asked("connect", "home/flow", from_="c", to="a")),
            (2, *asked("connect", "home/flow", from_="a", to="nobody")),
            (3, *asked("connect", "home/out", from_="a", to="b")),
            (4, *asked("disconnect", "home/flow", from_="b", to="a")),
            (5, *asked("connect", "home/flow", from_="a", to="b")),
            (6, *asked("connect", "home/flow", from_="a", to="c", when="1 +")),
            (7, *asked("remove", "home/flow/b")),
            (8, "t/request", "x"),
        ],
        modules={"work": CODE + JOIN},
    )
    refused = [answer["refused"] for answer in answers(played)]
    assert "max_steps" in answers(played)[0]["remedy"]
    assert "`nobody` is none of the agents below" in refused[1]
    assert "it is no flow" in refused[2]
    assert "there is no edge b -> a" in refused[3]
    assert "stands there twice" in refused[4]
    assert "when" in refused[5]
    assert "edges of the flow home/flow join it to others: a -> b, b -> c" in refused[6]
    assert at(played, "t/out") == [(18, "xa+xab")]


def test_a_member_that_is_taken_out_fails_the_steps_that_wait_for_it(play) -> None:
    matrix = """
matrix: home
agents:
  pick:
    inputs: {in: text}
    triggers: {t: {on: {v: {topic: t/request}}, mode: parallel}}
    switch: {cases: [{when: "value == 'a'", to: one}], default: two}
    agents: {one: {python: "work:slow"}, two: {python: "work:slow"}, three: {python: "work:slow"}}
  out: {triggers: {t: {on: {v: {from: pick}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
  wrong: {triggers: {t: {on: {v: {from: pick.error, value: reason}}, do: [{publish: {topic: t/error, payload: "${v.value}"}}]}}}
  caller:
    triggers:
      t: {on: {v: {topic: t/call}}, do: [{call: {agent: worker, payload: x, timeout: 1m}}, {publish: {topic: t/never, payload: 1}}]}
  worker: {python: "work:slow"}
"""
    played = play(
        matrix,
        [
            (1, "t/request", "a"),
            (1, "t/request", "b"),
            (2, *asked("remove", "home/pick/three")),
            (3, *asked("remove", "home/pick/two")),
            (4, "t/request", "b"),
        ],
        modules={"work": CODE},
    )
    assert answers(played)[0]["done"]
    assert "two" in answers(played)[1]["refused"]
    assert at(played, "t/out") == [(11, "ae"), (11, "bo"), (14, "bo")]
    assert at(played, "t/error") == []


def test_a_flow_is_taken_out_with_its_runs_and_made_anew(play) -> None:
    whole = {
        "inputs": {"request": "text"},
        "flow": {"edges": ["request -> a"]},
        "triggers": {"t": {"on": {"request": {"topic": "t/request"}}}},
        "agents": {"a": {"python": "work:quick"}},
    }
    played = play(
        FLOW,
        [
            (1, "t/request", "x"),
            (2, *asked("remove", "home/out")),
            (3, *asked("remove", "home/flow")),
            (4, *asked("create", "home/flow", spec=whole)),
            (5, "t/request", "y"),
        ],
        modules={"work": CODE + JOIN},
    )
    assert [answer["done"] for answer in answers(played)] == [True] * 3
    assert [event for when, topic, event in played.told if topic == "em/out/home/flow/out"] == ["ya"]
    assert played.of(DeadLettered) == []
    assert [seen.outcome for seen in played.of(RunEnded) if seen.path == "home/flow"] == [Outcome.CANCELLED, Outcome.DONE]


def test_steps_of_a_run_under_way_go_on_where_its_flow_is_paused(play) -> None:
    played = play(
        FLOW,
        [
            (1, "t/request", "x"),
            (2, *asked("pause", "home/flow")),
            (3, "t/request", "y"),
            (20, *asked("resume", "home/flow")),
            (21, "t/request", "z"),
            (40, *asked("pause", "home/flow/c")),
            (41, "t/request", "w"),
        ],
        modules={"work": CODE + JOIN},
    )
    assert at(played, "t/out") == [(11, "xa+xab"), (31, "za+zab")]
    assert any("home/flow/c is paused" in letter.reason for letter in played.of(DeadLettered))


def test_a_run_of_a_flow_is_cancelled_with_its_steps_and_a_step_fails_its_run(play) -> None:
    inputs = [(1, "t/request", "x"), (1, "t/request", "y")]
    before = play(FLOW, inputs, modules={"work": CODE + JOIN})
    run = next(seen.runid for seen in before.of(Fired) if seen.path == "home/flow")
    step = [seen.called for seen in before.of(StepBegan) if seen.member == "home/flow/b"][1]
    played = play(
        FLOW,
        [*inputs, (2, *asked("cancel", "home", run=run)), (3, *asked("cancel", "home/flow/b", run=step))],
        modules={"work": CODE + JOIN},
    )
    assert [answer["done"] for answer in answers(played)] == [True, True]
    assert at(played, "t/out") == []
    (error,) = [payload for _, topic, payload in played.told if topic == "em/out/home/flow/error"]
    assert error["member"] == "b"
    assert "cancelled" in error["reason"]


ASKING = """
matrix: home
agents:
  sure:
    inputs: {in: any}
    triggers: {t: {on: {v: {topic: t/ask}}, mode: parallel}}
    human: {ask: "Open it?", choices: ["yes", "no"], timeout: 1m}
  out: {triggers: {t: {on: {v: {from: sure}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
"""


def test_a_person_answers_by_approve(play) -> None:
    played = play(
        ASKING,
        [
            (1, *asked("approve", "home/sure", answer="yes")),
            (2, "t/ask", 1),
            (3, *asked("approve", "home", list=True)),
            (4, *asked("approve", "home/sure", answer="perhaps")),
            (5, *asked("approve", "home/sure")),
            (6, *asked("approve", "home/sure", user="ann", answer="yes")),
        ],
    )
    first, listed, wrong, empty = answers(played)
    (done,) = played.on("em/reply/simulation/ann/s1")  # below whoever asked, whatever the session says
    assert "no question waits" in first["refused"]
    (question,) = listed["questions"]
    assert (question["agent"], question["question"], question["choices"]) == ("home/sure", "Open it?", ["yes", "no"])
    assert question["until"] == "2026-01-01T00:01:02Z"
    assert "expected yes, no" in wrong["refused"]
    assert "`answer` is missing" in empty["refused"]
    assert (done["done"], done["run"], done["answer"]) == (True, question["run"], "yes")
    ((when, value),) = at(played, "t/out")
    assert when == 6
    assert "yes" in str(value)


def test_a_person_who_is_created_can_be_asked(play) -> None:
    spec = {
        "inputs": {"in": "any"},
        "triggers": {"t": {"on": {"v": {"topic": "t/ask"}}}},
        "human": {"ask": "Well?", "notify": "t/question", "timeout": "1m"},
    }
    played = play(
        "matrix: home\nagents: {a: {triggers: {t: {on: {v: {topic: t/x}}, do: [{publish: {topic: t/y, payload: 1}}]}}}}",
        [
            (1, *asked("create", "home/sure", spec=spec)),
            (2, "t/ask", 1),
            (3, *asked("approve", "home/sure", answer="fine")),
            (4, "t/ask", 1),
            (5, *asked("remove", "home/sure")),
            (6, *asked("approve", "home", list=True)),
        ],
    )
    assert [answer["done"] for answer in answers(played)] == [True] * 4
    assert answers(played)[3]["questions"] == []
    assert [payload.get("over") for _, topic, payload in played.told if topic == "t/question"] == [None, True, None, True]


INSIDE = """
matrix: home
agents:
  boss:
    python: "boss:work"
    triggers: {t: {on: {v: {topic: t/boss}}, mode: queued}}
    agents:
      flow:
        inputs: {request: text}
        flow: {edges: [request -> a]}
        agents: {a: {python: "work:quick"}, b: {python: "work:quick"}}
  rule: {triggers: {t: {on: {v: {topic: t/v}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
"""
BOSS = """
RULE = {"triggers": {"t": {"on": {"v": {"topic": "t/v"}}, "do": [{"publish": {"topic": "t/new", "payload": "${v.value}"}}]}}}

async def work(do: list, ctx) -> str:
    name, *words = do
    words = [RULE if word == "RULE" else word for word in words]
    try:
        await getattr(ctx, name)(*words)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"
"""


def test_code_changes_what_is_below_it_and_nothing_else(play) -> None:
    orders: list[tuple[float, list[object]]] = [
        (1, ["create", "new", "RULE"]),
        (2, ["duplicate", "new", "copy"]),
        (4, ["pause", "new"]),
        (6, ["resume", "new"]),
        (6, ["remove", "/home/boss/copy"]),
        (7, ["create", "new", "RULE"]),
        (8, ["create", "/home/other", "RULE"]),
        (9, ["remove", "/home/boss"]),
        (10, ["duplicate", "new", "/home/other"]),
        (11, ["connect", "flow", "a", "b"]),
        (12, ["disconnect", "flow", "a", "b"]),
        (13, ["cancel", "new", "nothing"]),
        (14, ["remove", "/home/boss/../rule"]),
        (15, ["create", "bad", {"triggers": {"t": {"on": {"v": {"from": "nobody"}}, "do": [{"emit": {"out": 1}}]}}}]),
    ]
    played = play(
        INSIDE,
        [*((when, "t/boss", words) for when, words in orders if when < 3), (3, "t/v", 1)]
        + [*((when, "t/boss", words) for when, words in orders if 3 < when < 5), (5, "t/v", 2)]
        + [(when, "t/boss", words) for when, words in orders if when > 5]
        + [(20, "t/v", 3)],
        modules={"boss": BOSS, "work": CODE},
    )
    said = [str(payload) for _, topic, payload in played.told if topic == "em/out/home/boss/out"]
    assert said[:5] == ["done"] * 5
    assert said[5].startswith("PathError: there is an agent home/boss/new already")
    assert said[6].startswith("RunError: home/boss: home/other is not below home/boss")
    assert said[7].startswith("RunError")
    assert said[8].startswith("RunError")
    assert said[9:11] == ["done", "done"]
    assert said[11].startswith("RunError: home/boss/new: no run 'nothing' is under way")
    assert said[12].startswith("PathError")
    assert said[13].startswith("ConfigError")
    assert "there is no agent home/boss/nobody" in said[13]
    assert at(played, "t/new") == [(3, 1), (3, 1), (5, 2), (20, 3)]


def test_a_changed_flow_outlives_a_restart(play) -> None:
    played = play(
        FLOW,
        [
            (1, *asked("create", "home/flow/d", spec={"python": "work:quick"})),
            (2, *asked("connect", "home/flow", from_="a", to="d", when="value != 'xa'")),
            (3, *asked("connect", "home/flow", from_="d", to="c")),
            (20, "t/request", "y"),
            (40, "t/request", "x"),
        ],
        restarts=[Restart(10 * SECOND_US)],
        modules={"work": CODE + JOIN},
    )
    assert [answer["done"] for answer in answers(played)] == [True] * 3
    assert at(played, "t/out") == [(30, "ya+yab+yad"), (50, "xa+xab")]
