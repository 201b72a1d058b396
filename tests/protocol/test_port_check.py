"""What a declared port takes."""

from __future__ import annotations

from typing import Any

import pytest

from edgematrix.errors import ProtocolError
from edgematrix.protocol.port_check import port_check
from edgematrix.protocol.schema import port_schema

SCORE = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}


@pytest.mark.parametrize(
    ("short", "schema", "value", "told"),
    [
        ("number", None, "x", "expected a number, found a text"),
        (None, SCORE, {"score": "high"}, '`score`: "high" is not of type "number"'),
        (None, SCORE, {}, '"score" is a required property'),
        ("object", {"required": ["a"]}, {"b": 1}, '"a" is a required property'),
        ("number", None, float("nan"), "no JSON number"),
        ("number", None, 1, ""),
        (None, SCORE, {"score": 1, "more": True}, ""),
    ],
)
def test_what_is_wrong_is_told_with_the_field(short: str | None, schema: dict[str, Any] | None, value: object, told: str) -> None:
    check = port_check(short, schema)
    assert check is not None
    for _ in range(2):
        reason = check.reason(value)
        assert told in reason
        assert bool(reason) == bool(told)


@pytest.mark.parametrize(("short", "schema"), [(None, None), ("any", None), ("any", {}), (None, {})])
def test_a_port_for_any_value_needs_no_check(short: str | None, schema: dict[str, Any] | None) -> None:
    assert port_check(short, schema) is None


def test_ports_that_are_declared_alike_share_one_check() -> None:
    again = {"required": ["score"], "properties": {"score": {"type": "number"}}, "type": "object"}
    assert port_check(None, dict(SCORE)) is port_check(None, again)
    assert port_check("object", SCORE) is not port_check(None, SCORE)


def test_a_check_outlives_what_is_kept_for_sharing() -> None:
    first = port_check(None, {"const": "first"})
    for number in range(1_100):
        port_check(None, {"const": number})
    assert first is not None
    assert first.reason("first") == ""
    assert port_check(None, {"const": "first"}) is not first


def test_what_is_no_schema_is_told_for_the_first_value() -> None:
    check = port_check(None, {"type": "objekt"})
    assert check is not None
    with pytest.raises(ProtocolError, match="objekt"):
        check.reason(1)


@pytest.mark.parametrize(
    ("short", "good", "wrong"),
    [
        ("text", ["", "x"], [1, None, ["x"], b"x"]),
        ("number", [0, 1.5, -3], ["1", True, None, float("nan"), float("inf")]),
        ("whole", [0, 2.0], [1.5, "1", False]),
        ("bool", [True, False], [0, 1, "true"]),
        ("object", [{}, {"a": 1}], [[], "x"]),
        ("list", [[], [1]], [{}, "x"]),
    ],
)
def test_a_short_name_is_judged_as_its_json_schema_is(short, good, wrong):
    plain, schema = port_check(short, None), port_schema(short, None)
    assert plain is not None
    assert schema is not None
    for value in good:
        assert (plain.reason(value), schema.refusal(value)) == ("", None), value
    for value in wrong:
        assert plain.reason(value), value
        assert schema.refusal(value), value
