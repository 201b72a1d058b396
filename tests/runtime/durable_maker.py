"""Random durable matrices whose outcome does not depend on when anything happens, only on what: so that a host that was killed, or
seven messages that were lost, may delay it and change nothing.

A durable sender, `feed`, lets composites work; what they put out, and what their members send, comes to a durable receiver, `sink`.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from matrix_maker import MEMBERS, Maker

FOR_EVER = "9h"
STEADY = {"mode": "parallel", "max": 10_000, "rate_max": "none"}

DURABLE = """
import re

from edgematrix.errors import RunError

PERIOD_S = 7

def begun(value, context, kind):
    # What it does follows from the request, and is the same in each replica.
    tags = tags_of(value)
    tag = min(tags, default=None)
    if len(tags) > 1:
        raise AssertionError(f"mixed {tags}")
    return tag, Random(f"{re.sub('m-[0-9]+', 'm', context.path)} {tag} {kind} {json.dumps(value, sort_keys=True)}")

import json

def plain_durable(value: object, context) -> object:
    tag, random = begun(value, context, "plain")
    if random.random() < 0.1:
        raise ValueError("plain fails")
    if random.random() < 0.05:
        return object()
    return None if random.random() < 0.2 else answer(tag, random)

async def sure(value: object, context) -> object:
    tag, random = begun(value, context, "sure")
    await asyncio.sleep(random.choice((0, 0.01, 1)))
    return answer(tag, random)

async def patient(value: object, context) -> object:
    tag, random = begun(value, context, "patient")
    what = random.randrange(10)
    if what == 0:
        await asyncio.sleep(random.choice((0.001, 0.3, 4)))
        raise ValueError(random.choice(("patient fails", "half \\ud800", "very long " * 30_000)))
    if what == 1:
        await context.emit("out", answer(tag, random))
        await asyncio.sleep(2)
        await context.emit("out", answer(tag, random))
        return None
    if what == 2:
        await context.emit("extra", answer(tag, random))
        await asyncio.sleep(2)
        return answer(tag, random)
    if what == 3:
        await context.publish(f"t/said/{re.sub('m-[0-9]+', 'm', context.path)}", answer(tag, random))
        await asyncio.sleep(1)
        await context.publish(f"t/said/{re.sub('m-[0-9]+', 'm', context.path)}", answer(tag, random))
        return answer(tag, random)
    if what == 4:
        return None
    if what < 7:
        await asyncio.sleep(random.choice((0, 0.001, 0.2, 1, 5)))
    return answer(tag, random)

async def sending(value: object, context) -> object:
    tag, random = begun(value, context, "sending")
    for number in range(random.randrange(1, 4)):
        await context.send("/home/sink.in", {"from": re.sub('m-[0-9]+', 'm', context.path), "number": number} | answer(tag, random))
        if random.random() < 0.6:
            await asyncio.sleep(random.choice((0, 0.002, 0.5, 3)))
    if random.random() < 0.15:
        raise ValueError("sending fails")
    return answer(tag, random)

async def calling(value: object, context, names) -> object:
    tag, random = begun(value, context, "calling")
    found = answer(tag, random)
    for name in random.sample(names, random.randint(1, len(names))):
        try:
            got = await context.call(name, found)
        except Exception as error:
            got = {"tag": tag, "failed": name} if random.random() < 0.5 else None
            if got is None:
                raise
        if random.random() < 0.4:
            await asyncio.sleep(random.choice((0.001, 0.5)))
        found = {"n": random.randrange(4), "got": got} | ({} if tag is None else {"tag": tag})
    return found

async def gathering(value: object, context, names) -> object:
    tag, random = begun(value, context, "gathering")
    results = await asyncio.gather(*[context.call(name, answer(tag, random)) for name in names], return_exceptions=True)
    return answer(tag, random) | {"got": [None if isinstance(one, Exception) else one for one in results]}

