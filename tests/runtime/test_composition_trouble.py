"""What goes wrong elsewhere where agents are made of agents: loops, diamonds, errors that are swallowed, steps that are mixed up."""

from __future__ import annotations

import pytest

from edgematrix.runtime.observation import DeadLettered, Fired, Outcome, RunEnded, StepBegan, StepEnded

TOLD = """
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
CODE = """
import asyncio
async def same(value: object, context) -> object:
    return value
async def name(value: object, context) -> str:
    return context.path[-1]
async def slow(value: object, context) -> object:
    await asyncio.sleep(5)
    return value
async def fails(value: object, context) -> object:
    raise ValueError(f"no {value['request'] if isinstance(value, dict) else value}")
"""


def work(flow: str, agents: str, more: str = "") -> str:
    return f"""
matrix: home
agents:
  work:
    triggers: {{go: {{mode: parallel, on: {{in: {{topic: t/go}}}}}}}}
    {more}
    flow: {{{flow}}}
    agents:
{agents}
{TOLD}"""


def agent(name: str, function: str, more: str = "") -> str:
    return f'      {name}: {{python: "members:{function}"{more}}}\n'


def no_step_is_open(played) -> None:
    began = [(step.path, step.runid, step.step) for step in played.of(StepBegan)]
    assert sorted(began) == sorted((step.path, step.runid, step.step) for step in played.of(StepEnded))


def test_a_diamond_of_ways_of_unequal_length_is_joined_once(play) -> None:
    agents = "".join(agent(name, "name") for name in "abcd") + agent("e", "same")
    played = play(work("edges: [in -> a, a -> b -> c -> d, a -> d, a -> e, d -> e]", agents), [(1, "t/go", 1)], modules={"members": CODE})
    assert played.on("t/out") == [{"a": "a", "d": "d"}]
    assert [run.path[-1] for run in played.of(Fired) if run.path.startswith("home/work/")] == ["a", "b", "c", "d", "e"]


def test_a_failure_three_levels_down_is_told_at_each_and_dead_lettered_once(play) -> None:
    agents = """
      outer:
        flow: {edges: [in -> middle]}
        agents:
          middle:
            switch: {cases: [{when: "true", to: inner}]}
            agents:
              inner: {chat: {members: [deep]}, agents: {deep: {python: "members:fails"}}}
"""
    played = play(work("edges: [in -> outer]", agents), [(1, "t/go", 7)], modules={"members": CODE})
    assert played.on("t/error") == ["middle: inner: deep: ValueError: no 7"]
    assert [(letter.path, letter.reason) for letter in played.of(DeadLettered)] == [
        ("home/work", "outer: middle: inner: deep: ValueError: no 7")
    ]
    assert [run.outcome for run in played.of(RunEnded) if run.path.startswith("home/work")] == [Outcome.FAILED] * 5
    no_step_is_open(played)


def test_flows_nest_as_deep_as_paths_do(play) -> None:
    inner = '{python: "members:same"}'
    for _ in range(13):
        inner = f"{{flow: {{edges: [in -> a]}}, agents: {{a: {inner}}}}}"
    played = play(work("edges: [in -> a]", f"      a: {inner}\n"), [(1, "t/go", 7)], modules={"members": CODE})
    assert played.on("t/out") == [7]


def test_a_chat_whose_rule_names_a_stranger_fails_with_the_names(play) -> None:
    members = '{ann: {python: "members:same"}, bob: {python: "members:same"}}'
    agents = f"      talk: {{chat: {{members: [ann, bob], speaker: {{rule: \"'bobb'\"}}}}, agents: {members}}}\n"
    played = play(work("edges: [in -> talk]", agents), [(1, "t/go", 7)], modules={"members": CODE})
    (reason,) = played.on("t/error")
    assert "'bobb', which is no member" in reason
    assert len(played.of(DeadLettered)) == 1


def test_a_member_whom_a_sensor_begins_too_gives_the_flow_only_what_the_flow_asked_for(play) -> None:
    group = "{mode: parallel, need: any, on: {x: {from: self.in}, s: {topic: t/sensor}}"
    agents = f'      a: {{inputs: {{in: any}}, triggers: {{t: {group}, do: [{{delay: 5s}}, {{emit: {{out: "${{x.value}}"}}}}]}}}}}}\n'
    played = play(work("edges: [in -> a]", agents), [(1, "t/go", 7), (2, "t/sensor", 1), (4, "t/go", 8)])
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(6, 7), (9, 8)]
    assert len([run for run in played.of(Fired) if run.path == "home/work/a"]) == 3
    no_step_is_open(played)


def test_a_member_that_a_sensor_keeps_busy_refuses_and_says_why(play) -> None:
    group = "{mode: single, need: any, on: {x: {from: self.in}, s: {topic: t/sensor}}"
    agents = f"      a: {{inputs: {{in: any}}, triggers: {{t: {group}, do: [{{delay: 5s}}, {{emit: {{out: 1}}}}]}}}}}}\n"
    played = play(work("edges: [in -> a]", agents), [(1, "t/sensor", 7), (2, "t/go", 1)])
    assert played.on("t/error") == ["`t` did not fire: a run is going"]
    assert played.on("t/out") == []


def test_a_member_that_two_masters_call_at_once_answers_each_its_own(play) -> None:
    matrix = (
        work("edges: [in -> a]", agent("a", "slow"))
        + """
  asker:
    triggers:
      t:
        mode: parallel
        on: {a: {topic: t/ask}}
        do: [{call: {agent: /home/work/a, payload: "${a.value}", timeout: 20s}}, {publish: {topic: t/answer, payload: "${result}"}}]
