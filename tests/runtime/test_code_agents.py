"""Agents with code, in virtual time."""

from edgematrix.runtime.observation import DeadLettered, Outcome, RunEnded

MATRIX = """
matrix: home
agents:
  worker:
    python: work:%s
    triggers: {t: {on: {x: {topic: t/x}}, mode: %s}}
  ear: {triggers: {t: {on: {w: {from: worker}}, do: [{publish: {topic: t/heard, payload: "${w.value}"}}]}}}
"""

MODULE = """
import asyncio
from pydantic import BaseModel
import edgematrix as em

class Reading(BaseModel):
    celsius: float

class Verdict(BaseModel):
    hot: bool

async def judge(reading: Reading, ctx: em.Context) -> Verdict | None:
    return Verdict(hot=True) if reading.celsius > 25 else None

def plain(value: float, ctx: em.Context) -> float:
    return value * 2

async def slow(value: float, ctx: em.Context) -> float:
    await asyncio.sleep(10)
    return value

async def broken(value: float, ctx: em.Context) -> float:
    return 1 / value

async def lying(value: float, ctx: em.Context) -> Verdict:
    return "no verdict"

async def sly(value: float, ctx: em.Context) -> None:
    for topic in ("em/out/home/ear/out", "em", "t/+"):
        try:
            await ctx.publish(topic, 1)
        except em.EdgeMatrixError as error:
            await ctx.publish("t/refused", str(error))
    try:
        await ctx.send("ear.x", 1)
    except em.EdgeMatrixError as error:
        await ctx.publish("t/refused", str(error))

async def whole(firing: em.Firing, ctx: em.Context) -> dict[str, object]:
    return {"group": firing.group, "x": firing.value("x"), "path": ctx.path, "now": ctx.now().isoformat()}
"""


def test_a_value_comes_in_as_its_type_and_the_result_goes_out(play) -> None:
    played = play(MATRIX % ("judge", "single"), [(1, "t/x", {"celsius": 20}), (2, "t/x", {"celsius": 30})], modules={"work": MODULE})
    assert played.on("t/heard") == [{"hot": True}]


def test_a_value_of_another_type_is_a_dead_letter_with_the_fields_name(play) -> None:
    played = play(MATRIX % ("judge", "single"), [(1, "t/x", {"celsius": "warm"})], modules={"work": MODULE})
    (letter,) = played.of(DeadLettered)
    assert "no Reading: celsius:" in letter.reason
    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/worker"] == [Outcome.FAILED]


def test_a_plain_function_works_too(play) -> None:
    assert play(MATRIX % ("plain", "single"), [(1, "t/x", 4)], modules={"work": MODULE}).on("t/heard") == [8]


def test_sleep_passes_in_virtual_time_and_a_restart_cancels_it(play) -> None:
    played = play(MATRIX % ("slow", "restart"), [(1, "t/x", 1), (5, "t/x", 2), (100, "t/x", 3)], until=200, modules={"work": MODULE})
    assert [(at, payload) for at, topic, payload in played.told if topic == "t/heard"] == [(15, 2), (110, 3)]


def test_an_exception_fails_its_own_run_only(play, caplog) -> None:
    played = play(MATRIX % ("broken", "single"), [(1, "t/x", 0), (2, "t/x", 4)], modules={"work": MODULE})
    assert played.on("t/heard") == [0.25]
    (letter,) = played.of(DeadLettered)
    assert "ZeroDivisionError" in letter.reason
    assert "the code of home/worker failed" in caplog.text


def test_a_result_of_another_type_is_an_error_and_not_sent(play) -> None:
    played = play(MATRIX % ("lying", "single"), [(1, "t/x", 1)], modules={"work": MODULE})
    assert played.on("t/heard") == []
    assert "no Verdict" in played.of(DeadLettered)[0].reason


def test_code_may_not_speak_for_others(play) -> None:
    played = play(MATRIX % ("sly", "single"), [(1, "t/x", 1)], modules={"work": MODULE})
    refused = played.on("t/refused")
    assert len(refused) == 4
    assert "below the root" in refused[0]
    assert "below the root" in refused[1]
    assert "holds '+'" in refused[2]
    assert "nothing grants home/worker" in refused[3]


def test_a_firing_can_be_taken_whole(play) -> None:
    played = play(MATRIX % ("whole", "single"), [(1, "t/x", 5)], modules={"work": MODULE})
    assert played.on("t/heard") == [{"group": "t", "x": 5, "path": "home/worker", "now": "2026-01-01T00:00:01+00:00"}]


def test_a_simulation_with_code_gives_the_same_bytes_each_time(play) -> None:
    inputs = [(at, "t/x", at) for at in range(1, 40)]
    first, second = (play(MATRIX % ("slow", "single"), inputs, until=200, modules={"work": MODULE}).told for _ in range(2))
    assert first == second
    assert first
