"""Scalars by the YAML 1.2 core schema."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.config.scalar import resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("17:30", "17:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("0o17", 15),
        ("0o19", "0o19"),
        ("0x1F", 31),
        ("017", 17),
        ("-5", -5),
        ("+5", 5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("-", "-"),
        ("+", "+"),
        (".", "."),
        ("...", "..."),
        ("0b1", "0b1"),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_says(text: str, value: object) -> None:
    found = resolve_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".inf", "no JSON form"),
        ("-.Inf", "no JSON form"),
        (".NaN", "no JSON form"),
        ("1e999", "too large"),
        ("18446744073709551616", "64 bits"),
        ("9" * 5000, "64 bits"),
        ("0xffffffffffffffffff", "64 bits"),
        ("True", "expected true"),
        ("FALSE", "expected false"),
        ("Null", "expected null"),
    ],
)
def test_what_json_cannot_say_or_readers_disagree_on_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resolve_plain(text)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=30))
def test_every_scalar_has_a_json_form_or_is_refused(text: str) -> None:
    try:
        value = resolve_plain(text)
    except ValueError:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@given(st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_json_writes_them_come_back(number: float) -> None:
    assert resolve_plain(json.dumps(number)) == number
