import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Condition, Expression, Timestamp
from edgematrix.expression.fast import quick
from edgematrix.expression.library import program
from edgematrix.expression.source import PATHS_MAX, read_source

SOURCE = {"value": ANY, "payload": ANY, "topic": ANY, "time": ANY}
NAMES = {"temp": SOURCE, "hall": SOURCE, "prev": ANY, "value": ANY, "other": ANY, "now": ANY, "items": ANY, "captures": {"room": ANY}}


def evaluate(text: str, **scope: Any) -> object:
    return Expression.compile(text, NAMES).evaluate(scope)


@pytest.mark.parametrize(
    ("text", "scope", "value"),
    [
        ("value + 1", {"value": 2}, 3),
        ("value + 1", {"value": 1.5}, 2.5),
        ("1 + value", {"value": 1.5}, 2.5),
        ("value - 0.5", {"value": 2}, 1.5),
        ("value * 2", {"value": 1.5}, 3.0),
        ("1 / 2", {}, 0),
        ("1 / 2.0", {}, 0.5),
        ("value % 2", {"value": 7}, 1),
        ("value % 2", {"value": -7.5}, -1.5),
        ("-value", {"value": 1.5}, -1.5),
        ("size(items) + 1", {"items": [1, 2]}, 3),
        ("size(items) > 1.5", {"items": [1, 2]}, True),
        ("size(items) + 0.5", {"items": [1, 2]}, 2.5),
        ("1 == 1.0", {}, True),
        ("1.0 in [1, 2]", {}, True),
        ("items[0]", {"items": [5, 6]}, 5),
        ("value > 3 ? 'on' : null", {"value": 4}, "on"),
        ("value > 3 ? 1 : 1.5", {"value": 4}, 1),
        ("value == true", {"value": 1}, False),
        ("value in ['a', \"b\"]", {"value": "b"}, True),
        ("value.startsWith('ab') && value.matches('^a.c$')", {"value": "abc"}, True),
        ("prev == null || value > prev", {"prev": None, "value": 3}, True),
        ("prev == null || value > prev", {"prev": 5, "value": 3}, False),
        ("temp.payload.a.b[1].c", {"temp": {"payload": {"a": {"b": [0, {"c": "x"}]}}}}, "x"),
        ("temp.payload['a b'].c", {"temp": {"payload": {"a b": {"c": 1}}}}, 1),
        ("has(temp.payload.x) && temp.payload.x > 1", {"temp": {"payload": {}}}, False),
        ("has(temp.payload.x)", {"temp": {"payload": {"x": None}}}, True),
        ("temp.payload.x == 1 || true", {"temp": {"payload": {}}}, True),
        ("items.filter(i, i.on).map(i, i.name)", {"items": [{"on": True, "name": "a"}, {"on": False, "name": "b"}]}, ["a"]),
        ("items.exists(i, i == value)", {"items": [1, 2], "value": 2.0}, True),
        ("captures.room + '/x'", {"captures": {"room": "hall"}}, "hall/x"),
        ("{'a': value, 'b': [value, null, true, b'x', 1.5]}", {"value": 1}, {"a": 1, "b": [1, None, True, b"x", 1.5]}),
        ("value // a comment", {"value": 1}, 1),
        ("now - temp.time > duration('1m')", {"now": Timestamp(120_000_000), "temp": {"time": Timestamp(59_000_000)}}, True),
        ("temp.time == null", {"temp": {"time": None}}, True),
        ("temp.time", {"temp": {"time": Timestamp(5_000_000)}}, "1970-01-01T00:00:05Z"),
        ("now + duration('90s')", {"now": Timestamp(0)}, "1970-01-01T00:01:30Z"),
        ("now - now - duration('1.5s')", {"now": Timestamp(0)}, "-1.5s"),
        ("timestamp('2026-01-01T12:00:00Z').getHours('Europe/Berlin')", {}, 13),
        ("value", {"value": 2**70}, 2**70),
    ],
)
def test_an_expression_means_what_cel_says_and_numbers_mix(text: str, scope: dict[str, Any], value: object):
    found = evaluate(text, **scope)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("tmp.value > 3", "1:1", "unknown name `tmp` (did you mean `temp`?)"),
        ("1 < 2 &&\n  temp.valu", "2:8", "did you mean `temp.value`?"),
        ("captures.rom == 'x'", "1:10", "captures.room"),
        ("value +", "1:8", "ends too early"),
        ("", "1:1", "ends too early"),
        ("value\n + foo(1)", "2:7", "foo"),
        ("value.foo()", "1:10", "foo"),
        ("1 + 'a'", "1:3", "`+` does not take (int, string)"),
        ("temp.value == 1 && 'a'", "1:17", "`&&`"),
        ("value == 'a", "1:10", "without its end"),
        ("99999999999999999999", "1:1", "invalid int literal"),
        ("1 < null", "1:3", "`<` does not take (int, null)"),
        ("items.map(value, value)", "1:11", "taken"),
        ("items.map(i, j)", "1:14", "unknown name `j`"),
        ("has(value)", "1:5", "has()"),
        ("em__v1 > 2", "1:1", "unknown name"),
        ("value @ 2", "1:7", "@"),
        ("1 == 'a'", "1:3", "`==`"),
    ],
)
def test_a_wrong_expression_says_what_and_where(text: str, where: str, words: str):
    with pytest.raises(ExpressionError) as raised:
        Expression.compile(text, NAMES)
    assert raised.value.where == where
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("text", "scope", "words"),
    [
        ("temp.payload.x + 1", {"temp": {"payload": {}}}, "`temp.payload.x` is not there"),
        ("temp.payload.x", {"temp": {"payload": {}}}, "`temp.payload.x` is not there"),
        ("temp.payload.x.y", {"temp": {"payload": {"x": 5}}}, "it is a number"),
        ("temp.payload.x", {"temp": {"payload": None}}, "it is null"),
        ("value + 'a'", {"value": 1}, "`+` does not take (int, string)"),
        ("value > 'a'", {"value": 1}, "`>` does not take (int, string)"),
        ("value > other", {"value": 1, "other": None}, "`>` does not take (int, null)"),
        ("value / 0", {"value": 1}, "divide by zero"),
        ("value / 0", {"value": 1.5}, "no JSON number"),
        ("value * 4", {"value": 2**62}, "overflow"),
        ("value + 1", {"value": 2**70}, "64 bits"),
        ("value > 1", {"value": 2**70}, "64 bits"),
        ("value + 'x'", {"value": "a\0b"}, "NUL"),
        ("value + 'x'", {"value": "\ud800"}, ""),
        ("items[5]", {"items": [1]}, "index"),
        ("value.startsWith('a')", {"value": 1}, "startsWith"),
        ("type(value)", {"value": 1}, "no JSON form"),
    ],
)
def test_an_evaluation_that_fails_says_why(text: str, scope: dict[str, Any], words: str):
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, **scope)
    assert words in str(raised.value)
    assert "em__" not in str(raised.value)


