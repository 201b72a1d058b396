"""The engine and a naive second reading of the spec must agree on every run that starts."""

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from naive_group import NaiveGroup
from trigger_drive import Drive

SECONDS = st.integers(1, 6)
SMALL = st.integers(0, 3)
NUMBERS = st.integers(-1, 5)
CONDITIONS: list[tuple[str | None, Any]] = [
    (None, lambda _: True),
    ("s0.value != 2", lambda values: values["s0"] != 2),
    ("s0.value == 1 || s1.value == 3", lambda values: values["s0"] == 1 or values["s1"] == 3),
]


DETECTORS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "plain": st.just({}),
    "plain too": st.just({}),
    "above": st.fixed_dictionaries({"above": SMALL, "hysteresis": st.integers(0, 2)}),
    "below": st.fixed_dictionaries({"below": SMALL, "hysteresis": st.integers(0, 2)}),
    "range": st.fixed_dictionaries({"above": st.integers(-1, 1), "below": st.integers(3, 4), "hysteresis": st.integers(0, 1)}),
    "equals": st.fixed_dictionaries({"equals": SMALL}),
    "not": st.fixed_dictionaries({"not": SMALL}),
    "is": st.fixed_dictionaries({"is": SMALL}),
    "changes": st.just({"changes": True}),
    "from to": st.sampled_from([{"changes": {"from": 1}}, {"changes": {"to": 2}}, {"changes": {"from": 1, "to": 2}}]),
    "by": st.fixed_dictionaries({"changes": st.fixed_dictionaries({"by": st.integers(1, 3)})}),
    "count": st.sampled_from(
        [{"count": {"at_least": 2}}, {"count": {"at_least": 2, "within": 3}}, {"count": {"at_least": 3, "within": 8}}]
    ),
    "absent": st.fixed_dictionaries({"absent": st.integers(2, 9)}),
    "every": st.fixed_dictionaries({"every": st.integers(2, 9)}),
}


@st.composite
def sources(draw: st.DrawFn, place: int) -> dict[str, Any]:
    spec = dict(draw(draw(st.sampled_from(list(DETECTORS.values())))))
    level = any(key in spec for key in ("above", "below", "equals", "not"))
    if "every" not in spec:
        spec["topic"] = draw(st.sampled_from([f"t/{place}", "t/0", f"t/{place}"]))
        if draw(st.integers(0, 4)) == 0:
            fns = ["mean", "min", "max", "sum", "count", "last", "stddev"]
            spec["aggregate"] = {"fn": draw(st.sampled_from(fns)), "over": draw(st.integers(1, 8)), "min_samples": draw(st.integers(1, 2))}
        if draw(st.integers(0, 3)) == 0:
            spec["retained"] = draw(st.sampled_from(["seed", "fire", "ignore", "changed"]))
    if place and draw(st.integers(0, 2)) == 0:
        roles = (
            ["gate", "optional", "optional", "reset"]
            + (["condition"] if level else [])
            + ([] if set(spec) - {"topic", "aggregate", "retained"} else ["live"])
        )
        spec["role"] = draw(st.sampled_from(roles))
        if spec["role"] == "live" and draw(st.booleans()):
            spec["required"] = True
    if level:
        if draw(st.integers(0, 2)) == 0:
            spec["for"] = draw(SECONDS)
        if draw(st.integers(0, 3)) == 0:
            spec["unknown"] = "break"
    if (level or spec.get("role") == "live") and draw(st.integers(0, 3)) == 0:
        spec["expires"] = draw(st.integers(3, 9))
    if not level and spec.get("role", "regular") in ("regular", "gate", "optional") and draw(st.integers(0, 2)) == 0:
        spec["keep"] = draw(st.sampled_from(["first", "all"]))
        spec["keep_max"] = draw(st.integers(1, 3))
    return spec


