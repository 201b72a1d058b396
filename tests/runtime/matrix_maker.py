"""Random matrices of agents made of agents, what the world tells them, and what must hold once all is quiet.

Each request has a tag of its own, which every value that follows from it carries: a join that sees two has mixed two runs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from live_support import asked

from edgematrix.composition.flow import Flow
from edgematrix.composition.pool import Pool
from edgematrix.config.opening import open_matrix
from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.course_body import CourseBody
from edgematrix.runtime.observation import DeadLettered, Emitted, Fired, Observation, Outcome, RunEnded, StepBegan, StepEnded
from edgematrix.runtime.rule_body import RuleBody
from edgematrix.runtime.supervision import Supervision
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import START_US, Restart, Seen, Simulation

END_S = 4_000
TICKS_S = 20
REQUESTS_S = 60

MEMBERS = """
import asyncio
from random import Random

def tags_of(value):
    found, rest = set(), [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            if "tag" in part:
                found.add(part["tag"])
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
    return found

def begun(value, context, kind):
    tags = tags_of(value)
    tag = min(tags, default=None)
    return tags, tag, Random(f"{context.path} {tag} {kind}")

def answer(tag, random):
    said = {"n": random.randrange(4)}
    return said if tag is None else said | {"tag": tag}

async def quick(value: object, context) -> object:
    tags, tag, random = begun(value, context, "quick")
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    if random.random() < 0.1:
        raise ValueError("quick fails")
    return None if random.random() < 0.2 else answer(tag, random)

def plain(value: object, context) -> object:
    tags, tag, random = begun(value, context, "plain")
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    if random.random() < 0.1:
        raise ValueError("plain fails")
    return None if random.random() < 0.2 else answer(tag, random)

async def slow(value: object, context) -> object:
    tags, tag, random = begun(value, context, "slow")
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    what = random.randrange(12)
    if what == 0:
        await asyncio.Event().wait()
    if what == 1:
        await asyncio.sleep(random.randrange(1, 9))
        raise ValueError("slow fails")
    if what == 2:
        await context.emit("out", answer(tag, random))
        await context.emit("out", answer(tag, random))
        return None
    if what == 3:
        await context.emit("extra", answer(tag, random))
        await asyncio.sleep(2)
        return answer(tag, random)
    if what == 4:
        raise asyncio.CancelledError
    if what == 5:
        await context.emit("out", answer(tag, random))
        await asyncio.sleep(3)
        raise ValueError("slow fails late")
    if what == 6:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return answer(tag, random)
    if what == 7:
        await asyncio.sleep(1)
        return None
    if what > 9:
        await asyncio.sleep(random.choice((0, 1, 1, 5)))
    return answer(tag, random)
"""


class Maker:
    """Makes one matrix.

    Args:
        breadth: how many members a composite has at most.
        depth: how deep composites nest.
    """

    def __init__(self, random: Random, breadth: int, depth: int) -> None:
        self.random = random
        self.breadth = breadth
        self.depth = depth
        self.people: list[str] = []
        self.count = 0

    def matrix(self) -> dict[str, Any]:
        """A matrix with one to three composites that the topics `t/go/0`, … begin."""
        agents: dict[str, Any] = {}
        for number in range(self.random.randint(1, 3)):
            agent = self.bounded(self.composite(1, f"top{number}"))
            on = {"in": {"topic": f"t/go/{number}"}}
            agents[f"top{number}"] = agent | {"triggers": {"go": self.mode() | {"on": on}}}
        return {"matrix": "home", "agents": agents}

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def mode(self) -> dict[str, Any]:
        """How a group lets runs begin."""
        mode = self.random.choice(["parallel", "parallel", "parallel", "single", "queued", "restart"])
        group: dict[str, Any] = {"mode": mode}
        if mode in ("queued", "parallel") and self.chance(0.5):
            group |= {"max": self.random.randint(1, 3), "overflow": self.random.choice(["drop_new", "drop_old", "dead_letter"])}
        if self.chance(0.1):
            group[self.random.choice(["cooldown", "throttle", "debounce"])] = self.random.choice(["1s", "4s"])
        return group

    def bounds(self) -> dict[str, Any]:
        """Another attempt, and a deadline."""
        found: dict[str, Any] = {}
        if self.chance(0.2):
            found["retry"] = {"attempts": self.random.randint(2, 3), "wait_initial": "1s", "wait_jitter": self.random.choice(["0s", "1s"])}
        if self.chance(0.3):
            found["deadline"] = f"{self.random.randint(1, 20)}s"
        return found

    def bounded(self, agent: dict[str, Any]) -> dict[str, Any]:
        """A composite with bounds; some kinds have deadlines of their own."""
        bounds = self.bounds()
        if "flow" in agent or "chat" in agent:
            bounds.pop("deadline", None)
        return agent | bounds

    def agent(self, level: int, path: str) -> dict[str, Any]:
        """Any agent."""
        if level < self.depth and self.chance(0.45):
            return self.bounded(self.composite(level + 1, path))
        return self.random.choice([self.code, self.code, self.rule, self.person])(path) | self.bounds()

    def composite(self, level: int, path: str) -> dict[str, Any]:
        """An agent of agents."""
        return self.random.choice([self.flow, self.flow, self.flow, self.chat, self.switch, self.pool])(level, path)

    def children(self, level: int, path: str, count: int) -> dict[str, Any]:
        names = [f"m{number}" for number in range(count)]
        made = {name: self.agent(level, f"{path}/{name}") for name in names}
        for place, name in enumerate(names):
            group = made[name].get("triggers", {}).get("t", {})
            if "do" in group and place and self.chance(0.3):  # it lets a neighbour work, who has two masters then
                call = {"call": {"agent": self.random.choice(names[:place]), "payload": "${x.value}", "timeout": "25s"}}
                group["do"] = [call, {"emit": {"out": "${result}"}, "when": "${result != null}"}]
        return made

    # What works

    def code(self, path: str) -> dict[str, Any]:
        kind = self.random.choice(["quick", "plain", "slow", "slow"])
        agent: dict[str, Any] = {"python": f"members:{kind}", "outputs": {"out": "any", "extra": "any"}}
        if kind == "slow":  # it may wait for ever
            agent["deadline"] = f"{self.random.randint(2, 40)}s"
        if self.chance(0.3):
            agent |= {"inputs": {"in": "any"}, "triggers": {"t": self.group()}}
        return agent

    def rule(self, path: str) -> dict[str, Any]:
        """An agent without code."""
        emit = {"emit": {"out": "${x.value}"}}
        delay = {"delay": self.random.choice(["1s", "3s", "20s"])}
        does = self.random.choice(
            [
                [emit],
                [delay, emit],
                [emit, delay],
                [emit, emit],
                [{"publish": {"topic": "t/note", "payload": 1}}, emit | {"when": "${false}"}],
                [{"emit": {"out": "${x.value.missing.more}"}}],
                [delay, {"emit": {"out": "${x.value.missing.more}"}}],
                [delay, {"stop": "${true}"}, emit],
            ]
        )
        return {"inputs": {"in": "any"}, "triggers": {"t": self.group() | {"do": does}}}

    def group(self) -> dict[str, Any]:
        """The trigger group of a member: its input, perhaps with a sensor."""
        group = self.mode() | {"on": {"x": {"from": "self.in"}}}
        what = self.random.randrange(8)
        if what == 0:
            group["on"]["s"] = {"topic": "t/tick", "value": "at"}
            if self.chance(0.3):
                group["timeout"] = "7s"
            if self.chance(0.2):
                group["on"]["x"]["keep"] = "first"
        elif what == 1:
            group["if"] = self.random.choice(["false", "x.value != null"])
        elif what == 2:
            group["on"] = {"s": {"topic": "t/tick", "value": "at"}, **group["on"]}
            group["within"] = "15s"
        return group

    def person(self, path: str) -> dict[str, Any]:
        topic = f"t/answer/{path.replace('/', '-')}"
        self.people.append(topic)
        human: dict[str, Any] = {"ask": "Well?", "timeout": f"{self.random.randint(1, 30)}s", "answers": topic}
        if self.chance(0.5):
            human["choices"] = ["yes", "no"]
        if self.chance(0.5):
            human["default"] = "no"
        return {"human": human}

    # What lets others work

    def flow(self, level: int, path: str) -> dict[str, Any]:
        members = self.children(level, path, self.random.randint(1, self.breadth))
        names = list(members)
        edges: list[Any] = []
        for place, name in enumerate(names):
            sources = self.random.sample(["in", *names[:place]], self.random.randint(1, min(place + 1, 3)))
            edges += [self.edge(source, name, members) for source in sources]
        loops = {tuple(sorted((self.random.randrange(len(names)), self.random.randrange(len(names))))) for _ in range(2)}
        for start, end in sorted(loops) if self.chance(0.4) else ():
            edges.append({"from": names[end], "to": names[start], "when": self.when(members[names[end]]), "loop": True})
        flow: dict[str, Any] = {"edges": edges, "max_steps": self.random.randint(3, 25)}
        if self.chance(0.2):
            flow["deadline"] = f"{self.random.randint(1, 60)}s"
        return {"flow": flow, "agents": members, "outputs": {"out": {"from": self.random.choice(names)}}}

    def edge(self, source: str, target: str, members: dict[str, Any]) -> Any:
        if source != "in" and self.chance(0.3):
            return {"from": source, "to": target, "when": self.when(members[source])}
        if source != "in" and "python" in members[source] and self.chance(0.2):
            source = f"{source}.extra"
        return f"{source} -> {target}"

    def when(self, of: dict[str, Any] | None = None) -> str:
        if of and "human" in of:
            return "answer == 'yes'"
        if of and '"human"' in json.dumps(of):
            return "value != null"
        return self.random.choice(["n > 0", "n > 1", "n > 2", "tag > 0", "nothing.there"])

    def chat(self, level: int, path: str) -> dict[str, Any]:
        members = self.children(level, path, self.random.randint(1, self.breadth))
        names = list(members)
        chat: dict[str, Any] = {"members": names, "max_turns": self.random.randint(1, 6), "on_error": self.random.choice(["fail", "skip"])}
        chat["speaker"] = self.random.choice(["round_robin", "addressed", {"rule": f"turn > 3 ? '' : '{names[-1]}'"}, {"rule": "'nobody'"}])
        if self.chance(0.3):
            chat["until"] = self.when(members)
        if self.chance(0.2):
            chat["deadline"] = f"{self.random.randint(1, 60)}s"
        return {"chat": chat, "agents": members}

    def switch(self, level: int, path: str) -> dict[str, Any]:
        members = self.children(level, path, self.random.randint(1, self.breadth))
        switch: dict[str, Any] = {"cases": [{"when": self.when(), "to": name} for name in members]}
        if self.chance(0.5):
            switch["default"] = next(iter(members))
        return {"switch": switch, "agents": members}

    def pool(self, level: int, path: str) -> dict[str, Any]:
        pool: dict[str, Any] = {"replicas": self.random.randint(1, 3), "busy_max": self.random.randint(1, 2)}
        pool["waiting_max"] = self.random.choice([0, 1, 100])
        if self.chance(0.4):
            pool["key"] = self.random.choice(["n", "tag", "nothing"])
        return {"pool": pool, "agents": {"m": self.agent(level, f"{path}/m")}}


def world_of(random: Random, matrix: dict[str, Any], people: list[str]) -> list[Recorded]:
    """What the outside world publishes: requests, answers of people, and a sensor that ticks to the end."""
    said: list[Recorded] = []
    for tag in range(1, random.randint(2, 14)):
        at_us = random.choice([1, 1, 5, random.randrange(REQUESTS_S)]) * SECOND_US
        topic = f"t/go/{random.randrange(len(matrix['agents']))}"
        said.append(Recorded(at_us, topic, {"tag": tag, "n": random.randrange(4)}))
    for topic in people:
        said += [Recorded(random.randrange(90) * SECOND_US, topic, random.choice(["yes", "no", "maybe"])) for _ in range(3)]
    said += [Recorded(at * SECOND_US, "t/tick", {"at": at}) for at in range(3, END_S, TICKS_S)]
    return sorted(said, key=lambda recorded: recorded.at_us)


def orders_of(random: Random, played: Outcomes) -> list[Recorded]:
    """What an operator does to a matrix: runs that are known to be under way are cancelled, parts are paused, taken out, doubled."""
    began = {(run.path, run.group, run.run): run for run in played.of(Fired)}
    said: list[Recorded] = []
    for ended in played.of(RunEnded):
        run = began[ended.path, ended.group, ended.run]
        if ended.at_us > run.at_us and not said and random.random() < 0.2:
            at_us = random.randrange(run.at_us, ended.at_us) - START_US
            said.append(Recorded(at_us, *asked("cancel", random.choice([run.path, "home"]), run=run.runid)))
    paths = sorted({run.path for run in began.values()})
    for _ in range(random.randrange(4) if paths else 0):
        path, at_us = random.choice(paths), random.randrange(REQUESTS_S) * SECOND_US
        verb = random.choice(["pause", "remove", "duplicate", "pause"])
        more = {"to": f"{path}-{at_us // SECOND_US}"} if verb == "duplicate" else {}
        said.append(Recorded(at_us, *asked(verb, path, **more)))
        if verb == "pause":
            said.append(Recorded(at_us + random.randrange(30) * SECOND_US, *asked("resume", path)))
    return sorted(said, key=lambda recorded: recorded.at_us)


class Outcomes:
    """One play of a matrix, and what is left of it."""

    def __init__(
        self, folder: Path, matrix: dict[str, Any], said: list[Recorded], restarts: tuple[Restart, ...] = (), more: str = ""
    ) -> None:
        self.matrix = matrix
        file = folder / "matrix.yaml"
        file.write_text(json.dumps(matrix))
        (folder / "members.py").write_text(MEMBERS + more)
        opened = open_matrix(file)
        self.observations: list[Observation] = []
        simulation = Simulation(opened.spec, loader=opened.loader, watch=("#",), observer=self.observations.append)
        simulation._assembly.engine.tracers.append(self._trace)
        self.seen: list[Seen] = list(simulation.play(said, END_S * SECOND_US, restarts))
        self.assembly = simulation._assembly

    def _trace(self, observation: Observation) -> None:
        if type(observation) is Emitted:  # nobody else is told
            self.observations.append(observation)

    def bytes(self) -> bytes:
        """All that was published."""
        return json.dumps([(seen.at_us, seen.topic, seen.payload, seen.retain, seen.qos) for seen in self.seen]).encode()

    def of(self, kind: type[Any]) -> list[Any]:
        """The observations of a kind."""
        return [found for found in self.observations if type(found) is kind]

    def left_over(self) -> Iterator[str]:
        """What is still under way, or kept, though all is quiet."""
        engine = self.assembly.engine
        calls = engine.calls
        yield from (f"the call {call.receiver} of {call.caller} is open" for call in calls.open.values())
        if calls.held or calls._unsettled:
            yield f"calls are held or unsettled: {calls.held} {calls._unsettled}"
        if engine._queue or engine._timers.waiting:
            yield f"{len(engine._queue)} messages and {len(engine._timers.waiting)} timers are left: {engine._timers.waiting[:3]}"
        if self.assembly.questions is not None:
            yield from (f"the question {question} is open" for question in self.assembly.questions)
        if self.assembly.workshop is not None and self.assembly.workshop._tasks:
            yield f"tasks are left: {self.assembly.workshop._tasks}"
        for path, holders in engine.holders.items():
            for holder in holders:
                yield from (f"{path} has the run {run.number} under way" for run in holder.runs())
                yield from _left_in(path, holder.body)
                if getattr(holder, "_partial", None):
                    yield f"{path} keeps inputs: {holder._partial}"
        for path, body in self.assembly.bodies.items():
            yield from _left_in(path, body)

    def run_faults(self) -> Iterator[str]:
        """Runs and steps that began and did not end once."""
        began = Counter((run.path, run.group, run.run) for run in self.of(Fired))
        ended = Counter((run.path, run.group, run.run) for run in self.of(RunEnded))
        yield from (
            f"the run {run} began {began[run]} times and ended {ended[run]} times" for run in began | ended if began[run] != ended[run]
        )
        steps = Counter((step.path, step.runid, step.step) for step in self.of(StepBegan))
        over = Counter((step.path, step.runid, step.step) for step in self.of(StepEnded))
        yield from (
            f"the step {step} began {steps[step]} times and ended {over[step]} times" for step in steps | over if steps[step] != over[step]
        )

    def letter_faults(self) -> Iterator[str]:
        """Failures that were not told once, and runs that had more than one end."""
        called = {step.called for step in self.of(StepBegan)}
        letters = Counter(letter.path for letter in self.of(DeadLettered) if letter.topic.startswith("em/run/"))
        failed = Counter(run.path for run in self.of(RunEnded) if run.outcome is Outcome.FAILED)
        alone = Counter(run.path for run in self.of(RunEnded) if run.outcome is Outcome.FAILED and run.runid not in called)
        rules = {path for path, holders in self.assembly.engine.holders.items() if any(not holder.body.speaks for holder in holders)}
        for path in letters | alone:
            if letters[path] > failed[path] or (path not in rules and letters[path] < alone[path]):
                yield f"{path} failed {failed[path]} times, {alone[path]} of them alone, with {letters[path]} dead letters"
        said = Counter((told.runid, told.port) for told in self.of(Emitted))
        for run in self.of(RunEnded):
            if "/" not in run.path.removeprefix("home/"):
                errors = said[run.runid, "error"]
                if errors != (run.outcome is Outcome.FAILED):
                    yield f"{run} told {errors} errors"
        for reason in {letter.reason for letter in self.of(DeadLettered)} | {run.reason for run in self.of(RunEnded)}:
            if "mixed" in reason or "Traceback" in reason:
                yield reason


def _left_in(path: str, body: object) -> Iterator[str]:
    if isinstance(body, Supervision):
        if body._attempts:
            yield f"{path} has attempts under way"
        yield from _left_in(path, body._body)
    elif isinstance(body, RuleBody):
        if body._waiting:
            yield f"{path} has rules that wait"
    elif isinstance(body, CourseBody):
        if body.under_way:
            yield f"{path} has courses under way: {[conduct.course.waits_for() for conduct in body.under_way.values()]}"
        composition = body.composition
        if isinstance(composition, Flow):
            yield from (
                f"{path} keeps runs at {station.name}" for station in composition.plan.stations if station.join and station.join.runs
            )
        elif isinstance(composition, Pool):
            places = composition.places
            if places.waiting or places._held or places._promised or any(places._busy.values()):
                yield f"{path} has places taken: {places.waiting} {places._held} {places._promised} {places._busy}"
    elif getattr(body, "_tasks", None):
        yield f"{path} has code that works"
