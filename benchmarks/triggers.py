"""What a step of a trigger group costs, beside a plain function call in the same run, and what a group weighs."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

from pydantic import TypeAdapter

from edgematrix.protocol.message import Message
from edgematrix.triggers import Arrival, Calendar, Group, GroupSpec, GroupState, RunEnded, Start

__all__ = ["main"]

_SPEC = TypeAdapter(GroupSpec)
_SECOND_US = 1_000_000
_START_US = 1_767_225_600 * _SECOND_US
_ROUNDS = 7
_GROUPS = 100_000
_KEYS = 10_000
_NO_CAPTURES: dict[str, str] = {}


def main() -> None:
    """Measure and print."""
    floor_us = _best(_call_floor())
    print(f"{'':44} {'us':>8} {'x a call':>9}")
    _show("a plain function call", floor_us, floor_us)
    threshold_us = _best(_events(THRESHOLD, [_message("t/temp", {"temperature": 20 + step % 3}) for step in range(6)]))
    _show("threshold, no edge (aim 5)", threshold_us, floor_us)
    _show(
        "threshold, every second message an edge",
        _best(_events(THRESHOLD, [_message("t/temp", {"temperature": t}) for t in (30, 20)])),
        floor_us,
    )
    _show("threshold with for and expires", _best(_events(TIMED, [_message("t/temp", {"temperature": t}) for t in (30, 31)])), floor_us)
    join = [Arrival(Message(f"t/{place}", 1), ((place, _NO_CAPTURES),)) for place in range(3)]
    _show("3-way all-of join within 30 s, a message (aim 10)", _best(_events(JOIN, join)), floor_us)
    _show("CEL where, passing", _best(_events(WHERE, [_message("t/button", {"action": "single"})])), floor_us)
    few_us = _best(_events(_mean_over(10), [_message("t/temp", {"temperature": t}) for t in (20.5, 21.5)]))
    many_us = _best(_events(_mean_over(1_000), [_message("t/temp", {"temperature": t}) for t in (20.5, 21.5)]))
    _show("mean of 10 samples", few_us, floor_us)
    _show(f"mean of 1,000 samples ({many_us / few_us:.2f} of that)", many_us, floor_us)
    one_us, busy_us, all_us = _many_groups()
    _show("one of 1 group", one_us, floor_us)
    _show(f"one of {_GROUPS:,} groups ({busy_us / one_us:.2f} of that, aim 1.2)", busy_us, floor_us)
    _show(f"each of {_GROUPS:,} groups in turn, caches cold", all_us, floor_us)
    _keys(floor_us)
    _weights()


def _show(what: str, cost_us: float, floor_us: float) -> None:
    print(f"{what:44} {cost_us:8.2f} {cost_us / floor_us:9.0f}")


def _group(definition: dict[str, Any]) -> Group:
    return Group(_SPEC.validate_python(definition), path="home/rule", name="g", calendar=Calendar())


def _message(topic: str, value: Any) -> Arrival:
    return Arrival(Message(topic, value), ((0, _NO_CAPTURES),))


THRESHOLD: dict[str, Any] = {"on": {"temp": {"topic": "t/temp", "value": "temperature", "above": 25, "hysteresis": 1}}}
TIMED: dict[str, Any] = {"on": {"temp": {"topic": "t/temp", "value": "temperature", "above": 25, "for": "2m", "expires": "10m"}}}
JOIN: dict[str, Any] = {"on": {f"s{place}": {"topic": f"t/{place}"} for place in range(3)}, "within": "30s"}
WHERE: dict[str, Any] = {
    "on": {"b": {"topic": "t/button", "value": "action", "where": "value == 'single' && topic != 't/x'", "is": "double"}}
}


def _mean_over(samples: int) -> dict[str, Any]:
    source = {"topic": "t/temp", "value": "temperature", "aggregate": {"fn": "mean", "over": samples - 1}, "above": 25}
    return {"on": {"temp": source}}


def _best(rounds: Iterator[float]) -> float:
    return min(next(rounds) for _ in range(_ROUNDS))


def _timed(work: Callable[[], int]) -> float:
    """Microseconds for each of the things that `work` did."""
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    count = work()
    spent = time.perf_counter() - begun
    gc.enable()
    return spent / count * 1e6


def _call_floor() -> Iterator[float]:
    def plain(*parts: object) -> object:
        return parts

    def work() -> int:
        for now_us in range(200_000):
            plain(None, None, now_us)
        return 200_000

    while True:
        yield _timed(work)


def _run(group: Group, state: GroupState, events: Iterator[Arrival], now_us: int, count: int) -> int:
    """A second passes between two messages; runs are over at once."""
    for event in events:
        now_us += _SECOND_US
        step = group.step(state, event, now_us)
        for effect in step.effects:
            if type(effect) is Start:
                group.step(state, RunEnded(effect.run), now_us)
        count -= 1
        if not count:
            break
    return now_us


def _events(definition: dict[str, Any], events: list[Arrival]) -> Iterator[float]:
    group = _group(definition)
    state = group.start(_START_US).state
    now_us = _run(group, state, cycle(events), _START_US, 5_000)

    def work() -> int:
        nonlocal now_us
        now_us = _run(group, state, cycle(events), now_us, 20_000)
        return 20_000

    while True:
        yield _timed(work)


def _many_groups() -> tuple[float, float, float]:
    events = [_message("t/temp", {"temperature": 20 + step % 3}) for step in range(6)]
    alone = _best(_events(THRESHOLD, events))
    spec = _SPEC.validate_python(THRESHOLD)
    calendar = Calendar()
    groups = [Group(spec, path="home/rule", name="g", calendar=calendar) for _ in range(_GROUPS)]
    states = [group.start(_START_US).state for group in groups]
    for group, state in zip(groups, states, strict=True):
        group.step(state, events[0], _START_US)

    def one() -> int:
        _run(groups[777], states[777], cycle(events), _START_US, 20_000)
        return 20_000

    def each() -> int:
        for group, state in zip(groups, states, strict=True):
            group.step(state, events[1], _START_US)
        return _GROUPS

    return alone, min(_timed(one) for _ in range(_ROUNDS)), min(_timed(each) for _ in range(3))


def _keys(floor_us: float) -> None:
    group = _group({"by": "dev", "on": {"temp": {"topic": "t/{dev}", "above": 25, "for": "2m", "expires": "10m"}}})
    state = group.start(_START_US).state
    events = [Arrival(Message(f"t/{place}", 30), ((0, {"dev": f"{place}"}),)) for place in range(_KEYS)]
    now_us = _START_US

    def work() -> int:
        nonlocal now_us
        for event in events:
            now_us += 1_000
            group.step(state, event, now_us)
        return _KEYS

    work()
    group.save(state)
    _show(f"one of {_KEYS:,} keys, with deadlines", min(_timed(work) for _ in range(_ROUNDS)), floor_us)
    group.save(state)
    group.step(state, events[5], now_us)
    parts = group.save(state)
    print(f"a save after one message writes {len(parts)} parts, {sum(len(part or b'') for part in parts.values())} bytes")


def _weights() -> None:
    spec = _SPEC.validate_python(THRESHOLD)
    two = _SPEC.validate_python({"on": {"a": {"topic": "t/a"}, "b": {"topic": "t/b", "above": 5}}, "within": "10s"})
    calendar = Calendar()
    for what, made in (("1 source", spec), ("2 sources", two)):
        Group(made, path="home/rule", name="g", calendar=calendar)
        held, weight = _weigh(partial(_groups_of, made, calendar))
        print(f"a group of {what}: {weight / 2_000:.0f} bytes idle", end="")
        _, weight = _weigh(partial(_states_of, held))
        print(f", {weight / 2_000:.0f} bytes of fresh state")
    group = _group({"by": "dev", "on": {"temp": {"topic": "t/{dev}", "above": 25}}})
    state = group.start(_START_US).state

    def fill() -> None:
        for place in range(_KEYS):
            group.step(state, Arrival(Message(f"t/{place}", 20), ((0, {"dev": f"{place}"}),)), _START_US + place)

    _, weight = _weigh(fill)
    group.save(state)
    print(f"a key with one level: {weight / _KEYS:.0f} bytes, its message included")


def _groups_of(spec: GroupSpec, calendar: Calendar) -> list[Group]:
    return [Group(spec, path="home/rule", name="g", calendar=calendar) for _ in range(2_000)]


def _states_of(groups: list[Group]) -> list[GroupState]:
    return [group.start(_START_US).state for group in groups]


def _weigh(make: Callable[[], Any]) -> tuple[Any, int]:
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    weight, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return made, weight


if __name__ == "__main__":
    main()
