"""Groups that differ in their topics alone share their plan, and no others do."""

from typing import Any

import pytest
from trigger_drive import Drive, spec_of

from edgematrix.triggers import Calendar, Group


def group(source: dict[str, Any], name: str = "g", calendar: Calendar | None = None, **definition: Any) -> Group:
    return Group(spec_of({"on": {"s": source}, **definition}), path="home/rule", name=name, calendar=calendar or Calendar())


def test_groups_that_differ_in_their_topics_alone_share_a_plan() -> None:
    first = group({"topic": "t/1", "above": 25, "qos": 1})
    assert first.plan is group({"topic": "t/2", "above": 25.0}).plan


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"topic": "t", "equals": 1}, {"topic": "t", "equals": True}),
        ({"topic": "t", "equals": [1, "on"]}, {"topic": "t", "equals": [True, "on"]}),
        ({"topic": "t", "is": "1"}, {"topic": "t", "is": 1}),
        ({"topic": "t", "changes": {"to": 0}}, {"topic": "t", "changes": {"to": False}}),
        ({"topic": "t/a"}, {"topic": "t/{a}"}),
        ({"topic": "t/{b}", "where": "captures.b == 'x'"}, {"topic": "t/{a}", "where": "captures.a == 'x'"}),
        ({"topic": "t", "above": 1}, {"topic": "t", "above": 2}),
        ({"topic": "t", "value": "a.b"}, {"topic": "t", "value": ["a.b"]}),
        ({"topic": "t"}, {"from": "lux"}),
    ],
)
def test_groups_that_judge_differently_share_none(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert group(one).plan is not group(other).plan


def test_name_calendar_and_settings_are_part_of_a_plan() -> None:
    source = {"topic": "t", "above": 25}
    plans = [
        group(source).plan,
        group(source, "other").plan,
        group(source, calendar=Calendar("Europe/Berlin")).plan,
        group(source, cooldown="1m").plan,
    ]
    assert len(set(map(id, plans))) == len(plans)


def test_groups_that_share_a_plan_share_no_state() -> None:
    one = Drive({"on": {"s": {"topic": "t/1", "above": 25}}})
    other = Drive({"on": {"s": {"topic": "t/2", "above": 25}}})
    assert one.group.plan is other.group.plan
    one.send(1, "t/1", 20)
    one.send(2, "t/1", 30)
    other.send(2, "t/2", 20)
    assert (len(one.fired), len(other.fired)) == (1, 0)
    other.send(3, "t/2", 30)
    assert (len(one.fired), len(other.fired)) == (1, 1)
