"""Calls from host to host end as calls within one: with outputs, with none, failed, cancelled, and with hosts that go. In virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from split_hosts import Net, left_open

from edgematrix.runtime.observation import DeadLettered, Fired, Outcome, RunEnded

CODE = """
import asyncio

async def work(value: object, context) -> object:
    if value == "none":
        return None
    if value == "fail":
        raise ValueError("no way")
    if value == "slow":
        await asyncio.sleep(100)
    if value == "late":
        await context.emit("out", "first")
        await asyncio.sleep(1)
        raise ValueError("too late")
    if value == "later":
        await asyncio.sleep(5)
    if value == "large":
        return "x" * 5_000
    if value == "deep":
        for _ in range(100):
            value = [value]
        return value
    if value == "large, early":
        await context.emit("extra", "x" * 5_000)
        await asyncio.sleep(5)
        return "late"
    if value == "other":
        await context.emit("extra", 1)
        return None
    if value == "parts":
        await context.stream("a")
        await context.stream("b")
        return "ab"
    return {"got": value}

async def both(value: object, context) -> object:
    return value

def talk(value: object, context) -> object:
    asked = value.get("request", value) if isinstance(value, dict) else value
    if asked == 3:
        return None
    if asked == 4:
        raise ValueError("four")
    return {"by": context.path, "of": value if not isinstance(value, dict) else value.get("turn", 0)}
"""
TOLD = """
  told:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
FLOW = (
    """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far, far -> last]}
    agents:
      far: {python: "code:work"}
      last: {python: "code:both"}
"""
    + TOLD
)
FAR = {"home/work/far": "b"}
Play = Callable[..., Net]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    nets: list[Net] = []

    def run(matrix: str, places: Mapping[str, str], inputs: Any = (), until: float | str = 60, **more: Any) -> Net:
        nets.append(Net(tmp_path, matrix, places, modules={"code": CODE}, **more))
        return nets[-1].play(inputs, until)

    yield run
    for net in nets:
        net.close()


def ends(net: Net) -> list[tuple[float, str, object]]:
    return [found for found in net.told if found[1] in ("t/out", "t/error")]


def without_run(value: object) -> object:
    """Ids of runs are not the same where ids are made for calls of more or fewer inputs."""
    return {key: part for key, part in value.items() if key != "run"} if isinstance(value, dict) else value


def nothing_is_left(net: Net) -> None:
    assert list(left_open(net)) == []


def letters(net: Net) -> list[tuple[str, str]]:
    return [(letter.path, letter.reason) for letter in net.of(DeadLettered)]


# What a member's work comes to


def test_its_output_is_the_steps(play) -> None:
    net = play(FLOW, FAR, [(1, "t/go", 5)])
    assert ends(net) == [(1, "t/out", {"got": 5})]
    assert [(path, said["outcome"]) for path, said in net.ends()] == [("home/work/far", "done")]
    nothing_is_left(net)


def test_it_returns_nothing(play) -> None:
    """The branch is skipped at once, as on one host."""
    net = play(FLOW, FAR, [(1, "t/go", "none"), (2, "t/go", 5)])
    assert ends(net) == [(2, "t/out", {"got": 5})]
    (first, second) = [ended for ended in net.of(RunEnded) if ended.path == "home/work"]
    assert (first.outcome, first.at_us < second.at_us) == (Outcome.DONE, True)
    nothing_is_left(net)


def test_it_fails_with_its_reason(play) -> None:
    net = play(FLOW, FAR, [(1, "t/go", "fail")])
    assert ends(net) == [(1, "t/error", "ValueError: no way")]
    assert [path for path, _ in letters(net)] == ["home/work"]  # once, by whom nobody called
    nothing_is_left(net)


def test_it_puts_out_on_another_port_and_returns_nothing(play) -> None:
    net = play(FLOW, FAR, [(1, "t/go", "other")])
    assert ends(net) == []
    assert [ended.outcome for ended in net.of(RunEnded) if ended.path == "home/work"] == [Outcome.DONE]
    nothing_is_left(net)


