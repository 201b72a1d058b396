"""Whether what one end of an edge gives may be what the other takes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgematrix.protocol.compatibility import JsonSchema, field_names, join_mismatch, mismatch

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
WHOLE: dict[str, Any] = {"type": "integer"}
NOTHING: dict[str, Any] = {"type": "null"}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def model(*, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """What pydantic writes: open, as unknown fields are left out."""
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


FACTS = {"$defs": {"Fact": model(name=TEXT, score=TEXT)}, **model(facts={"type": "array", "items": {"$ref": "#/$defs/Fact"}})}
SCORED = {"$defs": {"F": model(score=NUMBER)}, **model(facts={"type": "array", "items": {"$ref": "#/$defs/F"}})}
TREE = {"$defs": {"T": model(child={"anyOf": [{"$ref": "#/$defs/T"}, NOTHING]}, v=TEXT)}, "$ref": "#/$defs/T"}
LOOP = {"$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, TEXT]}}, "$ref": "#/$defs/A"}


@pytest.mark.parametrize(
    ("offered", "wanted", "told"),
    [
        (TEXT, NUMBER, "analysis: a text, expected a number"),
        (model(score=TEXT), model(score=NUMBER), "analysis.score: a text, expected a number"),
        (model(name=TEXT), model(score=NUMBER), "analysis.score: missing, expected a number"),
        (closed(name=TEXT), {"type": "object", "required": ["score"]}, "analysis.score: missing, expected any value"),
        (FACTS, SCORED, "analysis.facts[].score: a text, expected a number"),
        (model(score=NOTHING), model(score={"anyOf": [NUMBER, TEXT]}), "analysis.score: nothing, expected a number or a text"),
        ({"anyOf": [TEXT, NOTHING]}, {"type": ["number", "boolean"]}, "analysis: a text or nothing, expected a number or true or false"),
        ({"anyOf": [model(a=TEXT), NOTHING]}, model(a=NUMBER), "analysis.a: a text, expected a number"),
        (model(a=TEXT), {"anyOf": [model(a=NUMBER), NOTHING]}, "analysis.a: a text, expected a number"),
        ({"enum": ["a", "b"]}, {"enum": ["c"]}, "analysis: 'a' or 'b', expected 'c'"),
        ({"const": 1}, {"const": True}, "analysis: 1, expected True"),
        ({"const": 1.5}, WHOLE, "analysis: 1.5, expected a whole number"),
        (NUMBER, {"enum": ["on", "off"]}, "analysis: a number, expected 'on' or 'off'"),
        (closed(a=TEXT, b=TEXT), closed(a=TEXT), "analysis.b: a text, which is not expected here"),
        (model(a=TEXT), {"type": "object", "additionalProperties": NUMBER}, "analysis.a: a text, expected a number"),
        ({"type": "object", "additionalProperties": TEXT}, model(a=NUMBER), "analysis.a: a text, expected a number"),
        ({"type": "array", "prefixItems": [TEXT, TEXT]}, {"type": "array", "items": NUMBER}, "analysis[]: a text, expected a number"),
        ({"type": "array", "minItems": 3}, {"type": "array", "maxItems": 2}, "analysis: a list of at least 3, expected at most 2"),
        ({"type": "array", "maxItems": 1}, {"type": "array", "minItems": 2}, "analysis: a list of at most 1, expected at least 2"),
        (TREE, {**TREE, "$defs": {"T": model(child={}, v=NUMBER)}}, "analysis.v: a text, expected a number"),
        (model(a=TEXT), {"allOf": [model(a=TEXT), model(b=TEXT)]}, "analysis.b: missing, expected a text"),
        (TEXT, False, "analysis: a text, which is not expected here"),
    ],
)
def test_a_mismatch_names_the_field(offered: JsonSchema, wanted: JsonSchema, told: str) -> None:
    assert mismatch(offered, wanted, "analysis") == told
    assert mismatch(offered, wanted) == told.removeprefix("analysis").removeprefix(".").removeprefix(": ")


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        (None, TEXT),
        (TEXT, None),
        (WHOLE, NUMBER),
        (NUMBER, WHOLE),  # 3.0 is whole
        ({}, NUMBER),
        ({"type": "object"}, model(score=NUMBER)),  # says nothing of its fields
        ({"type": "object", "additionalProperties": NUMBER}, model(score=NUMBER)),
        ({**model(name=TEXT), "additionalProperties": True}, model(score=NUMBER)),
        (model(required=[], score=NUMBER), model(score=NUMBER)),
        (model(required=["score"]), model(score=NUMBER)),
        (closed(a=TEXT, b=TEXT), model(a=TEXT)),
        (model(required=[], a=TEXT), {"type": "object", "additionalProperties": False}),
        ({"anyOf": [model(a=NUMBER), NOTHING]}, model(a=NUMBER)),
        (TREE, TREE),
        (LOOP, NUMBER),  # not understood
        ({"$ref": "#/$defs/Nowhere"}, NUMBER),
        ({"$ref": "http://example.com/x"}, NUMBER),
        ({"$ref": "#"}, NUMBER),
        (TEXT, {"$ref": "#/nowhere"}),
        ({"type": "string", "enum": [1, "a"]}, {"const": "a"}),
        ({"const": 1}, {"const": 1.0}),
        ({"type": "array", "items": TEXT, "maxItems": 0}, {"type": "array", "items": NUMBER}),
        ({"type": "array", "prefixItems": [TEXT, NUMBER]}, {"type": "array", "prefixItems": [TEXT, NUMBER], "items": False}),
        ({**closed(a=TEXT), "not": {"required": ["a"]}}, {"type": "object", "properties": {"a": NUMBER}}),
        ({"properties": 5, "required": "x", "type": "object", "anyOf": {}}, {"properties": [], "required": 3, "type": ["object", 7]}),
        (False, TEXT),
        (True, TEXT),
    ],
)
def test_what_may_fit_is_no_mismatch(offered: JsonSchema | None, wanted: JsonSchema | None) -> None:
    assert mismatch(offered, wanted) == ""


PARTS = {
    "$defs": {"Critic": model(verdict=TEXT)},
    **model(
        required=["analyse", "photo"],
        analyse=model(score=NUMBER),
        photo=TEXT,
        critic={"anyOf": [{"$ref": "#/$defs/Critic"}, NOTHING]},
    ),
}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"analyse": model(score=NUMBER), "photo": TEXT, "critic": model(verdict=TEXT)}, ""),
        ({"analyse": model(score=NUMBER), "photo": None}, ""),
        ({"analyse": model(score=TEXT), "photo": TEXT}, "in.analyse.score: a text, expected a number"),
        ({"analyse": model(score=NUMBER), "critic": model(verdict=TEXT)}, "in.photo: missing, expected a text"),
        ({"analyse": None, "photo": None, "critic": model(verdict=NUMBER)}, "in.critic.verdict: a number, expected a text"),
    ],
)
def test_a_join_is_judged_by_its_parts(parts: dict[str, Any], told: str) -> None:
    assert join_mismatch(parts, PARTS, "in") == told
    either = {"$defs": PARTS["$defs"], "anyOf": [NOTHING, {key: part for key, part in PARTS.items() if key != "$defs"}]}
    assert join_mismatch(parts, either, "in") == told


def test_a_join_is_no_text() -> None:
    assert join_mismatch({"a": TEXT, "b": TEXT}, TEXT) == "an object of a or b, expected a text"


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (model(a=TEXT, b=TEXT), ("a", "b")),
        ({"anyOf": [model(a=TEXT), NOTHING]}, ("a",)),
        (TREE, ("child", "v")),
        ({**model(a=TEXT), "additionalProperties": True}, None),
        (TEXT, ()),
        ({"enum": ["a", None]}, ()),
        ({"anyOf": [NUMBER, model(a=TEXT)]}, ("a",)),
        ({"type": "object"}, None),
        ({}, None),
        (None, None),
        (LOOP, None),
    ],
)
def test_the_names_of_the_fields_are_known_where_no_others_are(schema: JsonSchema | None, names: tuple[str, ...] | None) -> None:
    assert field_names(schema) == names


def test_schemas_that_branch_again_and_again_end_soon() -> None:
    wide: dict[str, Any] = {"anyOf": [{"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefgh"}} for _ in range(50)]}
    assert mismatch(wide, {"anyOf": [*wide["anyOf"], NUMBER]}) == ""


# Schemas with values of their own: what `wide` makes of one has each of its values, too


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        properties = draw(st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
        required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
        more = draw(st.sampled_from([{}, {}, {"additionalProperties": False}, {"additionalProperties": True}]))
        if more.get("additionalProperties") is not False and draw(st.booleans()):
            required.append("d")
        return {"type": "object", "properties": properties, "required": required, **more}

    return build()


leaves = st.sampled_from(
    [TEXT, NUMBER, WHOLE, NOTHING, {"type": "boolean"}, {"enum": ["x", 1, None]}, {"const": 1.0}, {"type": ["string", "null"]}, {}],
)
schemas = leaves | st.recursive(
    leaves,
    lambda inner: (
        objects(inner)
        | inner.map(lambda items: {"type": "array", "items": items})
        | st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches})
        | inner.map(lambda one: {"allOf": [one], "description": "as pydantic 1 wrote it"})
    ),
    max_leaves=6,
)


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each form
    """Values of the schema, without properties that it does not declare and without empty lists."""
    if "allOf" in schema:
        return instances(schema["allOf"][0])
    if "anyOf" in schema:
        return st.one_of([instances(branch) for branch in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kinds = schema.get("type", ["string", "integer", "null", "boolean"])
    if isinstance(kinds, list):
        return st.one_of([instances({"type": kind}) for kind in kinds])
    if kinds == "object":
        promised = {name: instances({}) for name in schema["required"]}
        return st.fixed_dictionaries({**promised, **{name: instances(part) for name, part in schema["properties"].items()}})
    if kinds == "array":
        return st.lists(instances(schema["items"]), min_size=1, max_size=2)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(["x", "y"]),
        "integer": st.integers(-2, 2),
        "number": st.sampled_from([0.5, 1.0, -2]),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return plain[kinds]


@st.composite
def widened(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that every value of `schema` has, too."""
    wide = draw(loosened(schema))
    how = draw(st.sampled_from(["as it is", "as it is", "any", "either", "ref"]))
    if how == "either":
        return {"anyOf": draw(st.permutations([wide, draw(schemas)]))}
    if how == "ref":
        return {"$ref": "#/$defs/X", "$defs": {"X": wide}}
    return {} if how == "any" else wide


