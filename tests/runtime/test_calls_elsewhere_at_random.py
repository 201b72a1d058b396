"""Random agents of agents, split at random over three hosts: they do what they do on one, and nothing stays open. In virtual time."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from matrix_maker import END_S, MEMBERS, TICKS_S, Maker, world_of
from split_hosts import Net, left_open

from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.observation import DeadLettered, Fired, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.testing.simulator import START_US

SEEDS = st.integers(0, 2**32 - 1)
BREADTHS = st.integers(1, 4)
DEPTHS = st.integers(1, 4)
QUIET = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
LAST_S = 10 * END_S
APART_S = 400
"""Between two requests, so that one is over before the next comes: which of several is first at one instant is chance."""


class SteadyMaker(Maker):
    """Makes matrices whose outcome does not depend on what comes first at one instant."""

    def matrix(self) -> dict[str, Any]:
        made = super().matrix()
        set_apart(made, count(1))
        return made

    def mode(self) -> dict[str, Any]:
        return {"mode": "parallel"}

    def group(self) -> dict[str, Any]:
        group = self.mode() | {"on": {"x": {"from": "self.in"}}}
        if self.chance(0.2):
            group["if"] = self.random.choice(["false", "x.value != null"])
        return group

    def bounds(self) -> dict[str, Any]:
        found = super().bounds()
        if "retry" in found:
            found["retry"]["wait_jitter"] = "0s"  # it comes from ids
        return found

    def pool(self, level: int, path: str) -> dict[str, Any]:
        made = super().pool(level, path)
        made["pool"]["waiting_max"] = 100
        return made

    def rule(self, path: str) -> dict[str, Any]:
        made = super().rule(path)
        for action in made["triggers"]["t"]["do"]:
            if "publish" in action:
                action["publish"]["topic"] = f"t/note/{path.replace('/', '-')}"
        return made


def set_apart(made: Any, numbers: Iterator[int]) -> None:
    """Let no two deadlines and time-outs of a matrix be the same, nor a whole number of seconds, as code and delays take."""
    for key, part in list(made.items()) if isinstance(made, dict) else ():
        if key in ("deadline", "timeout"):
            made[key] = f"{int(part.removesuffix('s')) * 1_000 + 17 * next(numbers)}ms"
    for part in made.values() if isinstance(made, dict) else made if isinstance(made, list) else ():
        set_apart(part, numbers)


class PatientMaker(Maker):
    """Makes matrices in which nothing but the end of a call ends the waiting for it."""

    def code(self, path: str) -> dict[str, Any]:
        made = super().code(path)
        made.pop("deadline", None)
        return made | {"python": self.random.choice(["members:quick", "members:while_"])}

    def bounds(self) -> dict[str, Any]:
        return {key: bound for key, bound in super().bounds().items() if key != "deadline"}

    def flow(self, level: int, path: str) -> dict[str, Any]:
        made = super().flow(level, path)
        made["flow"].pop("deadline", None)
        return made

    def chat(self, level: int, path: str) -> dict[str, Any]:
        made = super().chat(level, path)
        made["chat"].pop("deadline", None)
        return made


PATIENCE = """
async def while_(value: object, context) -> object:
    tags, tag, random = begun(value, context, "while")
    await asyncio.sleep(random.choice((0.5, 2, 9)))
    if random.random() < 0.1:
        raise ValueError("while fails")
    return None if random.random() < 0.2 else answer(tag, random)