def test_a_failure_after_the_output_is_its_own(play) -> None:
    """The step was over with the output; that the rest failed is told where it happened, as on one host."""
    for places in ({}, FAR):
        net = play(FLOW, places, [(1, "t/go", "late")])
        assert ends(net) == [(1, "t/out", "first")]
        assert letters(net) == [("home/work/far", "ValueError: too late")]
        nothing_is_left(net)


def test_its_deadline_is_told_by_itself(play) -> None:
    matrix = FLOW.replace('far: {python: "code:work"}', 'far: {python: "code:work", deadline: 10s}')
    net = play(matrix, FAR, [(1, "t/go", "slow")], 120)
    assert ends(net) == [(11, "t/error", "its deadline of 10s has passed")]
    assert [ended.outcome for ended in net.of(RunEnded) if ended.path == "home/work/far"] == [Outcome.FAILED]
    nothing_is_left(net)


def test_it_is_tried_again_where_it_runs(play) -> None:
    matrix = FLOW.replace(
        'far: {python: "code:work"}', 'far: {python: "code:work", retry: {attempts: 3, wait_initial: 1s, wait_jitter: 0s}}'
    )
    net = play(matrix, FAR, [(1, "t/go", "fail")])
    assert ends(net) == [(4, "t/error", "ValueError: no way (after 3 attempts)")]
    nothing_is_left(net)


def test_work_of_the_wrong_type_is_refused_to_whoever_called(play) -> None:
    matrix = FLOW.replace('far: {python: "code:work"}', "far: {python: 'code:work', inputs: {in: number}}")
    net = play(matrix, FAR, [(1, "t/go", "x")])
    ((_, topic, reason),) = ends(net)
    assert (topic, "wrong type" in str(reason)) == ("t/error", True)
    nothing_is_left(net)


def test_an_output_of_the_wrong_type_fails_it(play) -> None:
    matrix = FLOW.replace('far: {python: "code:work"}', "far: {python: 'code:work', outputs: {out: text}}")
    net = play(matrix, FAR, [(1, "t/go", 5)])
    ((_, topic, reason),) = ends(net)
    assert (topic, "wrong type" in str(reason)) == ("t/error", True)
    nothing_is_left(net)


@pytest.mark.parametrize(
    ("group", "outcome"),
    [
        ("if: 'false'", None),
        ("throttle: 100s", None),
        ("mode: single", "failed"),
    ],
)
def test_what_its_group_makes_of_the_work(play, group: str, outcome: str | None) -> None:
    """The same as on one host, at the same moments."""
    far = "far: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, %s, do: [{delay: 5s}, {emit: {out: '${x.value}'}}]}}}"
    matrix = FLOW.replace('far: {python: "code:work"}', far % group)
    inputs = [(1, "t/go", 5), (2, "t/go", 6), (20, "t/go", 7)]
    one, two = play(matrix, {}, inputs, 300), play(matrix, FAR, inputs, 300)
    assert ends(two) == ends(one)
    assert outcome is None or any(said["outcome"] == outcome for _, said in two.ends())
    nothing_is_left(two)