@st.composite
def loosened(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its parts, and what it asks for, loosened."""
    wide = dict(schema)
    for key in ("allOf", "anyOf"):
        if key in wide:
            wide[key] = [draw(loosened(part)) for part in wide[key]]
    if "items" in wide:
        wide["items"] = draw(loosened(wide["items"]))
    if "properties" in wide:
        wide["properties"] = {name: draw(loosened(part)) for name, part in wide["properties"].items()}
    if wide.get("type") == "object":
        dropped = draw(st.sampled_from(["", "", "additionalProperties", "required", "properties"]))
        wide = {key: part for key, part in wide.items() if key != dropped and (dropped, key) != ("properties", "additionalProperties")}
    return draw(st.sampled_from([NUMBER, WHOLE])) if wide == WHOLE else wide


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_certainly_fits_is_never_a_mismatch(data: st.DataObject) -> None:
    offered = data.draw(schemas)
    assert mismatch(offered, data.draw(widened(offered))) == ""


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_told_is_no_value_of_what_is_expected(data: st.DataObject) -> None:
    offered, wanted = data.draw(schemas), data.draw(schemas)
    told = mismatch(offered, wanted)
    assume(told)
    value = data.draw(instances(offered))
    assert jsonschema_rs.is_valid(offered, value)
    assert not jsonschema_rs.is_valid(wanted, value), told


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_join_of_what_certainly_fits_is_never_a_mismatch(data: st.DataObject) -> None:
    parts = data.draw(st.dictionaries(st.sampled_from("abc"), schemas, min_size=1))
    wanted = {"type": "object", "properties": parts, "required": sorted(parts)}
    assert join_mismatch(parts, wanted) == ""