"""
    )
    played = play(matrix, [(1, "t/go", 7), (1, "t/ask", 8), (2, "t/go", 9)], modules={"members": CODE})
    assert played.on("t/answer") == [8]
    assert played.on("t/out") == [7, 9]


def test_a_parent_that_is_cancelled_takes_all_below_it_along(play) -> None:
    agents = """
      a: {flow: {edges: [in -> b]}, agents: {b: {pool: {replicas: 1}, agents: {c: {python: "members:slow"}}}}}
      d: {human: {ask: "Well?", timeout: 1h}}
"""
    matrix = work("edges: [in -> a, in -> d]", agents, "outputs: {out: {from: a}}").replace(
        "mode: parallel, on: {in:", "mode: restart, on: {in:"
    )
    played = play(matrix, [(1, "t/go", 7), (2, "t/go", 8)], until=9000, modules={"members": CODE})
    ended = [(run.path, run.at_us % 60_000_000) for run in played.of(RunEnded) if run.outcome is Outcome.CANCELLED]
    below = ["", "/a", "/a/b", "/a/b/c-1", "/d"]
    assert sorted(ended) == [(f"home/work{path}", 2_000_000) for path in below]
    assert played.on("t/error") == ["nobody answered within 1h"]
    no_step_is_open(played)


@pytest.mark.parametrize(("loop", "max_steps"), [("a -> a", 7), ("a -> b -> a", 8)])
def test_a_loop_that_nothing_ends_is_ended_by_its_bound(play, loop: str, max_steps: int) -> None:
    agents = "".join(agent(name, "same") for name in "ab" if name in loop)
    matrix = work(f'edges: ["in -> a", "{loop}"], max_steps: {max_steps}', agents, "outputs: {out: {from: a}}")
    played = play(matrix, [(1, "t/go", 7)], modules={"members": CODE})
    assert len(played.of(StepBegan)) == max_steps
    assert "max_steps" in played.on("t/error")[0]


@pytest.mark.parametrize("edges", ["in -> a, a.error -> fix", "in -> a, a -> b, a.error -> fix"])
def test_an_edge_from_the_error_port_of_a_member_takes_its_failure(play, edges: str) -> None:
    agents = '      a: {flow: {edges: [in -> c]}, agents: {c: {python: "members:%s"}}}\n' + agent("b", "same") + agent("fix", "same")
    if "b" not in edges:
        agents = agents.replace(agent("b", "same"), "")
    matrix = work(f"edges: [{edges}]", agents, "outputs: {out: {from: fix}}")
    played = play(matrix % "fails", [(1, "t/go", 7)], modules={"members": CODE})
    assert [error["reason"] for error in played.on("t/out")] == ["ValueError: no 7"]
    assert played.on("t/error") == played.of(DeadLettered) == []
    no_step_is_open(played)


def test_an_edge_from_the_error_port_is_not_taken_where_all_goes_well(play) -> None:
    agents = '      a: {flow: {edges: [in -> c]}, agents: {c: {python: "members:same"}}}\n' + agent("b", "same") + agent("fix", "same")
    matrix = work("edges: [in -> a, a -> b, a.error -> fix]", agents, "outputs: {out: {from: b}}")
    played = play(matrix, [(1, "t/go", 7)], modules={"members": CODE})
    assert played.on("t/out") == [7]
    assert not [run for run in played.of(Fired) if run.path == "home/work/fix"]
    no_step_is_open(played)


CALLING = """
import asyncio
async def asks(value: object, context) -> object:
    return await context.call("/home/helper", value)
async def tries(value: object, context) -> object:
    try:
        return await context.call("/home/helper", value)
    except Exception as error:
        return f"caught {type(error).__name__}"
async def slow(value: int, context) -> int:
    await asyncio.sleep(5)
    if value < 0:
        raise ValueError("negative")
    return value
"""


def calling(function: str, mode: str = "parallel") -> str:
    agents = agent("a", function, ", sends: [/home/helper]")
    helper = '  helper: {python: "members:slow"}\n'
    return work("edges: [in -> a]", agents).replace("mode: parallel, on: {in:", f"mode: {mode}, on: {{in:") + helper


def test_whom_code_calls_is_cancelled_with_the_run_that_its_own_run_is_a_step_of(play) -> None:
    played = play(calling("asks", "restart"), [(1, "t/go", 7), (2, "t/go", 8)], modules={"members": CALLING})
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(7, 8)]
    cancelled = [run.path for run in played.of(RunEnded) if run.outcome is Outcome.CANCELLED]
    assert sorted(cancelled) == ["home/helper", "home/work", "home/work/a"]
    no_step_is_open(played)


def test_a_failure_of_whom_code_calls_is_its_callers_to_tell(play) -> None:
    played = play(calling("asks"), [(1, "t/go", -7)], modules={"members": CALLING})
    (reason,) = played.on("t/error")
    assert "ValueError: negative" in reason
    assert [letter.path for letter in played.of(DeadLettered)] == ["home/work"]
    caught = play(calling("tries"), [(1, "t/go", -7)], modules={"members": CALLING})
    assert caught.on("t/out") == ["caught RunError"]
    assert caught.of(DeadLettered) == []
