from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import PathError
from edgematrix.protocol.value import as_bool, as_number, compile_path, compile_value, is_unknown

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.0", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("temperature", {"temperature": 21}, 21),
        ("battery.level", {"battery": {"level": 15}}, 15),
        ("list.0", {"list": [9, 8]}, 9),
        ("0", [7], 7),
        ("0", {"0": 5}, 5),
        (["ENERGY", "1.8.0"], {"ENERGY": {"1.8.0": 12.5}}, 12.5),
        (["list", 1], {"list": [9, 8]}, 8),
        (None, {"a": 1}, {"a": 1}),
        (None, 0, 0),
        ({"x": "accel.x", "y": "accel.y"}, {"accel": {"x": 1, "y": 2}}, {"x": 1, "y": 2}),
    ],
)
def test_a_path_reads_its_value(path: Any, payload: Any, value: Any):
    assert compile_path(path)(payload) == value


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("a", {}),
        ("a", 5),
        ("a", {"a": None}),
        ("a", {"a": ""}),
        ("a", {"a": "unknown"}),
        ("a", {"a": "unavailable"}),
        ("a.b", {"a": 3}),
        ("a.5", {"a": [1]}),
        ("a.-1", {"a": [1]}),
        (None, "unknown"),
        (None, b""),
        ({"x": "x", "y": "y"}, {"x": 1}),
    ],
)
def test_what_is_not_there_or_empty_is_unknown(path: Any, payload: Any):
    assert compile_path(path)(payload) is None


@pytest.mark.parametrize("value", [[], {}, 0, False, 0.0, "Unknown", " ", b"x"])
def test_only_the_empty_text_is_empty(value: Any):
    assert compile_path("a")({"a": value}) == value
    assert not is_unknown(value)


@pytest.mark.parametrize("path", ["", "a..b", ".a", [], ["a", -1], {}, ".".join("a" * 33)])
def test_a_wrong_path_is_refused(path: Any):
    with pytest.raises(PathError):
        compile_path(path)


@pytest.mark.parametrize(
    ("text", "number"),
    [("21.5", 21.5), ("21", 21), (" -3e2 ", -300.0), (".5", 0.5), ("1.", 1.0), (7, 7), (1.5, 1.5), ("1" * 30, float("1" * 30))],
)
def test_text_is_read_as_the_number_that_it_spells(text: Any, number: Any):
    found = as_number(text)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("text", ["ON", "", "nan", "inf", "1e999", "1_000", "21,5", "0x10", True, None, [], "1" * 5000, "٣"])
def test_anything_else_is_no_number(text: Any):
    assert as_number(text) is None


@pytest.mark.parametrize(
    ("text", "flag"), [("ON", True), ("off", False), ("True", True), ("0", False), (1, True), (0.0, False), (False, False)]
)
def test_text_is_read_as_a_flag(text: Any, flag: Any):
    assert as_bool(text) is flag


@pytest.mark.parametrize("text", ["", "open", 2, None, {}])
def test_anything_else_is_no_flag(text: Any):
    assert as_bool(text) is None


def test_a_value_is_read_as_its_type_says():
    assert compile_value("t", "number")({"t": "21.5"}) == 21.5
    assert compile_value("s", "bool")({"s": "ON"}) is True
    assert compile_value("s", "number")({"s": "ON"}) is None
    assert compile_value("s")({"s": "ON"}) == "ON"


@given(st.lists(st.text("ab0", min_size=1, max_size=2) | st.integers(0, 3), min_size=1, max_size=3), JSON)
def test_reading_never_raises_and_never_gives_an_unknown_value(path: Any, payload: Any):
    value = compile_path(path)(payload)
    assert value is None or not is_unknown(value)