"""


def places_of(random: Random, matrix: dict[str, Any]) -> dict[str, str]:
    """A host for some of the agents; with each goes what is in it, unless that has one of its own."""
    found: dict[str, str] = {}

    def walk(path: str, agent: dict[str, Any]) -> None:
        if random.random() < 0.6:
            found[path] = random.choice("abc")
        names = agent.get("agents", {})
        if "pool" in agent:
            names = {f"m-{number}": agent["agents"]["m"] for number in range(1, agent["pool"]["replicas"] + 1)}
        for name, child in names.items():
            walk(f"{path}/{name}", child)

    for name, agent in matrix["agents"].items():
        walk(f"home/{name}", agent)
    return found


def called_off(net: Net) -> set[float]:
    """The moments at which somebody hung up on a member: what this publishes at the same instant, or does not, is chance."""
    return {(step.at_us - START_US) / SECOND_US for step in net.of(StepEnded) if step.outcome is Outcome.CANCELLED}


def outcomes(net: Net, by_chance: set[float]) -> Counter[str]:
    """What the composites at the top put out, and what is published on foreign topics."""
    found: Counter[str] = Counter()
    for _, topic, value in net.carried:
        if topic.startswith("em/out/") and topic.count("/") == 4 and not topic.endswith("_end"):
            data = value["data"]
            if topic.endswith(("/error", "/ask")):  # ids are others, and which of two failures at one instant comes first is chance
                data = {key: part for key, part in data.items() if key not in ("run", "reason", "member")}
            found[json.dumps([value["time"], topic, data], sort_keys=True)] += 1
    for at, topic, value in net.told:
        if not topic.startswith("t/answer") and not (topic.startswith("t/note") and at in by_chance):
            found[json.dumps([at, topic, value], sort_keys=True)] += 1
    return found


def is_beyond_bounds(net: Net) -> bool:
    """Whether something was too deep, or too large, to leave a host: there it fails the call, and within one host it goes on."""
    return any("cannot be sent" in step.reason for step in net.of(StepEnded))


def faults_of(net: Net) -> list[str]:
    """What is left, and what began and did not end once."""
    found = list(left_open(net))
    began = Counter((run.path, run.group, run.run) for run in net.of(Fired))
    ended = Counter((run.path, run.group, run.run) for run in net.of(RunEnded))
    found += [f"the run {run} began {began[run]} times and ended {ended[run]} times" for run in began | ended if began[run] != ended[run]]
    steps = Counter((step.path, step.runid, step.step) for step in net.of(StepBegan))
    over = Counter((step.path, step.runid, step.step) for step in net.of(StepEnded))
    found += [f"the step {step} began {steps[step]} times, ended {over[step]} times" for step in steps | over if steps[step] != over[step]]
    ends = Counter((path, said["runid"]) for path, said in net.told_ends() if "lost on the way" not in said["data"]["reason"])
    found += [f"the end of {end} was told {count} times" for end, count in ends.items() if count > 1]
    found += [f"a dead letter of no run: {letter}" for letter in net.of(DeadLettered) if letter.topic.startswith(("em/in/", "em/ctl/"))]
    return found


def played_out(net: Net, said: list[Any]) -> Net:
    """Let everything come to its end: what is queued may wait for very long."""
    net.play(said, END_S)
    return (
        net
        if not any(left_open(net))
        else net.play_on([(at_s, "t/tick", {"at": at_s}) for at_s in range(END_S + 3, LAST_S, TICKS_S)], LAST_S)
    )


def played(folder: str, matrix: dict[str, Any], places: dict[str, str], said: list[Any], **more: Any) -> Net:
    net = Net(Path(folder), matrix, places, modules={"members": MEMBERS}, **more)
    try:
        return played_out(net, [(recorded.at_us / SECOND_US, recorded.topic, recorded.payload) for recorded in said])
    finally:
        net.close()


def differences_of(seed: int, breadth: int, depth: int) -> list[str]:
    random = Random(seed)
    maker = SteadyMaker(random, breadth, depth)
    matrix = maker.matrix()
    places = places_of(random, matrix)
    note(json.dumps(matrix))
    note(json.dumps(places))
    said = []
    for number in range(random.randint(1, 6)):
        at_s = 1 + number * APART_S
        topic = f"t/go/{random.randrange(len(matrix['agents']))}"
        said.append((at_s, topic, {"tag": number + 1, "n": random.randrange(4)}))
        said += [(at_s + random.randrange(30) + 0.5, person, random.choice(["yes", "no", "maybe"])) for person in maker.people]
    until_s = number * APART_S + END_S
    with tempfile.TemporaryDirectory() as folder:
        nets = []
        for spread in ({}, places):
            net = Net(Path(folder), matrix, spread, modules={"members": MEMBERS})
            try:
                nets.append(net.play(said, until_s))
            finally:
                net.close()
        by_chance = set.union(*map(called_off, nets))
        one, three = (outcomes(net, by_chance) for net in nets)
        faults = faults_of(nets[1])
        if one != three and not is_beyond_bounds(nets[1]):
            faults += [f"only on one host: {sorted((one - three).elements())}", f"only on three: {sorted((three - one).elements())}"]
    return faults


def faults_of_any(seed: int, breadth: int, depth: int) -> list[str]:
    random = Random(seed)
    maker = Maker(random, breadth, depth)
    matrix = maker.matrix()
    places = places_of(random, matrix)
    note(json.dumps(matrix))
    note(json.dumps(places))
    said = world_of(random, matrix, maker.people)
    with tempfile.TemporaryDirectory() as folder:
        delay_us = random.choice([0, 1_000, 100_000, 3 * SECOND_US])
        return faults_of(played(folder, matrix, places, said, delay_us=delay_us, seed=seed))


def left_after_trouble(seed: int, breadth: int, depth: int) -> list[str]:
    """Hosts die and begin anew, and connections break."""
    random = Random(seed)
    maker = PatientMaker(random, breadth, depth)
    matrix = maker.matrix()
    places = places_of(random, matrix)
    note(json.dumps(matrix))
    note(json.dumps(places))
    said: list[Any] = [
        (recorded.at_us / SECOND_US, recorded.topic, recorded.payload) for recorded in world_of(random, matrix, maker.people)
    ]
    said += [(at_s, f"t/go/{at_s % len(matrix['agents'])}", {"tag": 100 + at_s, "n": random.randrange(4)}) for at_s in range(5, 65, 3)]
    for name in "abc":
        at_s = random.uniform(0, 70)
        end_s = at_s + random.choice([0.0, 0.5, 8, 30])
        kind = random.choice(["none", "dies", "breaks", "breaks"])
        if kind == "dies":
            said += [(at_s, lambda net, name=name: net.go(name)), (end_s, lambda net, name=name: net.back(name))]
        elif kind == "breaks":
            said += [(at_s, lambda net, name=name: net.unlink(name)), (end_s, lambda net, name=name: net.link(name))]
    note(str(said))
    with tempfile.TemporaryDirectory() as folder:
        delay_us = random.choice([0, 1_000, 100_000, 3 * SECOND_US])
        net = Net(Path(folder), matrix, places, modules={"members": MEMBERS + PATIENCE}, delay_us=delay_us, seed=seed)
        try:
            played_out(net, said)
        finally:
            net.close()
        return list(left_open(net))


@settings(QUIET, max_examples=40)
@given(SEEDS, BREADTHS, DEPTHS)
def test_nothing_stays_open_when_hosts_die_and_connections_break(seed: int, breadth: int, depth: int) -> None:
    assert left_after_trouble(seed, breadth, depth) == []


@settings(QUIET, max_examples=40)
@given(SEEDS, BREADTHS, DEPTHS)
def test_three_hosts_do_what_one_does(seed: int, breadth: int, depth: int) -> None:
    assert differences_of(seed, breadth, depth) == []


@settings(QUIET, max_examples=40)
@given(SEEDS, BREADTHS, DEPTHS)
def test_nothing_stays_open_between_hosts(seed: int, breadth: int, depth: int) -> None:
    assert faults_of_any(seed, breadth, depth) == []


@pytest.mark.slow
@settings(QUIET, max_examples=3_000)
@given(SEEDS, BREADTHS, DEPTHS)
def test_many_do_what_they_do_on_one_host_and_leave_nothing_open(seed: int, breadth: int, depth: int) -> None:
    assert differences_of(seed, breadth, depth) + faults_of_any(seed, breadth, depth) == []
