"""What is said about a definition before it runs."""

from typing import Any

import pytest
from trigger_drive import spec_of

from edgematrix.triggers import Calendar, check_group

A: dict[str, Any] = {"a": {"topic": "t/a"}}


def findings(definition: dict[str, Any], severity: str, **options: Any) -> list[tuple[str, str]]:
    return [
        (".".join(found.path), found.what)
        for found in check_group(spec_of(definition), Calendar(), **options)
        if found.severity == severity
    ]


@pytest.mark.parametrize(
    ("source", "path", "word"),
    [
        ({}, "", "neither"),
        ({"topic": "t", "from": "x"}, "from", "both"),
        ({"topic": "t", "every": "5s"}, "topic", "goes by the clock"),
        ({"from": "x.y", "cron": "* * * * *"}, "from", "goes by the clock"),
        ({"every": "5s", "where": "1 == 1"}, "where", "no message"),
        ({"topic": "t/#/x"}, "topic", "#"),
        ({"topic": "t", "above": 5, "equals": 3}, "equals", "one detector"),
        ({"topic": "t", "is": 5, "count": {"at_least": 2}}, "count", "one detector"),
        ({"topic": "t", "above": 5, "below": 5}, "above", "never ON"),
        ({"topic": "t", "hysteresis": 1}, "hysteresis", "without"),
        ({"topic": "t", "equals": 1, "hysteresis": 1}, "hysteresis", "without"),
        ({"topic": "t", "for": "1m"}, "for", "no level"),
        ({"topic": "t", "changes": {"by": 1, "to": 2}}, "changes", "`by`"),
        ({"topic": "t", "changes": {}}, "changes", "nothing"),
        ({"topic": "t", "role": "live", "above": 1}, "above", "live"),
        ({"topic": "t", "role": "condition"}, "role", "no level"),
        ({"topic": "t", "required": True}, "required", "not live"),
        ({"topic": "t", "value": "a..b"}, "value", "empty"),
        ({"topic": "t", "value": {"x": "x"}, "as": "number"}, "as", "object"),
        ({"topic": "t", "value": {"x": "x"}, "above": 1}, "value", "object"),
        ({"topic": "t", "value": {"x": "x"}, "equals": 1}, "value", "never equal"),
        ({"topic": "t", "as": "bool", "above": 1}, "as", "flag"),
        ({"topic": "t", "equals": "unknown"}, "equals", "unknown"),
        ({"topic": "t", "is": ["a", ""]}, "is", "unknown"),
        ({"topic": "t", "changes": {"to": "unavailable"}}, "changes", "unknown"),
        ({"topic": "t", "as": "number", "equals": "21"}, "equals", "never '21'"),
        ({"topic": "t", "as": "bool", "is": "ON"}, "is", "never 'ON'"),
        ({"topic": "t", "aggregate": {"fn": "mean", "over": 5}, "equals": "x"}, "equals", "number"),
        ({"every": 0}, "every", "0"),
        ({"topic": "t", "absent": 0}, "absent", "0"),
        ({"cron": "0 0 31 2 *"}, "cron", "never comes"),
        ({"cron": "* * *"}, "cron", "five fields"),
        ({"at": "25:00"}, "at", "no time"),
        ({"sun": "sunset"}, "sun", "location"),
        ({"during": "22:00"}, "during", "HH:MM"),
        ({"during": {"from": "22:00", "to": "22:00"}}, "during", "begins and ends"),
        ({"topic": "t", "where": "value >"}, "where", "1:"),
        ({"topic": "t", "where": "captures.x == 'y'"}, "where", "x"),
    ],
)
def test_a_source_that_contradicts_itself_is_an_error(source: dict[str, Any], path: str, word: str):
    found = findings({"on": A | {"s": source}}, "error")
    assert len(found) == 1
    assert found[0][0] == f"on.s.{path}".rstrip(".")
    assert word in found[0][1]


