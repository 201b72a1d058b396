"""Outputs that are streamed: pieces in order, the whole at the end; and agents' code that calls others. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.runtime.observation import Fired, NotFired, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.runtime.part import Pace

WORK = """
import asyncio
from typing import Any
import edgematrix as em

kept = []

async def write(text: Any, ctx: em.Context) -> str:
    text = text if isinstance(text, str) else " ".join(map(str, text.values()))
    for word in text.split():
        await asyncio.sleep(1)
        await ctx.stream(word)
    return text.upper()

async def again(text: Any, ctx: em.Context) -> Any:
    rounds = text if isinstance(text, int) else text["back"]["n"] if isinstance(text, dict) and "back" in text else 0
    await ctx.stream(f"round {rounds}")
    await ctx.stream("end")
    return {"n": rounds + 1}

async def keep(text: str, ctx: em.Context) -> str:
    kept.append(ctx)
    return text

async def late(text: Any, ctx: em.Context) -> str:
    await kept[0].stream("too late")
    return "no error"

async def nan(text: str, ctx: em.Context) -> str:
    await ctx.stream(float("nan"))
    return "no error"

async def large(text: str, ctx: em.Context) -> str:
    await ctx.stream("x" * 300_000)
    return "no error"

async def badly(text: str, ctx: em.Context) -> str:
    await ctx.stream("x", port="Out!")
    return "no error"

async def many(text: str, ctx: em.Context) -> str:
    for number in range(2_500):
        await ctx.stream(number)
    return "all"

async def ask(text: str, ctx: em.Context) -> Any:
    heard = []
    whole = await ctx.call("writer", text, on_part=lambda part: heard.append([part.sequence, part.value, part.lost]))
    return {"whole": whole, "heard": heard}

async def ask_slowly(text: str, ctx: em.Context) -> Any:
    heard = []
    async def take(part: em.Part) -> None:
        await asyncio.sleep(10)
        heard.append(part.value)
    whole = await ctx.call("writer", text, on_part=take)
    return {"whole": whole, "heard": heard, "at": ctx.now().second}

async def ask_badly(text: str, ctx: em.Context) -> Any:
    def take(part: em.Part) -> None:
        raise ValueError("no more")
    return await ctx.call("writer", text, on_part=take)

async def ask_in_time(text: str, ctx: em.Context) -> Any:
    try:
        return await ctx.call("writer", text, timeout=2.5)
    except em.EdgeMatrixError as error:
        return error.what

async def ask_stranger(text: str, ctx: em.Context) -> Any:
    return await ctx.call("stranger", text)

async def ask_nobody(text: str, ctx: em.Context) -> Any:
    return await ctx.call("writer.nothing", text)

async def fail(text: Any, ctx: em.Context) -> str:
    raise ValueError("out of ink")

async def nothing(text: Any, ctx: em.Context) -> None:
    return None