def test_a_condition_that_gives_no_bool_is_an_error():
    with pytest.raises(ExpressionError, match="gives int"):
        Condition.compile("1 + 1", NAMES)
    with pytest.raises(ExpressionError, match="gives string"):
        Condition.compile("'on'", NAMES)
    condition = Condition.compile("value", NAMES)
    assert condition.holds({"value": True}) is True
    with pytest.raises(ExpressionError, match="gave 1, expected true or false"):
        condition.holds({"value": 1})


@pytest.mark.parametrize(
    "text",
    ["(" * 2_000, "[" * 900 + "]" * 900, "1" + "+1" * 400, "!" * 999 + "true", "1" + " + 1" * 1_500, "value" + ".a" * 600, "x" * 5_000],
)
def test_a_hostile_expression_is_refused_at_once(text: str):
    began = time.thread_time()
    try:
        Expression.compile(text, NAMES).evaluate({"value": 1})
    except ExpressionError:
        pass
    assert time.thread_time() - began < 1


def test_macros_nest_three_deep_at_most():
    Expression.compile("items.all(a, a.all(b, b.all(c, c > 0)))", NAMES)
    with pytest.raises(ExpressionError, match="deeper than 3"):
        Expression.compile("items.all(a, a.all(b, b.all(c, c.all(d, d > 0))))", NAMES)


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("items.exists(i, i in other)", {"items": [-1] * 9_990, "other": list(range(1, 100_000))}),
        ("(" + "+".join(["value + value"] * 20) + ").size() > " + "+".join(["value"] * 20) + ".size()", {"value": "a" * 4_000_000}),
        ("items.map(i, value + value)", {"items": list(range(5_000)), "value": "a" * 200_000}),
        ("size(items.map(i, i)) > 0", {"items": list(range(9_000))}),
        ("size(items.filter(i, true)) > 0", {"items": list(range(9_000))}),
        ("[value].map(a, items.map(b, a + a)).size() > 0", {"items": list(range(900)), "value": "a" * 50_000}),
        ("items.all(a, items.all(b, items.all(c, true)))", {"items": list(range(1_000))}),
    ],
)
def test_an_evaluation_that_would_take_too_long_is_refused(text: str, scope: dict[str, Any]):
    began = time.thread_time()
    with pytest.raises(ExpressionError):
        evaluate(text, **scope)
    assert time.thread_time() - began < 1