@pytest.mark.parametrize(
    ("group", "path", "word"),
    [
        ({"on": A, "need": 2}, "need", "1 regular"),
        ({"on": {"a": {"topic": "t", "role": "live"}}}, "on", "never fires"),
        ({"on": {"a": {"topic": "t", "role": "optional"}, "b": {"topic": "u", "role": "reset"}}}, "on", "never fires"),
        ({"on": {"a": {"topic": "t", "role": "gate"}}, "need": "sequence"}, "need", "no regular"),
        ({"on": {"a": {"topic": "t/{room}"}}, "by": "rom"}, "by", "`room`"),
        ({"on": A, "by": "room"}, "by", "nothing"),
        ({"on": A, "if": "b.value > 1"}, "if", "b"),
        ({"on": A, "if": "a.valu > 1"}, "if", "valu"),
        ({"on": {"now": {"topic": "t"}}}, "on.now", "called"),
        ({"on": A, "limit": {"count": 1, "per": 0}}, "limit.per", "0 s"),
    ],
)
def test_a_group_that_contradicts_itself_is_an_error(group: dict[str, Any], path: str, word: str):
    found = findings(group, "error")
    assert len(found) == 1
    assert found[0][0] == path
    assert word in found[0][1]


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ({"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30}}}, "on.dark"),
        ({"on": {"m": {"topic": "t/m"}, "dark": {"during": "22:00-06:00"}}}, "on.dark"),
        ({"on": {"v": {"topic": "t/+/v", "above": 5}}}, "on.v.topic"),
        ({"on": {"v": {"topic": "t/{room}/v", "above": 5}}}, "on.v.topic"),
        ({"on": {"v": {"topic": "t/#", "equals": 5}, "w": {"topic": "x/{room}"}}, "by": "room", "within": 5}, "on.v.topic"),
        ({"on": {"v": {"topic": "t", "above": 5}}, "within": "5s"}, "within"),
        ({"on": {"v": {"topic": "t", "above": 5}}, "timeout": "5s"}, "timeout"),
        ({"on": A, "on_timeout": "fire"}, "on_timeout"),
        ({"on": A, "if_false": "keep"}, "if_false"),
        ({"on": A, "need": "sequence"}, "need"),
        ({"on": {"a": {"topic": "t", "keep": "all"}, "b": {"topic": "u"}}, "need": "sequence"}, "on.a.keep"),
        ({"on": {"a": {"topic": "t", "above": 1, "keep": "all"}}}, "on.a.keep"),
        ({"on": {"a": {"topic": "t", "expires": "5s"}}}, "on.a.expires"),
        ({"on": {"a": {"topic": "t", "unknown": "break"}}}, "on.a.unknown"),
        ({"on": {"a": {"topic": "t", "not": ["unavailable", "off"]}}}, "on.a.not"),
        ({"on": {"a-b": {"topic": "t"}}}, "on.a-b"),
        ({"on": A, "overflow": "drop_old"}, "overflow"),
        ({"on": A, "mode": "queued", "max": 1, "overflow": "drop_old"}, "overflow"),
        ({"on": A, "durable": False, "on_restart": "drop"}, "on_restart"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(group: dict[str, Any], path: str):
    assert [at for at, _ in findings(group, "warning")] == [path]
    assert findings(group, "error") == []


@pytest.mark.parametrize(
    "group",
    [
        {"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30, "role": "condition"}}},
        {"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30}}, "within": "30s"},
        {"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30}}, "timeout": "30s"},
        {"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30}}, "need": "any"},
        {"on": {"v": {"topic": "t/{room}/v", "above": 5}}, "by": "room"},
        {"on": {"v": {"topic": "t/+/button", "is": "single"}}},
        {"on": {"g": {"topic": "t", "role": "gate"}}},
        {"on": {"v": {"from": "lux.illuminance", "below": 3, "aggregate": {"fn": "count", "over": 5}, "value": {"x": "x"}}}},
        {"on": {"v": {"topic": "t", "as": "number", "equals": [1, 2.5]}}},
        {"on": {"d": {"during": {"from": "22:00", "to": "06:00", "days": ["mon"]}}}},
    ],
)
def test_a_sound_group_finds_no_word(group: dict[str, Any]):
    assert findings(group, "error") + findings(group, "warning") == []


def test_where_may_name_the_fields_of_the_schema():
    group = {"on": {"v": {"topic": "t", "where": "verdict == 'redo'"}}}
    assert findings(group, "error")
    assert not findings(group, "error", fields={"v": ["verdict"]})


def test_a_finding_says_what_helps():
    (found,) = check_group(spec_of({"on": {"m": {"topic": "t/m"}, "dark": {"topic": "t/lux", "below": 30}}}), Calendar())
    assert "condition" in found.remedy
