"""Whoever calls hears of the end, whatever becomes of the work: held back and dropped, lost in a storm, without some of its inputs."""

import pytest

from edgematrix.runtime.observation import DeadLettered, Outcome, RunEnded, StepBegan, StepEnded

HELD = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: ["in -> member -> last"]}
    agents:
      member: {inputs: {in: any}, triggers: {t: {%s, do: [{emit: {out: "${x.value}"}}]}}}
      last: {inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{emit: {out: "${x.value}"}}]}}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
IN = "on: {x: {from: self.in}}"
JOIN = "on: {x: {from: self.in}, s: {topic: t/sensor}}"


def ends(played) -> list[tuple[float, str]]:
    return [(at, topic) for at, topic, _ in played.told if topic in ("t/out", "t/error")]


def no_step_is_open(played) -> None:
    began = [(step.runid, step.step) for step in played.of(StepBegan)]
    ended = [(step.runid, step.step) for step in played.of(StepEnded)]
    assert sorted(began) == sorted(ended)


@pytest.mark.parametrize(
    ("group", "more", "told", "why"),
    [
        (f"mode: parallel, throttle: 10s, {IN}", [], [(1, "t/out"), (3, "t/error"), (11, "t/out")], "newer firing"),
        (f"mode: parallel, debounce: 5s, {IN}", [], [(2, "t/error"), (3, "t/error"), (8, "t/out")], "newer firing"),
        (f"mode: parallel, {JOIN}", [(9, "t/sensor", 0)], [(2, "t/error"), (3, "t/error"), (9, "t/out")], "newer work"),
        (f"mode: parallel, timeout: 3s, {JOIN}", [], [(2, "t/error"), (3, "t/error"), (6, "t/error")], "time-out"),
        (f'mode: parallel, if: "false", {JOIN}', [(9, "t/sensor", 0)], [(2, "t/error"), (3, "t/error")], "newer"),
        (
            "mode: parallel, on: {x: {from: self.in}, s: {topic: t/sensor}, r: {topic: t/reset, role: reset}}",
            [(9, "t/reset", 0)],
            [(2, "t/error"), (3, "t/error"), (9, "t/error")],
            "cleared",
        ),
        (
            "mode: parallel, cooldown: 1h, on: {x: {from: self.in}, s: {topic: t/sensor}}",
            [(1.5, "t/sensor", 0), (9, "t/sensor", 0)],
            [(1.5, "t/out"), (3, "t/error"), (9, "t/error")],
            "cooldown",
        ),
        (
            "mode: parallel, on: {x: {from: self.in, keep: all}, s: {topic: t/sensor}}",
            [(9, "t/sensor", 0)],
            [(9, "t/error"), (9, "t/error"), (9, "t/out")],
            "another run",
        ),
    ],
)
def test_work_that_a_group_holds_back_and_then_drops(play, group: str, more, told, why: str) -> None:
    inputs = sorted([(at, "t/go", at) for at in (1, 2, 3)] + more)
    played = play(HELD % group, inputs, until=100)
    assert sorted(ends(played)) == sorted(told)
    assert any(why in reason for reason in played.on("t/error")), played.on("t/error")
    no_step_is_open(played)


def test_work_that_waits_in_a_queue_and_gives_way(play) -> None:
    group = "mode: queued, max: 2, overflow: drop_old, on: {x: {from: self.in}}"
    matrix = (HELD % group).replace("do: [{emit: {out", "do: [{delay: 10s}, {emit: {out", 1)
    played = play(matrix, [(at, "t/go", at) for at in (1, 2, 3)], until=100)
    assert ends(played) == [(3, "t/error"), (11, "t/out"), (21, "t/out")]
    assert "there are 2 runs already" in played.on("t/error")[0]
    no_step_is_open(played)


def test_work_that_waits_under_a_key_that_is_forgotten(play) -> None:
    matrix = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: ["in -> a, b", "a, b -> last"]}
    agents:
      a:
        inputs: {in: any}
        triggers: {t: {by: k, keys_max: 1, on: {x: {from: self.in}, s: {topic: "t/s/{k}", count: {at_least: 2}}}, do: [{emit: {out: 1}}]}}
      b: {inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{emit: {out: 1}}]}}}
      last: {inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{emit: {out: "${x.value}"}}]}}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
    # The first sensor makes the key and waits; the request joins it, and what is left is evicted by another key.
    played = play(matrix, [(1, "t/s/one", 0), (2, "t/go", 0), (3, "t/s/two", 0)])
    assert [topic for _, topic in ends(played)] == ["t/error"]
    no_step_is_open(played)


def test_a_join_with_a_sensor_whose_message_has_a_run_of_its_own(play) -> None:
    matrix = HELD % "mode: parallel, on: {s: {from: /home/sensor}, x: {from: self.in}}"
    matrix += "  sensor: {triggers: {t: {mode: parallel, on: {s: {topic: t/sensor}}, do: [{emit: {out: 1}}]}}}\n"
    played = play(matrix, [(1, "t/go", 5), (2, "t/sensor", 1)])
    assert [at for at, _ in ends(played)] == [2]
    no_step_is_open(played)


