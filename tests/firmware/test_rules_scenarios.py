"""The scenarios of the specification on a board: what it fires makes the host publish what the scenario expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rules_bench import Case, on_board

from edgematrix.agents.actions import ActionRun, Plan
from edgematrix.agents.effect import Publish
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import TriggerSpec
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import AgentPath
from edgematrix.testing.scenario import Scenario, read_scenario
from edgematrix.triggers import Firing, Reading
from edgematrix.triggers.plan import condition_names
from edgematrix.triggers.pushdown import rule_form

SCENARIOS = Path(__file__).parents[1] / "scenarios"
_LEAST = 40
"""So many scenarios can be pushed down at least: if it grows fewer, boards can do less than before."""


class Played(NamedTuple):
    """A group of a scenario, and the values that are for it."""

    scenario: Scenario
    path: AgentPath
    name: str
    trigger: TriggerSpec
    form: list[Any]
    steps: Sequence[tuple[int, str, Any]]


def ports_of(trigger: TriggerSpec) -> Mapping[str, str]:
    """Foreign topics stand for the ports of a board, where each is one topic."""
    filters = {name: TopicFilter.parse(source.topic) for name, source in trigger.on.items() if source.topic is not None}
    return {name: found.subscription for name, found in filters.items() if not found.names and "+" not in found.subscription}


def played(file: Path) -> list[Played]:
    """What of a scenario a board can judge: all of it, or nothing."""
    scenario = read_scenario(file)
    if scenario.spec.restart or any(item.retain or item.at % 1000 for item in scenario.spec.input):
        return []
    found: list[Played] = []
    triggers = [trigger for node in AgentTree.of(scenario.opened.spec) for trigger in node.spec.triggers.values()]
    published = {action.publish.topic for trigger in triggers for action in trigger.do if action.publish is not None}
    if any(source.topic in published for trigger in triggers for source in trigger.on.values()):
        return []  # what the matrix hears of itself is the host's
    for node in AgentTree.of(scenario.opened.spec):
        for name, trigger in node.spec.triggers.items():
            plain = all(action.publish is not None and action.when is None for action in trigger.do)
            if not plain or not trigger.do or trigger.if_ is not None or node.spec.python is not None:
                return []
            try:
                form = rule_form(trigger, ports_of(trigger))
            except ValueError:
                return []
            steps = [(item.at_us // 1000, item.topic, item.payload) for item in scenario.inputs()]
            found.append(Played(scenario, node.path, name, trigger, form, steps))
    return found


@cache
def groups_of_scenarios() -> list[Played]:
    return [group for file in sorted(SCENARIOS.glob("*/*.scenario.yaml")) for group in played(file)]


def test_the_scenarios_that_boards_can_do(interpreter: list[str], tmp_path: Path) -> None:
    groups = groups_of_scenarios()
    assert len({group.scenario.file for group in groups}) >= _LEAST
    cases = [Case({"form": group.form}, group.steps, group.scenario.spec.until // 1000) for group in groups]
    told = on_board(cases, interpreter, tmp_path / "cases", forms=[group.form for group in groups])
    seen: dict[Path, list[tuple[int, str, Any]]] = {}
    for group, firings in zip(groups, told, strict=True):
        assert isinstance(firings, list), firings
        published = [one for firing in firings for one in publications(group, firing)]
        seen.setdefault(group.scenario.file, []).extend(published)
    for group in groups:
        scenario = group.scenario
        expected = [(item.at // 1000, item.topic, item.payload) for item in scenario.spec.expect]
        assert sorted(seen[scenario.file], key=repr) == sorted(expected, key=repr), scenario.file.name


def publications(group: Played, told: Any) -> list[tuple[int, str, Any]]:
    """What the host's actions publish for a firing that a board tells."""
    moment, fired_at, readings = told
    sources: dict[str, Reading | None] = {}
    for (name, source), reading in zip(group.trigger.on.items(), readings, strict=True):
        if reading is None:
            sources[name] = None
            continue
        value, at, payload = reading if len(reading) == 3 else (*reading, reading[0])
        sources[name] = Reading(value, payload, source.topic, group.scenario.start_us + at * 1000)
    now_us = group.scenario.start_us + moment * 1000
    firing = Firing(group.name, None, sources, fired_at_us=group.scenario.start_us + fired_at * 1000)
    plan = Plan.compile(group.trigger.do, condition_names(group.trigger), group.path)
    effects, _ = ActionRun(plan, firing.scope()).advance(now_us)
    return [(moment, effect.topic, effect.value) for effect in effects if isinstance(effect, Publish)]
