"""Compositions in a host, in virtual time: what they must survive. What rules alone can show is in tests/scenarios/own."""

from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.observation import DeadLettered, Fired, Noted, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.testing.simulator import Restart

FLOW = """
matrix: home
agents:
  work:
    outputs: {out: {from: last}}
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: ["in -> first -> last"]%s}
    agents:
      first: {python: "members:first"%s}
      last: {python: "members:last"}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value}"}}]}
"""

LAST = """
async def last(value: int, context) -> int:
    return value + 1
"""


def test_a_member_that_raises(play) -> None:
    code = "async def first(value: int, context) -> int:\n    raise ValueError(f'no {value}')\n" + LAST
    played = play(FLOW % ("", ""), [(1, "t/go", 5), (2, "t/go", 6)], modules={"members": code})
    assert played.on("t/out") == []
    told = played.on("t/error")
    assert [(error["member"], error["reason"], error["inputs"]) for error in told] == [
        ("first", "ValueError: no 5", {"in": 5}),
        ("first", "ValueError: no 6", {"in": 6}),
    ]
    letters = played.of(DeadLettered)
    assert [(letter.path, letter.reason) for letter in letters] == [("home/work", f"first: ValueError: no {value}") for value in (5, 6)]
    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/work"] == [Outcome.FAILED, Outcome.FAILED]


def test_a_member_that_hangs_past_its_deadline(play) -> None:
    code = "import asyncio\nasync def first(value: int, context) -> int:\n    await asyncio.sleep(3600)\n    return 1\n" + LAST
    played = play(FLOW % ("", ", deadline: 5s"), [(1, "t/go", 5)], until=5000, modules={"members": code})
    assert [(at, error["reason"]) for at, topic, error in played.told if topic == "t/error"] == [(6.0, "its deadline of 5s has passed")]
    assert played.on("t/out") == []


def test_a_member_that_returns_the_wrong_type(play) -> None:
    code = "async def first(value: int, context) -> int:\n    return 'eleven'\n" + LAST
    played = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code})
    (error,) = played.on("t/error")
    assert error["member"] == "first"
    assert "the result is no int" in error["reason"]


def test_a_member_that_gets_the_wrong_type(play) -> None:
    code = "async def first(value: int, context) -> object:\n    return 'eleven'\n" + LAST
    played = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code})
    (error,) = played.on("t/error")
    assert error["member"] == "last"
    assert "the value is no int" in error["reason"]


def test_a_member_that_returns_nothing_skips_what_comes_after_it(play) -> None:
    code = "async def first(value: int, context) -> int | None:\n    return None\n" + LAST
    played = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code})
    assert played.on("t/out") == played.on("t/error") == []
    assert [ended.outcome for ended in played.of(RunEnded) if ended.path == "home/work"] == [Outcome.DONE]


def test_null_is_work_too(play) -> None:
    code = """
async def first(value: object, context) -> str:
    return repr(value)
async def last(value: str, context) -> str:
    return value
"""
    matrix = (FLOW % ("", "")).replace("on: {in: {topic: t/go}}", "on: {in: {every: 10s}}")
    assert play(matrix, until=15, modules={"members": code}).on("t/out") == ["None"]


def test_an_agent_is_tried_again_with_growing_waits(play) -> None:
    code = (
        """
calls = []
async def first(value: int, context) -> int:
    calls.append(value)
    if len(calls) < 4:
        raise ValueError("not yet")
    return len(calls)
"""
        + LAST
    )
    retry = ", retry: {attempts: 5, wait_initial: 1s, wait_max: 3s, wait_jitter: 0}"
    played = play(FLOW % ("", retry), [(1, "t/go", 5)], modules={"members": code})
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(7.0, 5)]  # waits of 1, 2 and 3 s
    assert played.of(DeadLettered) == []
    assert len([noted for noted in played.of(Noted) if "failed, the next begins in" in str(noted.what)]) == 3