def test_a_long_list_of_devices_can_still_be_searched():
    devices = [{"friendly_name": f"lamp {number}", "model": "x" * 80, "exposes": [1, 2, 3]} for number in range(1_000)]
    assert evaluate("items.exists(d, d.friendly_name == 'lamp 999')", items=devices) is True
    assert evaluate("items.exists(d, d.exposes.exists(e, e == 4))", items=devices) is False


def test_an_expression_reads_a_bounded_number_of_values():
    with pytest.raises(ExpressionError, match=f"more than {PATHS_MAX} values"):
        Expression.compile("[" + ", ".join(f"value.a{number}" for number in range(PATHS_MAX + 1)) + "]", NAMES)


def test_rules_that_differ_in_their_sources_share_one_program():
    before = program.cache_info().currsize
    Expression.compile("temp.value + 1 > 3 && temp.topic == 'q'", NAMES)
    Expression.compile("hall.value + 1 > 3 && hall.topic == 'q'", NAMES)
    assert program.cache_info().currsize == before + 1


def test_plain_comparisons_do_not_load_the_library():
    code = (
        "import sys; from edgematrix.expression import *; n = {'t': {'value': ANY}, 'u': {'value': ANY}}\n"
        "for text in ['t.value', 't.value > -20', \"'on' == t.value\", 't.value < u.value', 't.value == null']:\n"
        "    Condition.compile(text, n)\n"
        "Template.compile({'a': ['x ${t.value}']}, n).render({'t': {'value': 1}})\n"
        "print('cel_expr_python' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "False"


INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**63 - 1, 2**64 - 1, 2**70])
NUMBERS = INTEGERS | st.floats() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 2.0**53, 2.0**63])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4) | st.sampled_from(["", "on", "true"])
VALUES = (
    NUMBERS
    | TEXTS
    | st.none()
    | st.booleans()
    | st.just([])
    | st.just({"a": 1})
    | st.just(b"on")
    | st.builds(Timestamp, st.integers(0, 10))
)
LITERALS = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1).map(str),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "false", "null", '"on"', "''", "'true'", "9007199254740993", "9007199254740992.0", "9223372036854775807"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0'\\\n\r"), max_size=4).map(lambda text: f"'{text}'"),
)
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def outcome(run: Any) -> object:
    try:
        value = run()
    except ExpressionError:
        return "an error"
    return type(value), value


@settings(max_examples=500, deadline=None)
@given(VALUES, VALUES, st.one_of(LITERALS, st.just("other")), SIGNS, st.booleans())
def test_the_short_way_gives_what_the_library_gives(value: object, other: object, right: str, sign: str, flipped: bool):
    text = f"{right} {sign} value" if flipped else f"value {sign} {right}"
    source = read_source(text, NAMES)
    simple = quick(source)
    if simple is None:
        return
    scope = {"value": value, "other": other}
    compiled = program(source.canonical, source.effort)
    values = {number: scope[path[0]] for number, path in enumerate(source.paths)}
    assert outcome(lambda: simple.evaluate(scope)) == outcome(lambda: compiled.run(values))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.binary(max_size=3).filter(lambda raw: 0 not in raw),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def typed(value: object) -> object:
    """The value with its types, as 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    return [typed(part) for part in value] if isinstance(value, list) else (type(value), value)


@settings(deadline=None)
@given(JSON)
def test_values_come_back_from_the_library_as_they_went_in(value: object):
    assert typed(evaluate("[value][0]", value=value)) == typed(value)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("value temp.x()[]{}'\"\\+-*<>=!&|?:,1.5\n/#é$"), max_size=20), JSON)
def test_any_text_compiles_or_is_refused_and_evaluates_or_fails_clearly(text: str, value: object):
    told = "nothing"
    try:
        Expression.compile(text, NAMES).evaluate({"value": value, "temp": {"value": value}})
    except ExpressionError as error:
        told = str(error)
    assert told
    assert "em__" not in told
