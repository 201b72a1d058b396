"""Members of composites that run elsewhere: answers come late, twice, on other ports, or never; hosts go and come. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from edgematrix.runtime.observation import DeadLettered, Outcome, RunEnded, StepBegan, StepEnded

FLOW = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far, far -> last]}
    agents:
      far: {host: other, inputs: {in: any}, outputs: {out: any, extra: any}%s}
      last: {inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{emit: {out: "${x.value}"}}]}}}
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
STATE = "em/state/home/work/far"
HOST = "em/host/other"
READY = {"v": 1, "status": "ready", "host": "other", "session": "s", "since": None, "revision": 0}
GONE = {"v": 1, "status": "offline", "session": "s"}


def answer(runid: str, value: object, *, path: str = "home/work/far", port: str = "out") -> tuple[str, dict[str, Any]]:
    event = {"specversion": "1.0", "id": f"{runid}-{value}", "source": f"/{path}", "type": f"em.out.{port}", "runid": runid, "data": value}
    return f"em/out/{path}/{port}", event


def calls_of(play, matrix: str, inputs) -> list[str]:
    """The ids of the calls that these inputs lead to; the same inputs lead to the same ids."""
    return [step.called for step in play(matrix, inputs).of(StepBegan) if step.member == "home/work/far"]


def ends(played) -> list[tuple[float, str, object]]:
    return [found for found in played.told if found[1] in ("t/out", "t/error")]


def all_is_over(played) -> None:
    began = [(step.runid, step.step) for step in played.of(StepBegan)]
    assert sorted(began) == sorted((step.runid, step.step) for step in played.of(StepEnded))


def test_it_answers_late_and_twice(play) -> None:
    begin = [(1, "t/go", 5)]
    (call,) = calls_of(play, FLOW % "", begin)
    played = play(FLOW % "", [*begin, (40, *answer(call, 6)), (41, *answer(call, 7))])
    assert ends(played) == [(40, "t/out", 6)]
    assert len([ended for ended in played.of(RunEnded) if ended.path == "home/work"]) == 1
    all_is_over(played)


def test_it_answers_after_its_deadline(play) -> None:
    matrix = FLOW % ", deadline: 10s"
    begin = [(1, "t/go", 5)]
    (call,) = calls_of(play, matrix, begin)
    played = play(matrix, [*begin, (11.5, *answer(call, 6))])
    assert ends(played) == [(11, "t/error", "its deadline of 10s has passed")]
    assert len(played.of(DeadLettered)) == 1
    all_is_over(played)


def test_it_answers_on_another_port_first(play) -> None:
    begin = [(1, "t/go", 5)]
    (call,) = calls_of(play, FLOW % "", begin)
    played = play(FLOW % "", [*begin, (3, *answer(call, 1, port="extra")), (5, *answer(call, 6))])
    assert ends(played) == [(5, "t/out", 6)]
    all_is_over(played)


def test_a_composite_elsewhere_tells_that_it_failed(play) -> None:
    begin = [(1, "t/go", 5)]
    (call,) = calls_of(play, FLOW % "", begin)
    topic, event = answer(call, 1, port="error")
    played = play(FLOW % "", [*begin, (3, topic, event | {"data": {"reason": "no way", "member": None}})])
    assert ends(played) == [(3, "t/error", "no way")]
    all_is_over(played)


def test_what_another_puts_out_in_the_same_run_is_no_answer(play) -> None:
    matrix = FLOW.replace("edges: [in -> far, far -> last]", "edges: [in -> far, in -> near, 'far, near -> last']") % ""
    matrix = matrix.replace("      last:", "      near: {host: other, inputs: {in: any}, outputs: {out: any}}\n      last:")
    begin = [(1, "t/go", 5)]
    steps = {step.member.rpartition("/")[2]: step.called for step in play(matrix, begin).of(StepBegan)}
    said = [
        (3, *answer(steps["far"], "not mine", path="home/work/near")),
        (5, *answer(steps["far"], 6)),
        (6, *answer(steps["near"], 7, path="home/work/near")),
    ]
    assert ends(play(matrix, [*begin, *said])) == [(6, "t/out", {"far": 6, "near": 7})]


@pytest.mark.parametrize("said", [(STATE, READY | {"status": "offline"}), (HOST, GONE), (STATE, READY | {"status": "failed"})])
def test_it_goes_while_it_works_and_comes_back(play, said) -> None:
    inputs = [(0, STATE, READY), (1, "t/go", 5), (3, *said), (4, "t/go", 6), (8, STATE, READY), (9, "t/go", 7)]
    call = calls_of(play, FLOW % "", inputs)[-1]
    played = play(FLOW % "", [*inputs, (10, *answer(call, 8))])
    assert [(at, topic) for at, topic, _ in ends(played)] == [(3, "t/error"), (4, "t/error"), (10, "t/out")]
    assert all("offline" in reason or "failed" in reason for reason in played.on("t/error"))
    assert len([ended for ended in played.of(RunEnded) if ended.outcome is Outcome.FAILED]) == 2
    assert len([letter for letter in played.of(DeadLettered) if letter.path == "home/work"]) == 2
    all_is_over(played)


def test_a_rule_that_calls_one_that_is_gone_hears_it_at_once(play) -> None:
    matrix = """
