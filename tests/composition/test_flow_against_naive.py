"""Random flows against a plain model, and against what must hold of each."""

from __future__ import annotations

from itertools import product

import pytest
from flow_drive import Drive, flow_of, kept
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_flow import IN, Edge, NaiveFlow, NaiveRun, is_back

SIZE_MAX = 8
STEPS_MAX = 40


@st.composite
def graphs(draw: st.DrawFn, backs_max: int) -> list[Edge]:
    """Edges of a flow: a DAG in which each member is reached, and edges back to members that dominate their tail."""
    size = draw(st.integers(1, SIZE_MAX))
    names = [f"m{number}" for number in range(size)]
    edges: list[Edge] = []
    for number, name in enumerate(names):
        before = [IN, *names[:number]] if not backs_max or number == 0 else names[max(0, number - 3) : number]
        tails = draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
        edges += [(tail, name) for tail in tails]
    possible = [edge for edge in product(names, names) if is_back(edge, edges)]
    edges += draw(st.lists(st.sampled_from(possible), max_size=backs_max, unique=True))
    return draw(st.permutations(edges))


def compiled(edges: list[Edge], **more: object):
    """The flow of such edges. Each has a port of its own, so that a step's outputs say which edges are taken."""
    names = sorted({head for _, head in edges})
    written = [f"{port_of(edge) if edge[0] == IN else edge[0] + '.' + port_of(edge)} -> {edge[1]}" for edge in edges]
    inputs = " ".join(port_of(edge) for edge in edges if edge[0] == IN)
    return flow_of(written, " ".join(names), inputs=inputs, outputs={"never": "m0.never"}, **more)


def port_of(edge: Edge) -> str:
    return f"to_{edge[1]}" if edge[0] != IN else f"in_{edge[1]}"


def outputs_of(taken: list[Edge], value: object) -> dict[str, object]:
    return {port_of(edge): value for edge in taken}


def inputs_of(drive: Drive, step: int, edges: list[Edge]) -> dict[str, object]:
    """What a step got by origin, however many edges lead to it."""
    into = [edge for edge in edges if edge[1] == drive.invoked[step - 1].member]
    value = drive.inputs(step)[""]
    if len(into) == 1:
        return {into[0][0]: value}
    return {IN if key.startswith("in_") else key: part for key, part in value.items()}


def taken_of(draw, edges: list[Edge], tail: str) -> list[Edge]:
    """Some of the edges that leave a member, most of them."""
    return [edge for edge in edges if edge[0] == tail and draw(st.integers(0, 3))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flow_does_what_the_plain_model_does(data):
    edges = data.draw(graphs(backs_max=5))
    flow = compiled(edges, max_steps=STEPS_MAX)
    naive = NaiveRun(NaiveFlow(edges))
    taken = taken_of(data.draw, edges, IN)
    drive = Drive(flow, outputs_of(taken, "i"))
    expected = naive.begin(taken, "i")
    seen = 0
    while True:
        if naive.count > STEPS_MAX:
            assert drive.failed is not None
            break
        said = [(effect.member, inputs_of(drive, effect.step, edges)) for effect in drive.invoked[seen:]]
        assert sorted(said, key=repr) == sorted(expected, key=repr), drive.notes
        seen = len(drive.invoked)
        assert drive.over == naive.over
        if drive.over:
            break
        step = data.draw(st.sampled_from(sorted(drive.open)))
        member = drive.open[step]
        twin = next(number for number, name in naive.steps.items() if name == member and nth(naive.steps, number) == nth(drive.open, step))
        taken = taken_of(data.draw, edges, member)
        expected = naive.done(twin, taken, f"{member}@{step}")
        drive.done(step, **outputs_of(taken, f"{member}@{step}"))
    drive.course.close()
    assert kept(flow) == 0


def nth(steps: dict[int, str], step: int) -> int:
    """Which of the steps of its member that are under way a step is."""
    return [number for number in sorted(steps) if steps[number] == steps[step]].index(step)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_order_of_completion_changes_nothing_in_a_dag(data):
    edges = data.draw(graphs(backs_max=0))
    outcome = {tail: taken_of(data.draw, edges, tail) for tail in {tail for tail, _ in edges}}
    flow = compiled(edges)
    ran: dict[str, dict[str, object]] = {}
    drive = Drive(flow, outputs_of(outcome[IN], IN))
    while not drive.over:
        step = data.draw(st.sampled_from(sorted(drive.open)))
        member = drive.open[step]
        drive.done(step, **outputs_of(outcome.get(member, []), member))
    for effect in drive.invoked:
        assert effect.member not in ran, "a run of a DAG lets each member work at most once"
        ran[effect.member] = inputs_of(drive, effect.step, edges)
    going = {edge for tail, taken in outcome.items() if tail == IN or tail in ran for edge in taken}
    assert ran == {head: {tail: tail for tail, to in going if to == head} for _, head in going}
    assert drive.finished == 1
    assert kept(flow) == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_runs_of_one_flow_do_not_touch_each_other(data):
    edges = data.draw(graphs(backs_max=2))
    flow = compiled(edges, max_steps=STEPS_MAX)
    drives = [Drive(flow, {port_of(edge): run for edge in edges if edge[0] == IN}, runid=run) for run in ("r1", "r2", "r3")]
    while going := [drive for drive in drives if not drive.over]:
        drive = data.draw(st.sampled_from(going))
        if data.draw(st.integers(0, 15)) == 0:
            drive.course.close()
            drive.finished = 1
            continue
        step = data.draw(st.sampled_from(sorted(drive.open)))
        value = next(iter(inputs_of(drive, step, edges).values()))
        drive.done(step, **outputs_of(taken_of(data.draw, edges, drive.open[step]), value))
    for run, drive in zip(("r1", "r2", "r3"), drives, strict=True):
        drive.course.close()
        for effect in drive.invoked:
            assert set(inputs_of(drive, effect.step, edges).values()) == {run}
    assert kept(flow) == 0


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flow_with_any_edges_declared_to_lead_back_ends(data):
    size = data.draw(st.integers(1, SIZE_MAX))
    names = [f"m{number}" for number in range(size)]
    pairs = data.draw(st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=12))
    starts = data.draw(st.sets(st.sampled_from(names), min_size=1))
    edges = [(IN, name) for name in sorted(starts)] + sorted(pairs)
    written = [
        {
            "from": port_of(edge) if edge[0] == IN else f"{edge[0]}.{port_of(edge)}",
            "to": edge[1],
            "loop": edge[0] != IN and edge[0] >= edge[1],
        }
        for edge in edges
    ]
    inputs = " ".join(port_of(edge) for edge in edges if edge[0] == IN)
    flow = flow_of(written, " ".join(names), inputs=inputs, outputs={"never": "m0.never"}, max_steps=STEPS_MAX)
    drive = Drive(flow, {port_of(edge): 1 for edge in edges if edge[0] == IN})
    ended = 0
    while not drive.over:
        assert drive.open, f"nothing is under way, yet it goes on: {drive.course.waits_for()}"
        step = data.draw(st.sampled_from(sorted(drive.open)))
        drive.done(step, **outputs_of(taken_of(data.draw, edges, drive.open[step]), step))
        ended += 1
    assert ended <= STEPS_MAX
    drive.course.close()
    assert kept(flow) == 0


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_inputs_come_in_the_order_of_the_edges_whatever_came_first(order):
    drive = Drive(flow_of(["request -> a, b", "a, b -> c"], "a b c"))
    for member in order:
        drive.done(member, member)
    assert list(drive.inputs(3)[""]) == ["a", "b"]
