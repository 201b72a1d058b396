from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Template, Timestamp

NAMES = {"temp": {"value": ANY, "payload": ANY, "time": ANY}, "missing": ANY, "key": ANY}


def render(template: object, **scope: Any) -> object:
    return Template.compile(template, NAMES).render(scope)


@pytest.mark.parametrize("template", ["${temp.time}", "at ${temp.time}", "${string(temp.time)}", "${[temp.time]}"])
def test_a_moment_beyond_the_calendar_is_an_error(template: str):
    for moment_us in (10**18, -(10**30)):
        with pytest.raises(ExpressionError, match="before the year 1 or after"):
            render(template, temp={"time": Timestamp(moment_us)})


@pytest.mark.parametrize("template", ["${temp.value}", "cold ${temp.value}", "${temp.value + 1}", "lamp $${temp.value} ${key}"])
def test_rules_with_the_same_text_over_the_same_names_share_what_it_is_compiled_to(template: str):
    assert Template.compile(template, NAMES) is Template.compile(template, dict(NAMES))


def test_rules_over_other_names_share_nothing():
    Template.compile("${temp.value}", NAMES)
    with pytest.raises(ExpressionError, match="no field `value`"):
        Template.compile("${temp.value}", {"temp": {"payload": ANY}})
    with pytest.raises(ExpressionError, match="unknown name `temp`"):
        Template.compile("${temp.value}", {"hall": ANY})


def test_an_error_says_where_it_is_each_time():
    for _ in range(2):
        with pytest.raises(ExpressionError) as failure:
            Template.compile({"a": ["x ${temp.value} ${nope}"]}, NAMES)
        assert failure.value.where == "a.0 1:19"


@pytest.mark.parametrize("value", [18, 18.0, 1.5, "x", None, True, [1, {"a": 2}], {"a": [None]}, b"\0\xff"])
def test_a_text_that_is_one_expression_keeps_the_type(value: object):
    found = render("${temp.value}", temp={"value": value})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18, "cold 18!"),
        (18.0, "cold 18!"),
        (18.5, "cold 18.5!"),
        (1e300, "cold 1e300!"),
        ("x", "cold x!"),
        (None, "cold null!"),
        (True, "cold true!"),
        (["b"], 'cold ["b"]!'),
        (["b", 1], 'cold ["b",1]!'),
        ({"a": None}, 'cold {"a":null}!'),
        (Timestamp(5_000_000), "cold 1970-01-01T00:00:05Z!"),
        ("é😀", "cold é😀!"),
    ],
)
def test_inside_a_longer_text_the_value_is_written_out(value: object, text: str):
    assert render("cold ${temp.value}!", temp={"value": value}) == text


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${temp.value}${key}", "1null"),
        ("${ {'a': {'b': temp.value}}.a.b }", 1),
        ("x${'}'}y${\"{\"}", "x}y{"),
        ("${temp.value == 1 ? '}' : '{'}", "}"),
        ("$${temp.value}", "${temp.value}"),
        ("a $${b} ${temp.value} $5 $", "a ${b} 1 $5 $"),
        ("{temp.value}", "{temp.value}"),
        ({"a": ["${temp.value}", "b", {"c": "${key}"}], "d": 1}, {"a": [1, "b", {"c": None}], "d": 1}),
        ({"a": "$${x}", "b": "${temp.value}"}, {"a": "${x}", "b": 1}),
        ({"${key}": "a ${key}"}, {"${key}": "a null"}),
    ],
)
def test_what_stands_around_an_expression_stays(template: object, value: object):
    assert render(template, temp={"value": 1}, key=None) == value


@pytest.mark.parametrize("value", ["plain", 5, None, {"a": ["b", 1.5]}, "$${x}", "$"])
def test_a_value_without_an_expression_is_constant(value: object):
    assert Template.compile(value, NAMES).constant
    assert not Template.compile([value, "${key}"], NAMES).constant


@pytest.mark.parametrize(
    ("template", "where", "words"),
    [
        ("cold ${tmp.value}", "1:8", "did you mean `temp`?"),
        ("cold\n ${temp.valu}", "2:9", "did you mean `temp.value`?"),
        ({"a": {"b": ["x", "${temp.value +}"]}}, "a.b.1 1:15", "ends too early"),
        ("cold ${temp.value", "1:6", "without its `}`"),
        ("${temp.value == 'a}", "1:17", "text without its end"),
        ("${}", "1:3", "ends too early"),
        ("a ${b} ${key}", "1:5", "unknown name `b`"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_place(template: object, where: str, words: str):
    with pytest.raises(ExpressionError) as raised:
        Template.compile(template, NAMES)
    assert raised.value.where == where
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"x", "bytes cannot be written"), (float("nan"), "no JSON number"), ([float("inf")], "no JSON number")],
)
def test_a_value_that_no_text_can_hold_is_an_error(value: object, words: str):
    with pytest.raises(ExpressionError, match=words):
        render("x ${temp.value}", temp={"value": value})


def test_a_template_is_bounded_in_depth():
    value: object = "${key}"
    for _ in range(100):
        value = [value]
    with pytest.raises(ExpressionError, match="deeper"):
        Template.compile(value, NAMES)


@given(st.text(st.sampled_from("${}'\"ab.key temp\\ ")))
def test_any_text_compiles_or_is_refused(text: str):
    places = []
    try:
        Template.compile(text, NAMES)
    except ExpressionError as error:
        places.append(error.where)
    assert all(":" in place for place in places)


@given(
    st.recursive(
        st.text("ab$", max_size=4) | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
        max_leaves=6,
    )
)
def test_a_value_without_an_expression_is_rendered_as_it_is(value: object):
    assert Template.compile(value, NAMES).render({}) == value