"""

HEARS = 'ear: {triggers: {t: {on: {w: {from: %s}}, do: [{publish: {topic: t/heard, payload: "${w.value}"}}]}}}'


def matrix(function: str, *agents: str, sends: str = "", writer: str = "write") -> str:
    lines = [
        "matrix: home",
        "agents:",
        f"  worker: {{python: 'work:{function}', {sends}triggers: {{t: {{on: {{x: {{topic: t/x}}}}}}}}}}",
        f"  writer: {{python: 'work:{writer}'}}",
        "  " + HEARS % "worker",
        *(f"  {agent}" for agent in agents),
    ]
    return "\n".join(lines)


CALLS = "sends: [writer], "


def pieces(played: Any, path: str, port: str = "out") -> list[object]:
    return played.on(f"em/part/home/{path}/{port}")


def reasons(played: Any, path: str = "home/worker") -> list[str]:
    return [ended.reason for ended in played.of(RunEnded) if ended.path == path]


def test_pieces_come_in_order_and_the_whole_at_the_end(play) -> None:
    played = play(matrix("write"), [(0, "t/x", "a b c")], modules={"work": WORK})

    told = [(at, topic.removeprefix("em/"), value) for at, topic, value in played.told if "home/worker/out" in topic]
    parts = [(at, "part/home/worker/out", word) for at, word in ((1, "a"), (2, "b"), (3, "c"))]
    assert told == [*parts, (3, "out/home/worker/out", "A B C")]


def test_no_trigger_sees_pieces(play) -> None:
    played = play(matrix("write"), [(0, "t/x", "a b")], modules={"work": WORK})

    assert played.on("t/heard") == ["A B"]
    assert [seen.path for seen in (*played.of(Fired), *played.of(NotFired))] == ["home/worker", "home/ear"]


def test_a_caller_hears_the_pieces_in_memory_and_gets_the_whole(play) -> None:
    played = play(matrix("ask", sends=CALLS), [(0, "t/x", "a b c")], modules={"work": WORK})

    assert played.on("t/heard") == [{"whole": "A B C", "heard": [[1, "a", 0], [2, "b", 0], [3, "c", 0]]}]


def test_a_caller_that_is_slow_still_gets_all_pieces_before_the_whole(play) -> None:
    played = play(matrix("ask_slowly", sends=CALLS), [(0, "t/x", "a b c")], modules={"work": WORK})

    assert played.on("t/heard") == [{"whole": "A B C", "heard": ["a", "b", "c"], "at": 31}]


def test_a_call_is_a_step_of_the_run(play) -> None:
    played = play(matrix("ask", sends=CALLS), [(0, "t/x", "a")], modules={"work": WORK})

    (began,) = played.of(StepBegan)
    (ended,) = played.of(StepEnded)
    called = next(fired for fired in played.of(Fired) if fired.path == "home/writer")
    assert (began.path, began.step, began.member, began.inputs, began.called) == (
        "home/worker",
        1,
        "home/writer",
        (("in", "a"),),
        called.runid,
    )
    assert (ended.outcome, ended.outputs) == (Outcome.DONE, {"out": "A"})


@pytest.mark.parametrize(
    ("function", "writer", "reason"),
    [
        ("ask", "fail", "home/writer: ValueError: out of ink"),
        ("ask_stranger", "write", "nothing grants home/worker to send to home/stranger.in"),
        ("ask_nobody", "write", "nothing grants home/worker to send to home/writer.nothing"),
        ("ask_badly", "write", "ValueError: no more"),
        ("late", "write", "IndexError"),
        ("nan", "write", "no JSON number"),
        ("large", "write", "a piece has 300000 bytes, payload_bytes_max is 262144"),
        ("badly", "write", "port 'Out!' does not match"),
    ],
)
def test_what_cannot_be_done_fails_the_run_with_the_reason(play, function: str, writer: str, reason: str) -> None:
    played = play(matrix(function, "stranger: {}", sends=CALLS, writer=writer), [(0, "t/x", "a b")], modules={"work": WORK})

    assert reason in reasons(played)[0]
    assert played.on("t/heard") == []


def test_who_fails_while_it_hears_pieces_hangs_up(play) -> None:
    played = play(matrix("ask_badly", sends=CALLS), [(0, "t/x", "a b c d")], modules={"work": WORK})

    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/writer"] == [Outcome.CANCELLED]
    assert [ended.outcome for ended in played.of(StepEnded)] == [Outcome.CANCELLED]


def test_an_answer_that_does_not_come_in_time_is_waited_for_no_longer(play) -> None:
    played = play(matrix("ask_in_time", sends=CALLS), [(0, "t/x", "a b c d")], modules={"work": WORK})

    assert played.on("t/heard") == ["home/writer: no answer within 2s500ms"]
    assert [(at, topic) for at, topic, _ in played.told if topic == "t/heard"] == [(2.5, "t/heard")]
    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/writer"] == [Outcome.CANCELLED]


def test_whoever_returns_nothing_answers_none(play) -> None:
    played = play(matrix("ask_in_time", sends=CALLS, writer="nothing"), [(0, "t/x", "a")], modules={"work": WORK})

    assert reasons(played) == [""]
    assert played.on("t/heard") == []  # None is nothing to put out


def test_after_the_run_nothing_is_streamed(play) -> None:
    text = matrix("keep", "after: {python: 'work:late', triggers: {t: {on: {x: {topic: t/y}}}}}")
    played = play(text, [(0, "t/x", "a"), (1, "t/y", "b")], modules={"work": WORK})

    assert "the run is over" in reasons(played, "home/after")[0]
    assert pieces(played, "worker") == []


def test_a_run_that_streams_too_fast_waits(play) -> None:
    played = play(matrix("many"), [(0, "t/x", "a")], modules={"work": WORK})

    at = [at for at, topic, _ in played.told if topic == "em/part/home/worker/out"]
    assert pieces(played, "worker") == list(range(2_500))
    assert [at.count(second) for second in (0, 1, 2)] == [1_000, 1_000, 500]


@given(gaps_us=st.lists(st.integers(0, 400_000), min_size=1, max_size=60), per_second_max=st.integers(1, 5))
def test_no_second_has_more_pieces_than_it_may(gaps_us: list[int], per_second_max: int) -> None:
    pace = Pace(per_second_max)
    now_us, gone = 0, []
    for gap_us in gaps_us:
        now_us += gap_us
        now_us = max(now_us, pace.next_us(now_us))
        gone.append(now_us)

    assert gone == sorted(gone)
    for start in gone:
        assert sum(start <= at < start + 1_000_000 for at in gone) <= 2 * per_second_max


FLOW = """
matrix: home
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: writer}}
    flow: {edges: [request -> writer]}
    agents: {writer: {python: "work:write"}}
