"""Firings that a board has judged: they meet the mode, outlive a restart, and what the board has done is not done again."""

from __future__ import annotations

from trigger_drive import spec_of

from edgematrix.agents.actions import ActionRun, Plan
from edgematrix.agents.effect import Publish
from edgematrix.agents.spec import ActionSpec, PublishSpec
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.triggers import Arrival, Calendar, Firing, Group, HandedOver, Judged, Reading, RunEnded, Start


def firing(value: int, done: tuple[int, ...] = ()) -> Firing:
    return Firing("g", None, {"t": Reading(value, value, "em/out/home/board/t", 5)}, fired_at_us=5, done=done)


def group_of(**more: object) -> Group:
    return Group(spec_of({"on": {"t": {"topic": "t", "above": 3}}, **more}), path="home/rule", name="g", calendar=Calendar())


def test_a_queued_one_outlives_a_restart_with_what_is_done() -> None:
    group = group_of(mode="queued")
    step = group.start(0)
    step = group.step(step.state, Judged(firing(1)), 10)
    (first,) = step.effects
    assert isinstance(first, Start)
    step = group.step(step.state, Judged(firing(2, (0, 1))), 20)
    assert not step.effects
    parts = {key: part for key, part in group.save(step.state).items() if part is not None}
    again = group.resume(group.load(parts), 30, runs_kept=[first.run])
    step = group.step(again.state, RunEnded(first.run), 40)
    (second,) = step.effects
    assert isinstance(second, Start)
    assert (second.firing.done, second.firing.sources["t"]) == ((0, 1), Reading(2, 2, "em/out/home/board/t", 5))


def test_single_drops_while_a_run_is_going() -> None:
    group = group_of()
    step = group.step(group.start(0).state, Judged(firing(1)), 10)
    step = group.step(step.state, Judged(firing(2)), 20)
    assert [trace.reason for trace in step.traces] == ["running"]


def test_a_level_that_is_handed_over_is_forgotten() -> None:
    group = Group(spec_of({"on": {"t": {"topic": "t", "above": 3, "for": "10s"}}}), path="home/rule", name="g", calendar=Calendar())
    step = group.step(group.start(0).state, Arrival(Message("t", 5), ((0, {}),)), 10)
    assert step.deadline_us == 10_000_010
    step = group.step(step.state, HandedOver(), 20)
    assert step.deadline_us is None
    step = group.step(step.state, Arrival(Message("t", 5), ((0, {}),)), 30)
    assert step.deadline_us == 10_000_030


def test_actions_that_are_done_are_passed_over() -> None:
    actions = [ActionSpec(publish=PublishSpec(topic=f"t/{place}", payload=place)) for place in range(3)]
    plan = Plan.compile(actions, {}, AgentPath("home/rule"))
    effects, _ = ActionRun(plan, {}, (0, 1)).advance(0)
    assert [effect.topic for effect in effects if isinstance(effect, Publish)] == ["t/2"]