@st.composite
def groups(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    count = draw(st.integers(1, 4))
    on = {f"s{place}": draw(sources(place)) for place in range(count)}
    regular = sum(source.get("role", "regular") == "regular" for source in on.values())
    spec: dict[str, Any] = {"on": on, "need": draw(st.sampled_from(["all", "any", "sequence", *range(1, regular + 1)]))}
    spec["if"], ok = draw(st.sampled_from(CONDITIONS if count > 1 else CONDITIONS[:2]))
    if spec["if"] is None:
        del spec["if"]
    elif any(source.get("keep") == "all" for source in on.values()):
        spec["if"], ok = "1 == 1", CONDITIONS[0][1]
    else:
        spec["if_false"] = draw(st.sampled_from(["consume", "keep"]))
    for key, values in {
        "within": SECONDS,
        "timeout": SECONDS,
        "cooldown": SECONDS,
        "throttle": SECONDS,
        "debounce": SECONDS,
        "limit": st.fixed_dictionaries({"count": st.integers(1, 2), "per": SECONDS}),
    }.items():
        if draw(st.integers(0, 6)) == 0:
            spec[key] = draw(values)
    if "timeout" in spec:
        spec["on_timeout"] = draw(st.sampled_from(["fire", "drop"]))
    spec["mode"] = draw(st.sampled_from(["single", "restart", "queued", "parallel"]))
    spec["max"] = draw(st.integers(1, 3))
    spec["overflow"] = draw(st.sampled_from(["drop_new", "drop_old"]))
    return spec, ok


MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 3),  # seconds since the one before
        st.integers(0, 11),  # which of the group's topics
        st.one_of(NUMBERS, NUMBERS, st.sampled_from(["unknown", None, "on"])),
        st.integers(0, 5).map(lambda number: number == 0),
    ),
    min_size=4,
    max_size=40,
)


def naive_runs(spec: dict[str, Any], ok: Any, messages: list[Any], run_s: int, until: int) -> list[Any]:
    """What the naive group starts: the second, the values, what is missing."""
    seen: list[Any] = []
    ends: list[tuple[int, int]] = []
    over: list[int] = []

    def fired(now: int, run: int, values: dict[str, Any], missing: list[str]) -> None:
        seen.append((float(now), values, tuple(missing)))
        if run_s:
            ends.append((now + run_s, run))
        else:
            group.ended(run, now)
            over.append(run)

    group = NaiveGroup(spec, 0, fired, ok)
    waiting = list(messages)
    for now in range(until + 1):
        while ends and ends[0][0] <= now:
            group.ended(ends.pop(0)[1], now)
        group.second(now)
        while waiting and waiting[0][0] == now:
            _, topic, value, retained = waiting.pop(0)
            names = [name for name, source in spec["on"].items() if source.get("topic") == topic]
            if names:
                group.message(names, value, retained, now)
    return seen


def drive_runs(drive: Drive) -> list[Any]:
    return [
        (at, {name: None if reading is None else reading.value for name, reading in firing.sources.items()}, firing.missing)
        for at, firing in drive.fired
    ]


def timed(spec: dict[str, Any], messages: list[Any]) -> list[Any]:
    topics = [source["topic"] for source in spec["on"].values() if "topic" in source] or ["t/0"]
    now, found = 0, []
    for gap, topic, value, retained in messages:
        now += gap
        found.append((now, topics[topic % len(topics)], value, retained))
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups(), MESSAGES, st.sampled_from([0, 0, 2, 5]), st.lists(st.integers(0, 60), max_size=3))
def test_the_engine_starts_the_same_runs_as_the_naive_group(group: Any, raw: list[Any], run_s: int, kills: list[int]):
    """Killed and started at once, with its runs kept, at any moments, it does not differ either."""
    spec, ok = group
    messages = timed(spec, raw)
    until = (messages[-1][0] if messages else 0) + 20
    expected = naive_runs(spec, ok, messages, run_s, until)
    drive = Drive(spec, run_s=run_s)
    stops = sorted(kills)
    for at, topic, value, retained in messages:
        while stops and stops[0] < at:
            drive.to(stops[0])
            reload(drive)
            stops.pop(0)
        drive.send(at, topic, value, retained=retained)
    drive.to(until)
    event(f"{min(len(expected), 3)} or more runs")
    assert drive_runs(drive) == expected


def reload(drive: Drive) -> None:
    drive.save()
    state = drive.group.load(drive.store)
    running = [run for _, run in drive.ends]
    drive._take(drive.group.resume(state, drive.now_us, runs_kept=running))