def test_it_is_paused(play) -> None:
    pause = (
        "em/op/me/pause/home/work/far",
        {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.op", "data": {"session": "s1"}},
    )
    net = play(FLOW, FAR, [(1, *pause), (3, "t/go", 5)])
    assert ends(net) == [(3, "t/error", "home/work/far is paused")]
    nothing_is_left(net)


def test_so_much_is_under_way_there_already(play) -> None:
    matrix = "limits: {runs_max: 1}\n" + FLOW.strip().replace(
        'last: {python: "code:both"}',
        "last: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: '${x.value}'}}]}}}",
    )
    matrix = matrix.replace("told:", "told:")
    net = play(matrix, FAR | {"home/work": "a"}, [(1, "t/go", "slow"), (2, "t/go", 5)], 30)
    assert any("runs_max" in str(reason) for _, _, reason in ends(net))


# Who hangs up


def test_a_flow_that_passes_its_deadline_stops_what_works_elsewhere(play) -> None:
    matrix = FLOW.replace("far -> last]}", "far -> last], deadline: 5s}")
    net = play(matrix, FAR, [(1, "t/go", "slow")])
    assert [at for at, _, _ in ends(net)] == [6]
    assert [(ended.outcome, ended.at_us % 60_000_000) for ended in net.of(RunEnded) if ended.path == "home/work/far"] == [
        (Outcome.CANCELLED, 6_000_000)
    ]
    assert [path for path, _ in letters(net)] == ["home/work"]  # and none of who was stopped, or was to be
    nothing_is_left(net)


def test_who_is_stopped_while_its_output_is_on_the_way(play) -> None:
    """The word that stops it comes when there is nothing to stop any more: nobody complains."""
    matrix = FLOW.replace("far -> last]}", "far -> last], deadline: 5s}")
    cut = {("a", "em/out/home/work/far/out"), ("a", "em/out/home/work/far/_end")}
    net = play(matrix, FAR, [(0.5, lambda net: net.cut.update(cut)), (1, "t/go", 5)])
    assert [at for at, _, _ in ends(net)] == [6]
    assert [path for path, _ in letters(net)] == ["home/work"]
    nothing_is_left(net)


def test_work_that_comes_after_it_was_stopped_is_not_begun(play) -> None:
    net = play(FLOW, FAR)
    b = net.hosts["b"].engine
    event = {"specversion": "1.0", "id": "x", "source": "/home", "type": "em.ctl.cancel", "data": {"run": "r-1"}}
    net.say("em/ctl/home/work/far/cancel", event)
    work = {"specversion": "1.0", "id": "r-1", "source": "/home/work", "type": "em.in.in", "runid": "r-1", "data": 5, "callinputs": 1}
    net.say("em/in/home/work/far/in", work)
    net._settle()
    assert not net.of(Fired)
    assert not b.calls.open
    assert letters(net) == []


def test_an_operator_cancels_it_and_whoever_called_hears_it(play) -> None:
    def cancel(net: Net) -> None:
        (run,) = [fired.runid for fired in net.of(Fired) if fired.path == "home/work/far"]
        data = {"session": "s1", "run": run}
        net.say("em/op/me/cancel/home/work/far", {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.op", "data": data})

    net = play(FLOW, FAR, [(1, "t/go", "slow"), (5, cancel)])
    assert ends(net) == [(5, "t/error", "it was cancelled")]
    nothing_is_left(net)


# Hosts that go, and messages that come twice


def test_its_host_dies_while_it_works(play) -> None:
    net = play(FLOW, FAR, [(1, "t/go", "slow"), (5, lambda net: net.go("b"))])
    assert ends(net) == [(5, "t/error", "its host b is offline")]
    nothing_is_left(net)


def test_its_host_was_never_there(play) -> None:
    net = play(FLOW, FAR | {"home/told": "a"}, [(1, "t/go", 5)], names=("a",))
    assert ends(net) == [(11, "t/error", "nobody has said that it is there")]
    nothing_is_left(net)


def test_a_message_that_comes_twice_begins_nothing_twice(play) -> None:
    work = {"specversion": "1.0", "id": "r-1", "source": "/home/work", "type": "em.in.in", "runid": "r-1", "data": "slow", "callinputs": 1}
    again = ("em/in/home/work/far/in", work)
    net = play(FLOW, FAR, [(1, *again), (2, *again), (150, *again)], 200)
    assert len([fired for fired in net.of(Fired) if fired.path == "home/work/far"]) == 1
    assert [said["outcome"] for _, said in net.ends()] == ["done", "failed"]
    nothing_is_left(net)


def test_a_call_for_an_input_that_nobody_reads(play) -> None:
    work = {"specversion": "1.0", "id": "r-1", "source": "/home/work", "type": "em.in.no", "runid": "r-1", "data": 1, "callinputs": 1}
    net = play(FLOW, FAR, [(1, "em/in/home/work/far/no", work)])
    ((path, said),) = net.ends()
    assert (path, said["outcome"]) == ("home/work/far", "failed")
    assert letters(net) == []


@pytest.mark.parametrize(
    ("back_s", "told"),
    [(4, (6, "t/out", {"got": "later"})), (9, (9, "t/error", "it has ended, and its answer was lost on the way"))],
)
def test_the_broker_forgets_whoever_called(play, back_s: int, told: tuple[float, str, object]) -> None:
    """An answer that came meanwhile is lost, and nobody waits for it for ever; one that comes later is heard."""
    net = play(FLOW, FAR, [(1, "t/go", "later"), (2, lambda net: net.unlink("a")), (back_s, lambda net: net.link("a"))])
    assert ends(net) == [told]
    assert len([fired for fired in net.of(Fired) if fired.path == "home/work/far"]) == 1
    nothing_is_left(net)


def test_its_host_began_anew_and_nobody_said_that_it_was_gone(play) -> None:
    deaf = {("a", "em/host/b")}
    net = play(
        FLOW,
        FAR,
        [(1, "t/go", "slow"), (2, lambda net: net.cut.update(deaf)), (3, lambda net: net.go("b")), (5, lambda net: net.back("b"))],
    )
    assert ends(net) == [(5, "t/error", "its host b began anew")]
    nothing_is_left(net)


def test_its_host_comes_after_the_call(play) -> None:
    net = play(FLOW, FAR, [(1, "t/go", 5), (4, lambda net: net.back("b"))], late=("b",))
    assert ends(net) == [(4, "t/out", {"got": 5})]
    nothing_is_left(net)


@pytest.mark.parametrize(
    ("what", "why"), [("large", "cannot be sent: the payload has "), ("deep", "the output `out` nests deeper than depth_max, 32")]
)
@pytest.mark.parametrize("places", [{"home/work/far": "b"}, {"home/work/last": "b"}])
def test_what_would_not_be_taken_elsewhere_fails_the_call(play, what: str, why: str, places: dict[str, str]) -> None:
    """As an output of a member, and as the input of one."""
    net = play("limits: {payload_bytes_max: 3000}" + FLOW, places, [(1, "t/go", what), (2, "t/go", 5)])
    (wrong, right) = ends(net)
    assert wrong[:2] == (1, "t/error")
    assert why in str(wrong[2])
    assert right == (2, "t/out", {"got": 5})
    nothing_is_left(net)


@pytest.mark.parametrize("what", ["large", "large, early"])
def test_the_end_of_a_call_whose_output_cannot_be_sent_is_told_once(play, what: str) -> None:
    """Whether its work is over by then, or goes on."""
    net = play("limits: {payload_bytes_max: 3000}" + FLOW, FAR, [(1, "t/go", what)])
    ((path, said),) = net.ends()
    assert (path, said["outcome"]) == ("home/work/far", "failed")
    assert "cannot be sent" in said["reason"]
    assert [at for at, *_ in ends(net)] == [1]
    nothing_is_left(net)


# Several inputs, several outputs


@pytest.mark.parametrize("places", [{}, {"home/work/far": "b"}])
def test_of_a_call_that_is_refused_no_input_is_taken(play, places: dict[str, str]) -> None:
    """Else what was right of one would be joined with what was right of the next."""
    matrix = (
        "matrix: home\nagents:\n  work:\n    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}\n"
        "    flow: {edges: [in -> p, in -> q, p -> far.x, q -> far.y]}\n    agents:\n"
        + "".join(
            f"      {name}: {{inputs: {{in: any}}, triggers: {{t: {{mode: parallel, on: {{v: {{from: self.in}}}}, "
            f'do: [{{emit: {{out: "${{v.value.{name}}}"}}}}]}}}}}}\n'
            for name in "pq"
        )
        + "      far: {inputs: {x: number, y: number}, triggers: {t: {mode: parallel, on: {x: {from: self.x}, y: {from: self.y}},\n"
        '        do: [{publish: {topic: t/far, payload: "${x.value} ${y.value}"}}, {emit: {out: "${x.value} ${y.value}"}}]}}}\n' + TOLD
    )
    said = [(1, "t/go", {"p": 1, "q": "no"}), (2, "t/go", {"p": "no", "q": 2}), (3, "t/go", {"p": 3, "q": 4})]
    net = play(matrix, places, said)
    assert [(at, topic) for at, topic, _ in ends(net)] == [(1, "t/error"), (2, "t/error"), (3, "t/out")]
    assert all("is of the wrong type" in str(why) for _, topic, why in ends(net) if topic == "t/error")
    assert net.on("t/far") == ["3 4"]
    nothing_is_left(net)


JOIN = (
    """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    inputs: {in: any}
    flow:
      edges:
        - in -> a
        - {from: in, to: b, when: "value != 'skip'"}
        - a -> far.x
        - b -> far.y
    agents:
      a: {python: "code:both"}
      b: {python: "code:both"}
      far: {python: "code:both", inputs: {x: any, y: any}}
"""
    + TOLD
)


def test_a_member_with_several_inputs_begins_with_those_that_are_given(play) -> None:
    inputs = [(1, "t/go", 5), (3, "t/go", "skip")]
    one, two = play(JOIN, {}, inputs), play(JOIN, FAR, inputs)
    assert ends(two) == ends(one) == [(1, "t/out", {"x": 5, "y": 5}), (3, "t/out", {"x": "skip"})]
    nothing_is_left(two)


def test_an_input_of_a_call_that_never_comes(play) -> None:
    work = {"specversion": "1.0", "id": "r-1", "source": "/home/work", "type": "em.in.x", "runid": "r-1", "data": 1, "callinputs": 2}
    net = play(JOIN, FAR, [(1, "em/in/home/work/far/x", work)])
    ((path, said),) = net.ends()
    assert (path, said["outcome"], "inputs" in said["reason"]) == ("home/work/far", "failed", True)
    nothing_is_left(net)


def test_several_ports_are_wanted_and_one_is_put_out(play) -> None:
    matrix = FLOW.replace("edges: [in -> far, far -> last]", "edges: [in -> far, far -> last, far.extra -> last]")
    matrix = matrix.replace('far: {python: "code:work"}', 'far: {python: "code:work", outputs: {out: any, extra: any}}')
    inputs = [(1, "t/go", 5), (2, "t/go", "other")]
    one, two = play(matrix, {}, inputs), play(matrix, FAR, inputs)
    assert ends(two) == ends(one)
    assert len(ends(two)) == 2
    nothing_is_left(two)


# Kinds of composites

KINDS = {
    "chat": """
    chat: {members: [far, near], max_turns: 4, on_error: skip}
    agents:
      far: {python: "code:talk"}
      near: {python: "code:talk"}
""",
    "chat that fails": """
    chat: {members: [far, near], max_turns: 4}
    agents:
      far: {python: "code:talk"}
      near: {python: "code:talk"}
""",
    "switch": """
    switch: {cases: [{when: "value == 1", to: far}, {when: "value == 2", to: near}], default: far}
    agents:
      far: {python: "code:talk"}
      near: {python: "code:talk"}
""",
    "pool": """
    pool: {replicas: 3}
    agents:
      far: {python: "code:talk"}
""",
    "flow": """
    flow: {edges: [in -> far, far -> near, {from: far.error, to: near}]}
    agents:
      far: {flow: {edges: [in -> inner]}, agents: {inner: {python: "code:talk"}}}
      near: {python: "code:talk"}
""",
    "human": """
    flow: {edges: [in -> far, far -> near]}
    agents:
      far: {human: {ask: Well?, timeout: 5s, default: "no", notify: t/ask, answers: t/answer}}
      near: {python: "code:talk"}
""",
    "relay": """
    flow: {edges: [in -> far, far -> near]}
    agents:
      far:
        inputs: {in: any}
        outputs: {out: {from: inner}}
        agents:
          inner:
            triggers:
              t:
                mode: parallel
                on: {x: {from: parent.in}}
                do: [{delay: 2s}, {emit: {out: "${x.value}"}, when: "${x.value != 3}"}]
      near: {python: "code:talk"}
""",
}
SPLITS = [
    {"home/work/far": "b", "home/work/far-1": "b", "home/work/far-2": "c"},
    {"home/work": "b", "home/work/near": "a", "home/work/far/inner": "c"},
    {"home/work": "b", "home/work/far": "c", "home/work/far-1": "a", "home/work/far/inner": "b"},
    {"home/work/far/inner": "b"},
    {"home/work": "b"},
    {"home/work/far": "b", "home/work/far/inner": "a"},
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_what_it_gives_on_one_host(play, kind: str, split: dict[str, str]) -> None:
    go = "    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}"
    matrix = f"matrix: home\nagents:\n  work:\n{go}{KINDS[kind]}{TOLD}"
    inputs = [(at, "t/go", value) for at, value in ((1, 1), (10, 2), (20, 3), (30, 4), (40, 5))] + [(41, "t/answer", "yes")]
    told = []
    for places in ({}, split):
        net = play(matrix, places, inputs, 120)
        told.append(sorted(((at, topic, without_run(value)) for at, topic, value in net.told), key=repr))
        nothing_is_left(net)
    assert told[1] == told[0]
    assert told[0]


def test_a_pool_gives_the_work_of_a_host_that_dies_to_another(play) -> None:
    matrix = (
        """
matrix: home
agents:
  work:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    pool: {replicas: 2}
    agents: {far: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{delay: 10s}, {emit: {out: "${x.value}"}}]}}}}
"""
        + TOLD
    )
    net = play(matrix, {"home/work/far-1": "b", "home/work/far-2": "c"}, [(1, "t/go", 5), (3, lambda net: net.go("b")), (20, "t/go", 6)])
    assert ends(net) == [(13, "t/out", 5), (30, "t/out", 6)]
    nothing_is_left(net)


# Rules and code that call


def test_a_rule_calls_somebody_elsewhere(play) -> None:
    matrix = """
matrix: home
agents:
  far: {python: "code:work"}
  asker:
    triggers:
      t:
        mode: parallel
        on: {a: {topic: t/go}}
        do: [{call: {agent: far, payload: "${a.value}", timeout: 30s}}, {publish: {topic: t/out, payload: "${result}"}}]
"""
    inputs = [(1, "t/go", 5), (2, "t/go", "none"), (3, "t/go", "fail"), (4, "t/go", "slow"), (5, lambda net: net.go("b")), (6, "t/go", 5)]
    net = play(matrix, {"home/far": "b"}, inputs)
    assert ends(net) == [(1, "t/out", {"got": 5}), (2, "t/out", None)]
    failed = [
        (ended.at_us // 1_000_000 % 60, ended.reason)
        for ended in net.of(RunEnded)
        if ended.outcome is Outcome.FAILED and ended.path == "home/asker"
    ]
    assert [at for at, _ in failed] == [3, 5, 6]
    assert "no way" in failed[0][1]
    assert all("offline" in reason for _, reason in failed[1:])
    nothing_is_left(net)


def test_code_calls_whom_it_has_a_wire_to_and_whom_it_stands_above(play, tmp_path: Path) -> None:
    (tmp_path / "boss.py").write_text(
        """
async def boss(value: object, context) -> object:
    said = []
    for to in ("/home/far", "below"):
        try:
            said.append(await context.call(to, value))
        except Exception as error:
            said.append(str(error).partition(": ")[2])
    pieces = []
    await context.call("/home/far", "parts", on_part=lambda part: pieces.append(part.value))
    await context.publish("t/out", {"said": said, "pieces": pieces})
"""
    )
    matrix = """
matrix: home
agents:
  far: {python: "code:work"}
  boss:
    python: "boss:boss"
    sends: [far.in]
    triggers: {t: {mode: parallel, on: {a: {topic: t/go}}}}
    agents: {below: {python: "code:both"}}
"""
    inputs = [(1, "t/go", 5), (2, "t/go", "none")]
    one, two = (play(matrix, places, inputs) for places in ({}, {"home/far": "b", "home/boss/below": "c"}))
    assert ends(two) == ends(one)
    assert [value["pieces"] for _, _, value in ends(two)] == [["a", "b"], ["a", "b"]]
    nothing_is_left(two)


def test_a_source_elsewhere_reads_an_output_inside_a_flow(play) -> None:
    """What a member puts out stays on its host, unless somebody on another one reads it."""
    matrix = (
        FLOW
        + """
  spy: {triggers: {t: {mode: parallel, on: {x: {from: work/last}}, do: [{publish: {topic: t/out, payload: {spied: "${x.value}"}}}]}}}
"""
    )
    net = play(matrix, {"home/spy": "c"}, [(1, "t/go", 5)])
    assert sorted(map(repr, net.on("t/out"))) == sorted(map(repr, [{"got": 5}, {"spied": {"got": 5}}]))