COUNCIL = """
matrix: home
agents:
  council:
    triggers: {go: {on: {in: {topic: t/go}}}}
    chat: {members: [a, b], max_turns: 4%s}
    agents:
      a: {python: "members:a"%s}
      b: {python: "members:b"}
  told:
    triggers:
      out: {on: {r: {from: council.transcript}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {on: {r: {from: council.error}}, do: [{publish: {topic: t/error, payload: "${r.value}"}}]}
"""
SPEAK = """
async def b(chat: dict, context) -> str:
    return f"b{chat['turn']}"
"""


def test_a_member_that_speaks_out_of_turn(play) -> None:
    code = (
        """
async def a(chat: dict, context) -> str:
    await context.emit("out", f"a{chat['turn']}")
    return "and another thing"
"""
        + SPEAK
    )
    played = play(COUNCIL % ("", ""), [(1, "t/go", "lamps")], modules={"members": code})
    (transcript,) = played.on("t/out")
    assert [entry["content"] for entry in transcript] == ["lamps", "a1", "b2", "a3", "b4"]
    noted = [found for found in played.of(Noted) if "out of turn" in str(found.what)]
    assert [found.path for found in noted] == ["home/council/a", "home/council/a"]


def test_a_member_of_a_chat_that_raises_ends_it_or_passes_its_turn(play) -> None:
    code = "async def a(chat: dict, context) -> str:\n    raise ValueError('no')\n" + SPEAK
    (error,) = play(COUNCIL % ("", ""), [(1, "t/go", "lamps")], modules={"members": code}).on("t/error")
    assert (error["member"], error["reason"]) == ("a", "ValueError: no")
    (transcript,) = play(COUNCIL % (", on_error: skip", ""), [(1, "t/go", "lamps")], modules={"members": code}).on("t/out")
    assert [entry["content"] for entry in transcript] == ["lamps", "b2", "b4"]


def test_a_member_of_a_chat_that_hangs_past_its_deadline(play) -> None:
    code = "import asyncio\nasync def a(chat: dict, context) -> str:\n    await asyncio.sleep(3600)\n    return ''\n" + SPEAK
    played = play(COUNCIL % (", on_error: skip", ", deadline: 2s"), [(1, "t/go", "lamps")], modules={"members": code})
    assert [at for at, topic, _ in played.told if topic == "t/out"] == [5.0]


FAN = """
matrix: home
agents:
  work:
    triggers: {go: {mode: restart, on: {in: {topic: t/go}}}}
    flow: {edges: ["in -> a, b, c", "a, b, c -> last"]}
    agents:
      a: {python: "members:wait"}
      b: {python: "members:wait"}
      c: {python: "members:wait"}
      last: {python: "members:last"}
  told: {triggers: {out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
"""


def test_cancelling_a_run_in_the_middle_of_a_fan_out(play) -> None:
    code = """
import asyncio
cancelled = []
async def wait(value: int, context) -> int:
    try:
        await asyncio.sleep(value * (1 if context.path.endswith("a") else 10))
    except asyncio.CancelledError:
        await context.publish("t/never", 1)
        raise
    return value
async def last(values: dict, context) -> dict:
    return values
"""
    played = play(FAN, [(1, "t/go", 2), (10, "t/go", 3)], until=100, modules={"members": code})
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(40.0, {"a": 3, "b": 3, "c": 3})]
    assert played.on("t/never") == []
    ended = [found for found in played.of(RunEnded) if found.at_us % 60_000_000 == 10_000_000]
    assert sorted((found.path.rpartition("/")[2], found.outcome) for found in ended) == [
        ("b", Outcome.CANCELLED),
        ("c", Outcome.CANCELLED),
        ("work", Outcome.CANCELLED),
    ]


def test_a_run_is_a_tree_of_steps(play) -> None:
    code = "async def first(value: int, context) -> int:\n    return value * 2\n" + LAST
    played = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code})
    (run,) = [fired for fired in played.of(Fired) if fired.path == "home/work"]
    steps = played.of(StepBegan)
    assert [(step.step, step.member, step.inputs, step.after) for step in steps] == [
        (1, "home/work/first", (("in", 5),), ()),
        (2, "home/work/last", (("in", 10),), (1,)),
    ]
    assert {step.runid for step in steps} == {run.runid}
    members = {fired.runid for fired in played.of(Fired) if fired.path.startswith("home/work/")}
    assert members == {step.called for step in steps}
    assert [(ended.step, ended.outcome, ended.outputs) for ended in played.of(StepEnded)] == [
        (1, Outcome.DONE, {"out": 10}),
        (2, Outcome.DONE, {"out": 11}),
    ]