def test_a_member_with_two_inputs_of_which_one_is_skipped(play) -> None:
    code = """
from edgematrix import Firing
async def member(firing: Firing, context) -> list:
    return [firing.value("x"), firing.value("y")]
async def same(value: int, context) -> int:
    return value
async def nothing(value: int, context) -> int | None:
    return None
"""
    matrix = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> a, in -> b, a -> member.x, b -> member.y]}
    agents:
      a: {python: "members:same"}
      b: {python: "members:nothing"}
      member: {inputs: {x: any, y: any}, python: "members:member"}
  told: {triggers: {out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
"""
    played = play(matrix, [(1, "t/go", 5), (2, "t/go", 6)], modules={"members": code})
    assert played.on("t/out") == [[5, None], [6, None]]
    no_step_is_open(played)


def test_a_storm_at_one_instant_fails_the_steps_that_it_lost(play) -> None:
    matrix = """
matrix: home
limits: {cascade_max: 100}
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> member, member -> member], max_steps: 100000}
    agents:
      member: {inputs: {in: any}, triggers: {t: {mode: parallel, rate_max: none, on: {x: {from: self.in}}, do: [{emit: {out: 1}}]}}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
    played = play(matrix, [(1, "t/go", 5)])
    assert ends(played) == [(1, "t/error")]
    assert "cascade_max" in played.on("t/error")[0]
    no_step_is_open(played)


ONE = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: ["in -> member"]}
    agents:
      member: {python: "members:member"}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""


@pytest.mark.parametrize(
    "body",
    [
        "    task = asyncio.ensure_future(asyncio.sleep(5))\n    asyncio.get_running_loop().call_later(1, task.cancel)\n    await task",
        "    raise asyncio.CancelledError",
        "    await asyncio.sleep(1)\n    raise asyncio.CancelledError",
        "    raise SystemExit(3)",
        "    await asyncio.sleep(1)\n    raise SystemExit(3)",
    ],
)
def test_code_that_ends_as_code_should_not(play, body: str) -> None:
    code = f"import asyncio\nasync def member(value: int, context) -> int:\n{body}\n    return 1\n"
    played = play(ONE, [(1, "t/go", 5), (20, "t/go", 6)], modules={"members": code})
    assert [topic for _, topic in ends(played)] == ["t/error", "t/error"]
    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/work/member"] == [Outcome.FAILED] * 2
    no_step_is_open(played)


def test_a_pool_with_much_that_waits_and_can_not_be_done(play) -> None:
    matrix = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, max: 5000, rate_max: none, on: {in: {topic: t/go}}}}
    pool: {replicas: 1, waiting_max: 5000}
    agents:
      worker: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{delay: 5s}, {emit: {out: 1}}]}}}
  told:
    triggers:
      out: {mode: parallel, rate_max: none, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
"""
    far = {"specversion": "1.0", "id": "a", "source": "/home/x", "type": "t", "hops": 32, "data": 1}
    played = play(matrix, [(1, "t/go", 0), *((2, "t/go", far | {"id": f"a{number}"}) for number in range(1000))], watch=("t/#",))
    assert played.on("t/out") == [1]
    failed = [letter for letter in played.of(DeadLettered) if letter.topic == "em/run/home/work"]
    assert len(failed) == 1000
    assert {letter.reason for letter in failed} == {"worker-1: 33 hops led to this call, hops_max is 32"}
    no_step_is_open(played)


RETRIED = """
matrix: home
agents:
  work:
    retry: {attempts: 2, wait_initial: 1s, wait_jitter: 0}
    deadline: 9s
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    pool: {replicas: 1}
    agents: {worker: {python: "members:worker"}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""


def test_an_attempt_that_is_not_the_last_tells_no_error(play) -> None:
    code = """
tried = []
async def worker(value: int, context) -> int:
    tried.append(value)
    if value == 5 and len(tried) == 1 or value == 6:
        raise ValueError(f"no {value}")
    return value
"""
    played = play(RETRIED, [(1, "t/go", 5), (10, "t/go", 6)], modules={"members": code})
    assert ends(played) == [(2, "t/out"), (11, "t/error")]
    assert played.on("t/error") == ["ValueError: no 6"]
    assert len(played.of(DeadLettered)) == 1


def test_a_composite_tells_that_its_deadline_has_passed(play) -> None:
    code = "import asyncio\nasync def worker(value: int, context) -> int:\n    await asyncio.sleep(100)\n    return value\n"
    played = play(RETRIED, [(1, "t/go", 5)], modules={"members": code})
    assert ends(played) == [(10, "t/error")]
    assert played.on("t/error") == ["its deadline of 9s has passed"]
    no_step_is_open(played)


def test_what_follows_from_a_call_fails_for_itself(play) -> None:
    """A member sends work to another agent, which fails, or is given what it does not take: that is not the member's failure."""
    code = """
import asyncio
async def member(value: int, context) -> int:
    await context.send("/home/helper", value)
    await context.send("/home/typed", "no number")
    await asyncio.sleep(5)
    return value
async def helper(value: int, context) -> int:
    raise ValueError("the helper fails")
async def typed(value: int, context) -> int:
    return value
"""
    matrix = ONE.replace('member: {python: "members:member"}', 'member: {python: "members:member", sends: [/home/helper, /home/typed]}')
    matrix += '  helper: {python: "members:helper"}\n  typed: {python: "members:typed", inputs: {in: integer}}\n'
    played = play(matrix, [(1, "t/go", 5)], modules={"members": code})
    assert ends(played) == [(6, "t/out")]
    letters = [(letter.path, letter.reason) for letter in played.of(DeadLettered)]
    assert letters[0] == ("home/helper", "ValueError: the helper fails") or letters[1] == ("home/helper", "ValueError: the helper fails")
    assert sorted(path for path, _ in letters) == ["home/helper", "home/typed"]
