import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import ProtocolError
from edgematrix.protocol.schema import SHORT_NAMES, compile_schema, port_schema

LAMP = {
    "type": "object",
    "properties": {"brightness": {"type": "number", "maximum": 254}, "colour": {"type": "array", "items": {"type": "number"}}},
    "required": ["brightness"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("value", [{"brightness": 5}, {"brightness": 254.0, "colour": [1, 0.5]}])
def test_a_value_that_keeps_to_its_schema_is_taken(value: object):
    assert compile_schema(LAMP).refusal(value) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"brightness": 300}, "`brightness`: 300 is greater than the maximum of 254"),
        ({"brightness": 1, "colour": [1, "x"]}, '`colour.1`: "x" is not of type "number"'),
        ({}, '"brightness" is a required property'),
        ({"brightness": 1, "bright": 2}, "'bright' was unexpected"),
        ("ON", 'not of type "object"'),
        (None, "null"),
        (b"\0", "no JSON"),
        ({"brightness": float("nan")}, "`brightness`: nan is no JSON number"),
        ({"brightness": 1, "colour": [float("inf")]}, "`colour.0`: inf"),
        ("x" * 100_000, 'not of type "object"'),
    ],
)
def test_a_refusal_names_the_field(value: object, words: str):
    found = compile_schema(LAMP).refusal(value)
    assert found is not None
    assert words in found
    assert len(found) < 300


@pytest.mark.parametrize(
    ("schema", "where", "words"),
    [
        ({"type": "objekt"}, "type", "objekt"),
        ({"properties": {"a": {"minimum": "x"}}}, "properties.a.minimum", '"number"'),
        ({"$ref": "http://example.com/x"}, "", "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "", "nothing is fetched"),
        ({"$ref": "#/nowhere"}, "", "nowhere"),
        ({"pattern": "(?=a)b"}, "pattern", "regex"),
        ({"$schema": "http://example.com/mine"}, "", "meta-schema"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: dict[str, Any], where: str, words: str):
    with pytest.raises(ProtocolError) as raised:
        compile_schema(schema)
    assert raised.value.where == where
    assert words in str(raised.value)


def test_a_pattern_that_would_run_for_ever_elsewhere_takes_linear_time():
    schema = compile_schema({"pattern": "^(a+)+$"})
    began = time.thread_time()
    assert schema.refusal("a" * 20_000 + "b") is not None
    assert time.thread_time() - began < 1


def test_a_schema_that_refers_to_itself_ends():
    assert compile_schema({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}).refusal(1) is None


def test_short_names_stand_for_types():
    values = {"any": 1, "text": "x", "number": 1.5, "whole": 1, "bool": True, "object": {}, "list": []}
    assert set(values) == set(SHORT_NAMES)
    for name, value in values.items():
        schema = port_schema(name, None)
        assert schema is None or schema.refusal(value) is None
        assert schema is None or schema.refusal(None) is not None
    with pytest.raises(ProtocolError, match="text, number"):
        port_schema("txt", None)
    assert port_schema(None, None) is None
    both = port_schema("number", {"maximum": 5})
    assert both is not None
    assert both.refusal("x") is not None
    assert both.refusal(6) is not None


def test_the_library_is_loaded_with_the_first_schema_only():
    code = "import sys, edgematrix.protocol.schema as s; s.port_schema(None, None); print('jsonschema_rs' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "False"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_is_judged_without_a_traceback(value: object):
    found = compile_schema(LAMP).refusal(value)
    assert found is None or found
