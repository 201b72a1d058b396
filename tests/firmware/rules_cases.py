"""Trigger groups that boards can judge, and values for them, made by chance. Numbers are whole eighths, which every float holds."""

from __future__ import annotations

from random import Random
from typing import Any

from rules_bench import Case

PORTS = ("p/a", "p/b", "p/c")
_VALUES: tuple[Any, ...] = (
    *(0, 1, 2.5, 20, 21.125, 19.5, -3, "on", "off", True, False, None, "unknown"),
    *({"t": 21, "l": [1, 2]}, {"t": "on"}, [1, 2]),
)


def random_case(chance: Random) -> Case:
    """A group that is well-formed, and up to 60 values for it."""
    names = ["a", "b", "c", "d"][: chance.choice((1, 1, 2, 2, 3, 4))]
    sources = {name: _source(chance, name == "a") for name in names}
    group: dict[str, Any] = {"on": sources} | _stages(chance)
    regular = sum(source.get("role", "regular") == "regular" for source in sources.values())
    group["need"] = chance.choice(("all", "all", "any", chance.randint(1, regular)))
    moment, steps = 0, []
    for _ in range(chance.randint(1, 60)):
        moment += chance.choice((0, 1, 250, 500, 500, 1000, 1000, 1500, 2000, 7000))
        steps.append((moment, chance.choice(PORTS), _value(chance)))
    return Case(group, steps, moment + 60_000)


def sieved_case(chance: Random) -> Case:
    """A group that the host judges, of sources of which not every value makes a difference, and values for it."""
    names = ["a", "b", "c", "d"][: chance.choice((1, 2, 2, 3, 4))]
    sources: dict[str, Any] = {}
    for name in names:
        role = "regular" if name == "a" else chance.choice(("regular", "regular", "condition", "gate", "optional", "reset"))
        found = _level(chance) if role == "condition" or chance.random() < 0.5 else _event(chance)
        if not found or "count" in found:
            found = {"is": chance.choice(("on", 1, [True, 20]))}
        sources[name] = {"topic": chance.choice(PORTS), "role": role, **found}
    group: dict[str, Any] = {"on": sources} | _stages(chance)
    regular = sum(source["role"] == "regular" for source in sources.values())
    group["need"] = chance.choice(("all", "all", "any", "sequence", chance.randint(1, regular)))
    if chance.random() < 0.5:
        group["within"] = chance.choice(("2s", "5s"))
    if chance.random() < 0.3:
        group |= {"timeout": "4s", "on_timeout": chance.choice(("fire", "drop"))}
    moment, steps = 0, []
    for _ in range(chance.randint(20, 80)):
        moment += chance.choice((0, 1, 250, 500, 1000, 1000, 2000))
        steps.append((moment, chance.choice(PORTS), _value(chance)))
    return Case(group, steps, moment + 60_000)


def _source(chance: Random, is_first: bool) -> dict[str, Any]:
    source: dict[str, Any] = {"topic": chance.choice(PORTS)}
    role = "regular" if is_first else chance.choice(("regular", "regular", "condition", "live"))
    is_level = role == "condition" or (role == "regular" and chance.random() < 0.5)
    if chance.random() < 0.2:
        source["value"] = chance.choice(("t", "l.0", ["l", 1], "0"))
    if role == "live":
        source["role"] = role
    elif is_level:
        source |= _level(chance) | ({} if role == "regular" else {"role": role})
    else:
        source |= _event(chance)
    if chance.random() < 0.25:
        fn = chance.choice(("mean", "min", "max", "sum", "count", "last"))
        source["aggregate"] = {"fn": fn, "over": chance.choice(("2s", "5s", "1500ms")), "min_samples": chance.randint(1, 3)}
    return source


def _level(chance: Random) -> dict[str, Any]:
    bound = chance.choice((0, 1, 19.5, 20, 2.5))
    found: dict[str, Any] = chance.choice(
        (
            {"above": bound},
            {"below": bound},
            {"above": bound, "hysteresis": chance.choice((0, 0.5, 2))},
            {"below": bound, "hysteresis": chance.choice((0.5, 2))},
            {"above": bound, "below": bound + 3, "hysteresis": chance.choice((0, 1))},
            {"equals": chance.choice((1, True, "on", [1, "on"], 21))},
            {"not": chance.choice((1, False, "off", ["on", 0]))},
        )
    )
    if chance.random() < 0.4:
        found["for"] = chance.choice(("1s", "2s", "1500ms", "5s"))
    if chance.random() < 0.3:
        found["unknown"] = "break"
    return found


def _event(chance: Random) -> dict[str, Any]:
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"is": chance.choice(("on", True, 1, [1, "off"]))},
        {"changes": True},
        {"changes": {"from": chance.choice((0, "off", False))}},
        {"changes": {"to": chance.choice((1, "on", [True, 20]))}},
        {"changes": {"from": "off", "to": ["on", 1]}},
        {"changes": {"by": chance.choice((0.5, 2, 18.5))}},
        {"count": {"at_least": chance.randint(1, 4)}},
        {"count": {"at_least": chance.randint(1, 4), "within": chance.choice(("2s", "5s"))}},
    )
    return chance.choice(kinds)


def _stages(chance: Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if chance.random() < 0.2:
        found["cooldown"] = chance.choice(("3s", "1s"))
    if chance.random() < 0.2:
        found["limit"] = {"count": chance.randint(1, 3), "per": chance.choice(("5s", "20s"))}
    if chance.random() < 0.25:
        found["throttle"] = chance.choice(("2s", "5s"))
    if chance.random() < 0.2:
        found["debounce"] = chance.choice(("1s", "2500ms"))
    return found


def _value(chance: Random) -> Any:
    return chance.choice(_VALUES) if chance.random() < 0.7 else chance.randint(-4, 200) / 8