async def leaving(value: object, context) -> object:
    # Whom it calls never answers, so that it hangs up for certain.
    tag, random = begun(value, context, "leaving")
    patience_s = random.choice((0.001, 0.5, 3, 9))
    for _ in range(random.randrange(1, 3)):
        try:
            if random.random() < 0.5:
                await context.call("m0", answer(tag, random), timeout=patience_s)
            else:
                await asyncio.wait_for(context.call("m0", answer(tag, random)), patience_s)
        except (RunError, TimeoutError):
            continue
        raise AssertionError("somebody has answered")
    return answer(tag, random)
""" + "".join(
    f"""
async def {kind}_{count}(value: object, context) -> object:
    return await {kind}(value, context, {[f"m{number}" for number in range(count)]})
"""
    for kind in ("calling", "gathering")
    for count in (1, 2, 3)
)
MODULE = MEMBERS + DURABLE


class DurableMaker(Maker):
    """Makes matrices.

    Args:
        pools: whether there are pools in them.
    """

    def __init__(self, random: Random, breadth: int, depth: int, *, pools: bool) -> None:
        super().__init__(random, breadth, depth)
        self.pools = pools
        self.answers: dict[str, str] = {}
        """What is always answered to the people that are asked, by topic."""

    def matrix(self) -> dict[str, Any]:
        tops = {f"top{number}": self.bounded(self.composite(1, f"top{number}")) for number in range(self.random.randint(1, 3))}
        feed: dict[str, Any] = {"triggers": {}}
        sink: dict[str, Any] = {"inputs": {"in": "any"}, "triggers": {"sent": STEADY | {"on": {"x": {"from": "self.in"}}, "do": NOTHING}}}
        for number, (name, agent) in enumerate(tops.items()):
            feed["triggers"][f"g{number}"] = STEADY | {
                "on": {"x": {"topic": f"t/go/{number}"}},
                "do": [{"emit": {f"o{number}": "${x.value}"}}],
            }
            on: dict[str, Any] = {"in": {"from": f"feed.o{number}"}}
            agent["triggers"] = {"go": STEADY | {"on": on}}
            for port in ("out", "error"):
                sink["triggers"][f"{name}-{port}"] = STEADY | {"on": {"x": {"from": f"{name}.{port}"}}, "do": NOTHING}
        return {
            "matrix": "home",
            "defaults": {"delivery": "durable"},
            "limits": {"depth_max": self.random.choice([100, 100, 100, 100, 20, 12, 8])},
            "agents": {"feed": feed, **tops, "sink": sink},
        }

    def bounds(self) -> dict[str, Any]:
        if not self.chance(0.2):
            return {}
        return {"retry": {"attempts": self.random.randint(2, 3), "timeout": FOR_EVER, "wait_initial": "1s", "wait_jitter": "0s"}}

    def agent(self, level: int, path: str) -> dict[str, Any]:
        if level < self.depth and self.chance(0.45):
            return self.bounded(self.composite(level + 1, path))
        kinds = [self.code, self.code, self.code, self.rule, self.person, self.box]
        if level < self.depth:
            kinds += [lambda path: self.caller(level + 1, path), self.leaver, self.hasty]
        made = self.random.choice(kinds)(path)
        return made if "w" in made.get("agents", {}) else made | self.bounds()  # a composite of no kind has no runs

    def composite(self, level: int, path: str) -> dict[str, Any]:
        kinds = [self.flow, self.flow, self.flow, self.chat, self.switch]
        return self.random.choice([*kinds, self.pool, self.pool] if self.pools else kinds)(level, path)

    def children(self, level: int, path: str, count: int) -> dict[str, Any]:
        made = super().children(level, path, count)
        for agent in made.values():
            for action in agent.get("triggers", {}).get("t", {}).get("do", ()):
                if "call" in action:
                    action["call"]["timeout"] = FOR_EVER
        return made

    # What works

    def code(self, path: str) -> dict[str, Any]:
        kind = self.random.choice(["plain_durable", "patient", "patient", "patient", "sending", "sure"])
        agent: dict[str, Any] = {"python": f"members:{kind}", "outputs": {"out": "any", "extra": "any"}}
        if kind == "sending":
            agent["sends"] = ["/home/sink.in"]
        if self.chance(0.3):
            agent |= {"inputs": {"in": "any"}, "triggers": {"t": self.group()}}
        return agent

    def caller(self, level: int, path: str) -> dict[str, Any]:
        """An agent whose code lets those in it work."""
        members = self.children(level, path, self.random.randint(1, 3))
        kind = self.random.choice(["calling", "gathering"])
        return {"python": f"members:{kind}_{len(members)}", "outputs": {"out": "any"}, "agents": members}

    def silent(self, path: str) -> dict[str, Any]:
        """An agent that never answers, nor comes to an end by itself."""
        later = [{"delay": FOR_EVER}, {"emit": {"out": "${x.value}"}}]
        return self.random.choice(
            [
                {"human": {"ask": "Well?", "notify": f"t/ask/{re_pool(path).replace('/', '-')}", "timeout": FOR_EVER}},
                {"inputs": {"in": "any"}, "triggers": {"t": STEADY | {"on": {"x": {"from": "self.in"}}, "do": later}}},
            ]
        )

    def leaver(self, path: str) -> dict[str, Any]:
        """An agent whose code waits for one that never answers, and does so no longer."""
        return {"python": "members:leaving", "outputs": {"out": "any"}, "agents": {"m0": self.silent(f"{path}/m0")}}

    def hasty(self, path: str) -> dict[str, Any]:
        """A flow that hangs up on all that it has called, when its deadline comes."""
        members = {"m0": self.silent(f"{path}/m0")}
        edges = ["in -> m0"]
        if self.chance(0.6):  # its inputs come on two edges, and one may come long after the other
            on = {"x": {"from": "self.left"}, "y": {"from": "self.right"}}
            group = STEADY | {"on": on, "do": [{"delay": FOR_EVER}, {"emit": {"out": "${x.value}"}}]}
            members["m1"] = {"inputs": {"left": "any", "right": "any"}, "triggers": {"t": group}}
            edges += ["in -> m1.left", "in -> m1.right"]
        deadline = self.random.choice(["10ms", "1s", "4s", "15s"])
        return {"flow": {"edges": edges, "deadline": deadline}, "agents": members, "outputs": {"out": {"from": "m0"}}}

    def rule(self, path: str) -> dict[str, Any]:
        emit = {"emit": {"out": "${x.value}"}}
        delay = {"delay": self.random.choice(["10ms", "1s", "3s", "20s"])}
        note = {"publish": {"topic": f"t/note/{path.replace('/', '-')}", "payload": "${x.value}"}}
        send = {"send": {"to": "/home/sink.in", "payload": {"from": re_pool(path), "x": "${x.value}"}}}
        does = self.random.choice(
            [
                [emit],
                [delay, emit],
                [emit, delay],
                [emit, emit],
                [note, emit | {"when": "${false}"}],
                [note, delay, note, emit],
                [send, delay, send, emit],
                [send, emit],
                [{"emit": {"out": "${x.value.missing.more}"}}],
                [delay, {"stop": "${true}"}, emit],
            ]
        )
        return {"inputs": {"in": "any"}, "triggers": {"t": self.group() | {"do": does}}}

    def box(self, path: str) -> dict[str, Any]:
        """A composite of no kind: an agent in it reads its input."""
        worker = self.random.choice([self.code, self.rule])(f"{path}/w")
        worker.pop("inputs", None)
        group = worker.setdefault("triggers", {}).setdefault("t", dict(STEADY))
        group["on"] = {"x": {"from": "parent.in"}}
        return {"inputs": {"in": "any"}, "outputs": {"out": {"from": "w.out"}}, "agents": {"w": worker}}

    def group(self) -> dict[str, Any]:
        group = STEADY | {"on": {"x": {"from": "self.in"}}}
        if self.chance(0.15):
            group["if"] = self.random.choice(["false", "x.value != null"])
        return group

    def person(self, path: str) -> dict[str, Any]:
        """Somebody who always says the same, or never anything."""
        topic = f"t/answer/{re_pool(path).replace('/', '-')}"
        human: dict[str, Any] = {"ask": "Well?", "answers": topic, "notify": topic.replace("/answer/", "/ask/")}
        if self.chance(0.5):
            self.answers[topic] = self.random.choice(["yes", "no"])
            human["timeout"] = FOR_EVER
        else:
            human["timeout"] = f"{self.random.randint(1, 30)}s"
            if self.chance(0.7):
                human["default"] = "no"
        return {"human": human}

    # What lets others work

    def flow(self, level: int, path: str) -> dict[str, Any]:
        members = self.children(level, path, self.random.randint(1, self.breadth))
        names = list(members)
        is_loop = self.chance(0.3)
        edges: list[Any] = []
        for place, name in enumerate(names):
            before = ["in", *names[:place]]
            if is_loop:  # one after the other, so that what comes first is no chance
                edges.append(self.edge(before[-1], name, members))
            elif place and self.chance(0.4) and not any(calls(other, name) or calls(other, names[0]) for other in members.values()):
                edges += self.joined(name, members, before)
            else:
                edges += [
                    self.edge(source, name, members) for source in self.random.sample(before, self.random.randint(1, min(place + 1, 3)))
                ]
        if is_loop:
            end = names[-1]
            edges.append({"from": end, "to": self.random.choice(names), "when": self.when(members[end]), "loop": True})
        flow = {"edges": edges, "max_steps": self.random.randint(3, 12) if is_loop else 100}
        return {"flow": flow, "agents": members, "outputs": {"out": {"from": self.random.choice(names)}}}

    def joined(self, name: str, members: dict[str, Any], before: list[str]) -> list[str]:
        """A member with two inputs, that works once both of a run have come; its edges."""
        if self.chance(0.5):  # what was skipped is not awaited
            left, right = self.random.sample(before, 2)
            members[name] = {
                "python": "members:patient",
                "inputs": {"left": "any", "right": "any"},
                "outputs": {"out": "any", "extra": "any"},
            }
        else:  # a group waits for both, so both have to come
            left, right = "in", before[1]
            members[right] = {"python": "members:sure", "outputs": {"out": "any", "extra": "any"}}
            on = {"left": {"from": "self.left"}, "right": {"from": "self.right"}}
            emit = {"emit": {"out": {"tag": "${left.value.tag}", "n": 1, "left": "${left.value}", "right": "${right.value}"}}}
            members[name] = {"inputs": {"left": "any", "right": "any"}, "triggers": {"t": STEADY | {"on": on, "do": [emit]}}}
        return [f"{left} -> {name}.left", f"{right} -> {name}.right"]

    def edge(self, source: str, target: str, members: dict[str, Any]) -> Any:
        made = super().edge(source, target, members)
        return (
            made.replace(".extra", "")
            if isinstance(made, str) and "python" in members.get(source, {}) and "agents" in members[source]
            else made
        )

    def chat(self, level: int, path: str) -> dict[str, Any]:
        made = super().chat(level, path)
        made["chat"].pop("deadline", None)
        return made

    def pool(self, level: int, path: str) -> dict[str, Any]:
        made = super().pool(level, path)
        made["pool"]["waiting_max"] = 10_000
        return made


def calls(agent: dict[str, Any], name: str) -> bool:
    """Whether a rule lets a neighbour work."""
    return any(action.get("call", {}).get("agent") == name for action in agent.get("triggers", {}).get("t", {}).get("do", ()))


NOTHING = [{"emit": {"seen": "${x.value}"}}]


def re_pool(path: str) -> str:
    """The path of an agent, of which replicas have none of their own yet."""
    return f"home/{path}"


def inputs_of(random: Random, matrix: dict[str, Any], until_s: int) -> list[tuple[float, str, dict[str, Any]]]:
    """What the sender sends, and when."""
    tops = sum(name.startswith("top") for name in matrix["agents"])
    said = []
    for tag in range(1, random.randint(2, 14)):
        at_s = random.choice([1.0, 1.0, 5.0, random.uniform(0, until_s)])
        said.append((at_s, f"t/go/{random.randrange(tops)}", {"tag": tag, "n": random.randrange(4)}))
    return said


def plain(value: Any) -> Any:
    """A value without what is chance: ids of runs, and which of two failures at one instant came first."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key not in ("run", "reason", "member")}
    return [plain(part) for part in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    return json.dumps(plain(value), sort_keys=True)
