"""Declared ports are judged where a value crosses them."""

from edgematrix.runtime.observation import DeadLettered, Outcome, RunEnded

RULES = """
matrix: home
agents:
  sum:
    inputs: {in: {type: object, properties: {left: {type: number}}, required: [left]}}
    outputs: {out: number}
    triggers:
      t: {mode: parallel, on: {x: {from: self.in}}, do: [{publish: {topic: t/began, payload: 1}}, {emit: {out: "${x.value.give}"}}]}
  asker:
    sends: []
    triggers:
      call:
        mode: parallel
        on: {a: {topic: t/call}}
        do: [{call: {agent: sum, payload: "${a.value}"}}, {publish: {topic: t/result, payload: "${result}"}}]
      send: {mode: parallel, on: {a: {topic: t/send}}, do: [{send: {to: sum.in, payload: "${a.value}"}}]}
"""


def test_work_of_the_wrong_type_is_told_to_the_caller_with_the_fields_name(play) -> None:
    played = play(RULES, [(1, "t/call", {"left": "x", "give": 1})])
    (ended,) = [found for found in played.of(RunEnded) if found.path == "home/asker"]
    assert ended.outcome is Outcome.FAILED
    assert "the input `in` is of the wrong type: `left`" in ended.reason
    assert played.on("t/began") == []


def test_work_of_the_wrong_type_that_nobody_waits_for_is_dead_lettered(play) -> None:
    played = play(RULES, [(1, "t/send", {"give": 1})])
    (letter,) = played.of(DeadLettered)
    assert (letter.path, letter.topic) == ("home/sum", "em/in/home/sum/in")
    assert '"left" is a required property' in letter.reason


def test_an_output_of_the_wrong_type_fails_its_run(play) -> None:
    played = play(RULES, [(1, "t/call", {"left": 1, "give": "much"}), (2, "t/call", {"left": 1, "give": 5})])
    assert played.on("t/result") == [5]
    reasons = [found.reason for found in played.of(RunEnded) if found.outcome is Outcome.FAILED]
    assert all("the output `out` is of the wrong type: expected a number, found a text" in reason for reason in reasons)
    assert len(reasons) == 2


def test_a_member_with_several_inputs_gets_them_in_one_run(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          work:
            inputs: {p: any, q: any}
            triggers: {go: {mode: parallel, on: {p: {topic: t/p}, q: {topic: t/q, role: live}}}}
            outputs: {out: {from: n}}
            flow: {edges: [p -> m.left, q -> m.right, p -> n.left, "m -> n.right"]}
            agents:
              m: {python: "members:m", inputs: {left: any, right: any}}
              n: {python: "members:n", inputs: {left: any, right: any}}
          told: {triggers: {t: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
        """,
        [(1, "t/q", 10), (2, "t/p", 1), (3, "t/p", 2)],
        modules={
            "members": "from edgematrix import Firing\n"
            "async def m(firing: Firing, context) -> list:\n"
            "    return [firing.value(name) for name in ('left', 'right')]\n"
            "async def n(both: dict, context) -> list:\n"
            "    return [both['left'], *both['right']]\n"
        },
    )
    assert played.on("t/out") == [[1, 1, 10], [2, 2, 10]]