"""


def asked(played_on: Any, matrix_text: str, topic: str, value: object) -> Any:
    event = {"specversion": "1.0", "id": "q", "source": "/home", "type": "em.in", "data": value, "runid": "q"}
    return played_on(matrix_text, [(0, topic, event)], modules={"work": WORK})


def test_a_flow_streams_what_its_last_member_streams(play) -> None:
    played = asked(play, FLOW, "em/in/home/report/request", "a b c")

    assert pieces(played, "report", "summary") == ["a", "b", "c"]
    assert played.on("em/out/home/report/summary") == ["A B C"]


NESTED = """
matrix: home
agents:
  outer:
    inputs: {in: text}
    flow: {edges: [in -> choose]}
    agents:
      choose:
        switch: {cases: [{when: "true", to: pool}]}
        agents:
          pool:
            pool: {replicas: 2}
            agents:
              frame:
                inputs: {in: text}
                flow: {edges: [in -> writer, writer -> out]}
                outputs: {out: text}
                agents: {writer: {python: "work:write"}}
"""


def test_pieces_go_through_composites_in_composites(play) -> None:
    played = asked(play, NESTED, "em/in/home/outer/in", "a b")

    assert pieces(played, "outer") == ["a", "b"]
    assert played.on("em/out/home/outer/out") == ["A B"]


FRAME = """
matrix: home
agents:
  frame:
    outputs: {said: {from: inner.out}}
    agents:
      inner: {python: "work:write", triggers: {t: {on: {x: {topic: t/x}}}}}
"""


def test_a_frame_streams_what_the_agent_that_feeds_its_output_streams(play) -> None:
    played = play(FRAME, [(0, "t/x", "a b")], modules={"work": WORK})

    assert pieces(played, "frame", "said") == ["a", "b"]
    assert pieces(played, "frame/inner") == ["a", "b"]


LOOP = """
matrix: home
agents:
  loop:
    inputs: {in: {type: integer}}
    outputs: {out: {from: again}}
    flow:
      edges:
        - in -> again
        - again -> back
        - {from: back, to: again, when: "n < 2", loop: true}
      max_steps: 10
    agents:
      again: {python: "work:again"}
      back: {inputs: {in: {type: object}}, triggers: {g: {on: {w: {from: self.in}}, mode: parallel, do: [{emit: {out: "${w.value}"}}]}}}
  asker: {python: "work:ask_loop", sends: [loop], triggers: {t: {on: {x: {topic: t/x}}}}}
"""
ASK_LOOP = """
async def ask_loop(text: Any, ctx: em.Context) -> Any:
    heard = []
    await ctx.call("loop", 0, on_part=lambda part: heard.append([part.sequence, part.value]))
    await ctx.publish("t/heard", heard)
"""


def test_a_new_round_begins_anew(play) -> None:
    played = play(LOOP, [(0, "t/x", 1)], modules={"work": WORK + ASK_LOOP})

    assert played.on("t/heard") == [[[1, "round 0"], [2, "end"], [1, "round 1"], [2, "end"]]]