matrix: home
agents:
  far: {host: other, inputs: {in: any}, outputs: {out: any}}
  council: {flow: {edges: [in -> far]}, agents: {far: {host: other, inputs: {in: any}, outputs: {out: any}}}}
  asker: {triggers: {t: {on: {a: {topic: t/go}}, do: [{call: {agent: council, payload: 1, timeout: 20s}}, {publish: {topic: t/out}}]}}}
"""
    played = play(matrix, [(0, "em/state/home/council/far", READY), (1, "em/host/other", GONE), (2, "t/go", 1)])
    (ended,) = [ended for ended in played.of(RunEnded) if ended.path == "home/asker"]
    assert (ended.at_us % 60_000_000, ended.outcome) == (2_000_000, Outcome.FAILED)
    assert "offline" in ended.reason


def test_a_pool_gives_the_work_of_a_replica_that_goes_to_another(play) -> None:
    matrix = """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    pool: {replicas: 2}
    agents: {far: {host: other, inputs: {in: any}, outputs: {out: any}}}
  told: {triggers: {out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
"""
    first, second = "home/work/far-1", "home/work/far-2"
    inputs = [
        (0, f"em/state/{first}", READY),
        (0, f"em/state/{second}", READY | {"host": "third"}),
        (1, "t/go", 5),
        (1, "t/go", 6),
        (1, "t/go", 7),
        (2, "em/host/other", GONE),
        (20, f"em/state/{first}", READY),
    ]

    def called(inputs) -> list[tuple[str, str]]:
        return [(step.member, step.called) for step in play(matrix, inputs).of(StepBegan)]

    answered = list(inputs)
    for at in (4, 6, 8):  # the only replica that is left answers one after the other
        member, call = [step for step in called(sorted(answered, key=lambda said: said[0])) if step[0] == second][(at - 4) // 2]
        answered.append((at, *answer(call, at, path=member)))
    played = play(matrix, sorted(answered, key=lambda said: said[0]))
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(4, 4), (6, 6), (8, 8)]
    all_is_over(played)


@pytest.mark.parametrize("host_first", [True, False])
def test_its_host_went_before_this_one_began(play, host_first: bool) -> None:
    """Its last state is retained and says that it is ready; that its host is gone is retained too. Which comes first is chance."""
    known = [(0, HOST, GONE, True), (0, STATE, READY, True)]
    inputs = [*(known if host_first else reversed(known)), (1, "t/go", 5), (8, HOST, {"v": 1, "status": "online", "session": "t"})]
    inputs += [(8, STATE, READY | {"session": "t"}), (9, "t/go", 6)]
    call = calls_of(play, FLOW % "", inputs)[-1]
    played = play(FLOW % "", [*inputs, (10, *answer(call, 8))])
    assert [(at, topic) for at, topic, _ in ends(played)] == [(1, "t/error"), (10, "t/out")]


def test_it_is_ready_again_in_another_session_though_its_old_host_is_gone(play) -> None:
    inputs = [(0, HOST, GONE, True), (0, STATE, READY | {"session": "new"}, True), (1, "t/go", 5)]
    (call,) = calls_of(play, FLOW % "", inputs)
    assert ends(play(FLOW % "", [*inputs, (2, *answer(call, 6))])) == [(2, "t/out", 6)]
