"""Random durable matrices on three hosts that are killed, with a bus and disks that fail: what comes of it is what one host gives.

A failure prints its seed; `python tests/runtime/test_durable_net.py SEED` plays it again, and `FIRST-LAST` plays many.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from durable_bus import Trouble
from durable_maker import MODULE, DurableMaker, inputs_of, written
from durable_net import WORLD, DiskTrouble, DurableNet, found_no_room, spread_over

from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Publication
from edgematrix.runtime.dead_letter import Letter
from edgematrix.runtime.observation import DeadLettered, Fired, Observation, Outcome, RunEnded

INPUTS_S = 60
TROUBLE_S = 90
"""Until when hosts are killed, and the broker fails."""
END_S = 20_000
ANSWERS_S = (1.0, 5.0, 20.0, 60.0, 120.0, 180.0, 240.0)
"""How long after a question it is answered. It may be lost, or come while nobody is there."""
HOSTS = "abc"


@dataclass
class Case:
    """All that is drawn from one seed."""

    seed: int
    matrix: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    said: list[tuple[float, str, Any]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    has_pools: bool = False
    trouble: Trouble = field(default_factory=Trouble)
    disk_trouble: DiskTrouble = field(default_factory=DiskTrouble)
    events: list[tuple[float, str, tuple[Any, ...]]] = field(default_factory=list)
    """When what is done to the net: the name of a method, and its arguments."""

    def __post_init__(self) -> None:
        random = Random(self.seed)
        self.has_pools = random.random() < 0.3
        maker = DurableMaker(random, random.randint(1, 3), random.randint(1, 3), pools=self.has_pools)
        self.matrix = maker.matrix()
        self.answers = maker.answers
        self.places = spread_over(random, self.matrix, HOSTS)
        self.said = inputs_of(random, self.matrix, INPUTS_S)
        self.trouble = Trouble(
            delay_us=random.choice([0, 1_000, 50_000, 400_000]),
            lost=random.choice([0, 0, 0.02, 0.2]),
            twice=random.choice([0, 0, 0.05, 0.3]),
            notices_us=random.choice([0, 3 * SECOND_US, 20 * SECOND_US]),
        )
        self.disk_trouble = DiskTrouble(takes_us=random.choice([0, 500, 20_000, 600_000]), fails=random.choice([0, 0, 0.05, 0.5]))
        if random.random() < 0.25:  # so little may wait that hosts do not take all at once
            self.matrix["limits"]["outbox_durable_max"] = random.choice([26, 30, 36])
        self.events = sorted(self._kills(random) + self._breaks(random) + self._broker(random), key=lambda event: event[0])

    def _kills(self, random: Random) -> list[tuple[float, str, tuple[Any, ...]]]:
        found: list[tuple[float, str, tuple[Any, ...]]] = []
        for name in HOSTS:
            at_s = random.choice([0.0, 1.0, 4.9])
            for _ in range(random.choice([0, 1, 2, 5] if self.has_pools else [0, 1, 2, 5, 12])):
                at_s += random.choice([random.uniform(0, 0.1), random.uniform(0, 3), random.uniform(0, 30)])
                back_s = at_s + random.choice([0.0, random.uniform(0, 1), random.uniform(0, 15)])
                found += [(at_s, "kill", (name,)), (back_s, "back", (name,))]
                at_s = back_s + 0.000_001
        return found

    def _breaks(self, random: Random) -> list[tuple[float, str, tuple[Any, ...]]]:
        found: list[tuple[float, str, tuple[Any, ...]]] = []
        for name in (*HOSTS, WORLD):
            at_s = 0.0
            for _ in range(random.choice([0, 0, 1, 3])):
                at_s += random.uniform(0, 30)
                end_s = at_s + random.choice([0.0, random.uniform(0, 2), random.uniform(0, 20)])
                found += [(at_s, "isolate", (name, random.random() < 0.5)), (end_s, "restore", (name,))]
                at_s = end_s + 0.01
        return found

    def _broker(self, random: Random) -> list[tuple[float, str, tuple[Any, ...]]]:
        found: list[tuple[float, str, tuple[Any, ...]]] = []
        at_s = 0.0
        for _ in range(random.choice([0, 0, 1, 3])):
            at_s += random.uniform(0, 30)
            end_s = at_s + random.choice([0.0, random.uniform(0, 1), random.uniform(0, 10)])
            found += [(at_s, "stop", (random.random() < 0.6,)), (end_s, "start", ())]
            at_s = end_s + 0.01
        return found


@dataclass
class Play:
    """What came of one play."""

    out: Counter[str] = field(default_factory=Counter)
    """What composites have put out, as the receiver took it."""
    sent: Counter[str] = field(default_factory=Counter)
    """What members sent to the receiver."""
    foreign: Counter[str] = field(default_factory=Counter)
    tags: dict[tuple[str, str, int], set[int]] = field(default_factory=dict)
    """The requests that each run is about."""
    cut: set[int] = field(default_factory=set)
    """The requests of which something failed: what others did for them by then is chance."""
    unsent: set[int] = field(default_factory=set)
    """The requests whose calls failed for want of room."""
    faults: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    kills: int = 0

    def hear(self, name: str, observation: Observation) -> None:
        if type(observation) is Fired:
            values = [None if reading is None else reading.value for reading in observation.firing.sources.values()]
            self.tags[observation.path, observation.group, observation.run] = tags_of(values)
        elif type(observation) is RunEnded and observation.outcome in (Outcome.FAILED, Outcome.CANCELLED):
            self.cut |= self.tags.get((observation.path, observation.group, observation.run), set())
        if name == WORLD and type(observation) is Fired and observation.path == "home/sink":
            source = observation.firing.sources["x"]
            heard = self.sent if observation.group == "sent" else self.out
            heard[f"{observation.group} {written(None if source is None else source.value)}"] += 1

    def take(self, letter: Letter) -> None:
        """What found no room, in an outbox that has little, is in a dead letter: so it is not lost. A call that found none has failed."""
        payload, topic = letter.payload(), letter.topic
        if topic == "em/in/home/sink/in":
            self.sent[f"sent {written(payload)}"] += 1
        elif re.fullmatch("em/out/home/top[0-9]+/(out|error)", topic):
            self.out[f"{topic.removeprefix('em/out/home/').replace('/', '-')} {written(payload)}"] += 1
        elif not topic.startswith("em/"):
            self.foreign[json.dumps([topic, payload], sort_keys=True)] += 1
        else:
            self.unsent |= tags_of(payload)


def play(case: Case, folder: str, *, alone: bool = False) -> Play:
    """Play a case: on three hosts with all that goes wrong, or on one where nothing does."""
    made = Play()
    more = {} if alone else {"trouble": case.trouble, "disk_trouble": case.disk_trouble}
    net = DurableNet(Path(folder), case.matrix, {} if alone else case.places, modules={"members": MODULE}, seed=case.seed, **more)
    try:
        net.observed.append(made.hear)
        for at_s, topic, value in case.said:
            net.after(at_s, lambda topic=topic, value=value: net.tell(topic, value))
        for at_s, name, arguments in () if alone else case.events:
            net.after(at_s, lambda name=name, arguments=arguments: _do(net, name, arguments))
        _answer(net, case.answers)
        net.play(INPUTS_S if alone else TROUBLE_S, END_S)
        made.faults += [*net.failures, *net.left()]
        is_right = found_no_room if not alone and "outbox_durable_max" in case.matrix["limits"] else lambda reason: False
        made.faults += [
            f"dead letter at {at_s} on {host}: {letter}"
            for at_s, host, letter in net.letters
            if _is_wrong(letter) and not is_right(letter.reason)
        ]
        for letter in net.unsent():
            made.take(letter)
        made.foreign, made.log, made.kills = net.foreign, net.log, net.kills
    finally:
        net.close()
    return made


def _is_wrong(letter: DeadLettered) -> bool:
    """What fails, what is answered late, and what nests too deeply to be sent, is told of by right."""
    return not letter.topic.startswith(("em/run/", "t/answer/")) and "nests deeper than depth_max" not in letter.reason


def _do(net: DurableNet, name: str, arguments: tuple[Any, ...]) -> None:
    if name in ("kill", "back"):
        if arguments[0] in net.hosts:
            getattr(net, name)(*arguments)
        return
    net.say("bus", f"{name} {arguments}")
    if name == "isolate":
        net.bus.isolate(f"em-host-{arguments[0]}", is_noticed=arguments[1])
    elif name == "restore":
        net.bus.restore(f"em-host-{arguments[0]}")
    elif name == "stop":
        net.bus.stop(forget=arguments[0])
    else:
        net.bus.start()


def _answer(net: DurableNet, answers: dict[str, str]) -> None:
    """Whoever is asked answers, again and again, for an answer may be lost."""

    def hear(client_id: str, asked: Publication) -> None:
        topic = asked.topic.replace("t/ask/", "t/answer/")
        if topic in answers:
            said = {"answer": answers[topic], "run": json.loads(asked.payload)["run"]}
            for again_s in ANSWERS_S:
                net.after(net.now_s + again_s, lambda: net.bus.say(topic, said))

    net.bus.heard.append(hear)


def faults_of(seed: int) -> Iterator[str]:
    """What differs from what one host gives, and what is left."""
    case = Case(seed)
    with tempfile.TemporaryDirectory() as folder:
        one, three = play(case, folder, alone=True), play(case, folder, alone=False)
    yield from (f"alone: {fault}" for fault in one.faults)
    yield from three.faults
    one.cut |= three.unsent
    yield from (f"lost: {text}" for text in (one.out - three.out).elements() if not tags_in(text) & three.unsent)
    yield from (f"added: {text}" for text in (three.out - one.out).elements() if not tags_in(text) & three.unsent)
    yield from (f"not sent: {text}" for text in (one.sent - three.sent).elements() if not tags_in(text) & one.cut)
    if not case.has_pools:
        yield from (f"sent beside: {text}" for text in (three.sent - one.sent).elements() if not tags_in(text) & one.cut)
    yield from (f"not published: {text}" for text in (one.foreign - three.foreign).elements() if not tags_in(text) & one.cut)


def tags_of(value: Any) -> set[int]:
    """The requests that a value is about."""
    if isinstance(value, dict):
        own = {value["tag"]} if isinstance(value.get("tag"), int) else set()
        return own.union(*map(tags_of, value.values()))
    return set().union(*map(tags_of, value)) if isinstance(value, list) else set()


def tags_in(text: str) -> set[int]:
    return {int(tag) for tag in re.findall(r'"tag": (\d+)', text)}


def check(seeds: range) -> None:
    wrong = {seed: faults for seed in seeds if (faults := list(faults_of(seed)))}
    assert not wrong, wrong


@pytest.mark.parametrize("first", range(0, 32, 8))
def test_hosts_that_are_killed_give_what_one_gives(first: int) -> None:
    check(range(first, first + 8))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 3_000, 100))
def test_hosts_that_are_killed_give_what_one_gives_for_many(first: int) -> None:
    check(range(first, first + 100))


def main(argument: str) -> None:
    """Play one seed and tell all, or many and tell what is wrong."""
    logging.disable()
    first, dash, last = argument.partition("-")
    if not dash:
        case = Case(int(first))
        print(json.dumps(case.matrix, indent=1))
        print(case.places, case.said, case.trouble, case.disk_trouble, case.answers, sep="\n")
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(play(case, folder, alone=False).log))
        print("\n".join(faults_of(int(first))) or "all is well")
        return
    began_s, wrong = time.monotonic(), 0
    for seed in range(int(first), int(last) + 1):
        try:
            faults = list(faults_of(seed))
        except Exception as error:  # noqa: BLE001 - the next seeds are played too
            faults = [repr(error)]
        wrong += bool(faults)
        for fault in faults[:6]:
            print(f"{seed}: {fault[:300]}", flush=True)
    print(f"{wrong} wrong, {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