def test_inner_outputs_leave_the_host_only_while_somebody_watches(play) -> None:
    code = "async def first(value: int, context) -> int:\n    return value\n" + LAST
    quiet = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code}, watch=())
    assert {topic for _, topic, _ in quiet.told} == {"t/out"}
    watched = play(FLOW % ("", ""), [(1, "t/go", 5)], modules={"members": code}, watch=("em/out/#",))
    assert {topic for _, topic, _ in watched.told} == {"em/out/home/work/first/out", "em/out/home/work/last/out", "em/out/home/work/out"}


def test_a_ring_of_agents_stops_at_the_hop_limit_with_one_dead_letter_that_names_it(play) -> None:
    rule = "{inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: %s}}, do: [{emit: {out: 1}}]}}}"
    matrix = f"""
        matrix: home
        agents:
          a: {{triggers: {{t: {{mode: parallel, need: any, on: {{x: {{from: c}}, go: {{topic: t/go}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}
          b: {rule % "a"}
          c: {rule % "b"}
        """
    played = play(matrix, [(1, "t/go", 1)])
    (letter,) = played.of(DeadLettered)
    assert "33 hops, hops_max is 32" in letter.reason
    ring = "out/home/c/out -> out/home/a/out -> out/home/b/out -> out/home/c/out"
    assert ring in letter.reason


def test_thousands_of_runs_at_once(play) -> None:
    code = (
        """
import asyncio
async def first(value: int, context) -> int:
    await asyncio.sleep(5)
    return value
"""
        + LAST
    )
    matrix = (FLOW % ("", "")).replace(": {mode: parallel,", ": {mode: parallel, max: 10000, rate_max: none,")
    played = play(matrix, [(1, "t/go", number) for number in range(2_000)], modules={"members": code}, watch=("t/out",))
    assert sorted(played.on("t/out")) == list(range(1, 2_001))


CLOCK = """
matrix: home
agents:
  report:
    inputs: {a: any, b: any}
    triggers:
      daily:
        on: {tick: {every: 10s}, a: {topic: t/a, role: live}, b: {topic: t/b, role: live}}
    flow: {edges: ["a, b -> sum"]}
    agents: {sum: {python: "steps:sum_up"}}
  show: {triggers: {t: {on: {v: {from: report}}, do: [{publish: {topic: t/sum, payload: "${v.value}"}}]}}}
"""


def test_a_clock_starts_a_flow_of_several_inputs_and_feeds_none(play) -> None:
    code = "def sum_up(values: dict, context) -> dict:\n    return values\n"
    played = play(CLOCK, [(1, "t/a", 1), (2, "t/b", 2), (12, "t/b", 3)], 25, modules={"steps": code})
    assert [(at, value) for at, topic, value in played.told if topic == "t/sum"] == [(10, {"a": 1, "b": 2}), (20, {"a": 1, "b": 3})]


def test_what_is_best_effort_and_a_host_that_goes_down_leaves_unfinished_is_dead_lettered_once(play) -> None:
    code = "import asyncio\nasync def first(value: int, context) -> int:\n    await asyncio.sleep(value)\n    return value\n" + LAST
    matrix = (FLOW % ("", "")).replace("    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}\n", "", 1)
    matrix += '  go: {triggers: {t: {mode: parallel, on: {x: {topic: t/go}}, do: [{send: {to: work.in, payload: "${x.value}"}}]}}}\n'
    matrix = matrix.replace("matrix: home", "matrix: home\ndefaults: {delivery: best_effort}")
    restarts = [Restart(5 * SECOND_US), Restart(20 * SECOND_US)]
    played = play(matrix, [(1, "t/go", 1), (2, "t/go", 100), (10, "t/go", 2)], modules={"members": code}, restarts=restarts)
    letters = played.of(DeadLettered)
    assert [(letter.path, letter.reason) for letter in letters] == [("home/work", "the host went down while it was under way")]
    assert [value for at, topic, value in played.told if topic == "t/out"] == [2, 3]
