"""Where untrusted text comes from, and that it is known wherever its effects go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.marks import marks_of
from edgematrix.config.opening import open_matrix
from edgematrix.runtime.observation import DeadLettered
from edgematrix.testing.simulator import Restart

LOCK = {"device": {"writes": {"set": {"topic": "z/lock", "critical": True}}}}
OPEN = [{"send": {"to": "/home/lock.set", "payload": "OPEN"}}]


class _Loader(yaml.SafeLoader):
    """YAML 1.2, as matrix files are: `on` is a word."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


CASES = {case["name"]: case for case in yaml.load(Path(__file__).with_name("taint_cases.yaml").read_text(), _Loader)}  # noqa: S506 - it is safe
CODE = {
    "code": """
import edgematrix as em
tries = []
async def sends(firing: em.Firing, context: em.Context) -> None: await context.send("lock.set", "OPEN")
async def publishes(firing: em.Firing, context: em.Context) -> None: await context.publish("t/round", "open")
async def second(firing: em.Firing, context: em.Context) -> None:
    tries.append(1)
    if len(tries) % 2: raise ValueError("not yet")
    await context.send("lock.set", "OPEN")
async def streams(firing: em.Firing, context: em.Context) -> None:
    async def heard(part): await context.send("lock.set", part.value)
    await context.call("m.in", "hello", on_part=heard)
async def calls(firing: em.Firing, context: em.Context) -> None:
    try: await context.call("m.in", "hello")
    except Exception as error: await context.emit("failed", str(error))
async def raises(value: object, context: em.Context) -> object:
    try: return await context.call("/home/m.in", "hello")
    except Exception as error: await context.emit("error", str(error))
"""
}


def matrix_of(agents: dict[str, Any]) -> str:
    return json.dumps({"matrix": "home", "agents": {"lock": LOCK, **agents}}).replace('"do": "open"', f'"do": {json.dumps(OPEN)}')


def held_back(played: Any) -> bool:
    """Whether the lock was commanded, and its agent has seen that untrusted text led to it."""
    assert not played.on("z/lock"), "what follows from untrusted text has reached the lock"
    return bool(played.on("em/out/home/lock/ask")) or any(letter.path == "home/lock" for letter in played.of(DeadLettered))


@pytest.mark.parametrize("name", CASES)
def test_what_follows_from_untrusted_text_is_known_at_the_lock(play: Any, name: str) -> None:
    case = CASES[name]
    assert held_back(play(matrix_of(case["agents"]), case["input"], modules=CODE))


def test_what_nobody_untrusted_has_said_goes_through(play: Any) -> None:
    agents = {
        "r": {"triggers": {"g": {"on": {"x": {"topic": "t/go"}}, "do": OPEN}}},
        "q": {"triggers": {"g": {"on": {"x": {"topic": "mail/x", "untrusted": True}}, "do": [{"emit": {"out": 1}}]}}},
    }
    assert play(matrix_of(agents), [(1, "mail/x", "open"), (2, "t/go", 1)]).on("z/lock") == ["OPEN"]


@pytest.mark.parametrize(
    ("name", "later"),
    [
        ("a part of a mean", [(4, "t/n", 0), (30, "t/n", 5), (31, "t/n", 40)]),
        ("what a value changes from", [(3, "t/n", "away"), (4, "t/n", "home")]),
        ("what turned a level that stays", [(4, "t/n", 1), (5, "t/n", 30), (6, "t/go", 1)]),
        ("a foreign topic and back", [(3, "t/round", "anything else")]),
    ],
)
def test_what_an_untrusted_value_has_no_part_in_any_more_counts_for_itself(play: Any, name: str, later: list[Any]) -> None:
    case = CASES[name]
    assert play(matrix_of(case["agents"]), [*case["input"], *later], modules=CODE).on("z/lock") == ["OPEN"]


RESTARTED = ("a live value", "a part of a mean", "one of what is counted", "what a number has moved from", "what turned a level that stays")


@pytest.mark.parametrize("name", [*RESTARTED, "since when a level is on", "the tokens that are kept", "a step of a sequence"])
def test_it_is_known_after_a_restart(play: Any, name: str) -> None:
    case = CASES[name]
    assert held_back(play(matrix_of(case["agents"]), case["input"], modules=CODE, restarts=[Restart(1_500_000)]))


def test_a_retained_output_is_as_untrusted_after_a_restart_as_before(play: Any) -> None:
    agents = {
        "m": {
            "outputs": {"out": {"type": "any", "retain": True}},
            "triggers": {"g": {"on": {"x": {"topic": "mail/x", "untrusted": True}}, "do": [{"emit": {"out": "${x.value}"}}]}},
        },
        "r": {"triggers": {"g": {"on": {"x": {"from": "m.out", "role": "live"}, "y": {"topic": "t/go"}}, "do": OPEN}}},
    }
    assert held_back(play(matrix_of(agents), [(1, "mail/x", "open"), (9, "t/go", 1)], restarts=[Restart(5_000_000)]))


def test_a_dead_letter_is_as_untrusted_when_it_is_handed_in_again(play: Any) -> None:
    agents = {
        "p": {"inputs": {"in": {"type": "any", "untrusted": True}}, "triggers": {"g": {"on": {"x": {"from": "self.in"}}, "do": OPEN}}},
        "q": {"device": {"writes": {"set": {"topic": "z/q", "range": {"value": [0, 1]}}}}},
    }
    inputs = [
        (
            1,
            "em/in/home/lock/set",
            {"specversion": "1.0", "id": "1", "source": "/home/x", "type": "em.in.set", "data": {"a": 1}, "taint": "web"},
        ),
        (2, "em/op/anna/dead/home", {"do": "retry", "all": True}),
    ]
    assert held_back(play(matrix_of(agents), inputs))


def test_what_a_microphone_hears_is_untrusted(tmp_path: Path) -> None:
    agents = {"h": {"sentences": {"rules": [{"say": ["hello"], "answer": "hi"}]}}, "ear": {"voice": {"to": "h"}}}
    (tmp_path / "m.yaml").write_text(matrix_of(agents))
    marks = marks_of(AgentTree.of(open_matrix(tmp_path / "m.yaml").spec))
    assert dict(marks.speakers) == {"home/h": "home/h.say", "home/ear": "home/ear"}


def test_what_follows_from_untrusted_text_makes_no_agents(play: Any) -> None:
    code = """
import edgematrix as em
async def make(firing: em.Firing, context: em.Context) -> None:
    rule = {"triggers": {"g": {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"out": 1}}]}}}
    await context.create("made", rule)
"""
    for untrusted in (True, False):
        agents = {"c": {"python": "maker:make", "triggers": {"g": {"on": {"x": {"topic": "mail/x", "untrusted": untrusted}}}}}}
        played = play(matrix_of(agents), [(1, "mail/x", 1), (5, "t/go", 1)], modules={"maker": code})
        assert bool(played.on("em/out/home/c/made/out")) is not untrusted
        assert untrusted is any("changes no agents" in letter.reason for letter in played.of(DeadLettered))
