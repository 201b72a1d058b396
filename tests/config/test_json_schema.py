"""The JSON Schema that ships for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgematrix.config.document import parse_document, read_document
from edgematrix.config.schema import SCHEMA_ID, json_schema

SPEC = Path(__file__).parents[1] / "scenarios" / "spec"
SCHEMA = json_schema()
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}
KNOWN = {
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "examples",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
}


def fits(value: Any, schema: Any) -> bool:
    """As much of JSON Schema (draft 2020-12, validation) as the schema uses."""
    if isinstance(schema, bool):
        return schema
    assert schema.keys() <= KNOWN
    if not fits_choices(value, schema):
        return False
    if isinstance(value, dict):
        return fits_object(value, schema)
    if isinstance(value, list):
        sized = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return sized and all(fits(item, schema.get("items", True)) for item in value)
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None and len(value) <= schema.get("maxLength", len(value))
    return not isinstance(value, (int, float)) or fits_number(value, schema)


def fits_choices(value: Any, schema: dict[str, Any]) -> bool:
    types = TYPES[schema["type"]] if "type" in schema else (object,)
    if not isinstance(value, types) or (isinstance(value, bool) and schema.get("type") in ("integer", "number")):
        return False
    constants = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
    if constants and not any(value == one and type(value) is type(one) for one in constants):
        return False
    return ("$ref" not in schema or fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])) and (
        "anyOf" not in schema or any(fits(value, part) for part in schema["anyOf"])
    )


def fits_number(value: float, schema: dict[str, Any]) -> bool:
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    return bool(least <= value <= most and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]))


def fits_object(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    sized = schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
    return (
        sized
        and all(name in value for name in schema.get("required", ()))
        and all(fits(part, properties.get(name, rest)) for name, part in value.items())
    )


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.scenario.yaml")), ids=lambda path: path.name.partition(".")[0])
def test_the_matrices_of_the_specification_fit(path: Path) -> None:
    document = read_document(path)
    assert isinstance(document.value, dict)
    assert fits(document.value["matrix"], SCHEMA)


def test_the_example_of_the_documentation_fits() -> None:
    text = """
matrix: home
timezone: Europe/Berlin
broker: embedded
defaults: {durable: true}
location: {lat: 52.5, lon: 13.4}
limits: {hops_max: 8}
agents:
  hall:
    inputs: {request: text, size: {type: number, minimum: 3}}
    outputs: {summary: {from: lux.illuminance}, mode: {type: text, retain: true, initial: home}}
    agents:
      lux:   {device: {reads: {illuminance: {topic: zigbee2mqtt/hall_lux, value: illuminance, unit: lx}}}}
      lamp:  {device: {writes: {set: {topic: zigbee2mqtt/hall_lamp/set, schema: {type: object}, range: {brightness: [0, 254]},
                                      rate: {count: 10, per: 1m}, dwell: 2s, critical: false}}}}
      rule:
        triggers:
          dark: {on: {lux: {from: lux.illuminance, below: 30, hysteresis: 5}}, do: [{send: {to: lamp.set, payload: {state: "ON"}}}]}
"""
    assert fits(parse_document(text, "m.yaml").value, SCHEMA)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"matrix": "home", "agentz": {}},
        {"matrix": "home", "limits": {"hop_max": 3}},
        {"matrix": "home", "limits": {"hops_max": 0}},
        {"matrix": "home", "agents": {"a": {"chat": {}}}},
        {"matrix": "home", "agents": {"a": {"inputs": {"x": "txt"}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"from_": "x"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"role": "gat"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"for": "soon"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {}}}}}},
    ],
)
def test_what_is_wrong_does_not_fit(value: object) -> None:
    assert not fits(value, SCHEMA)


def test_it_names_itself_and_describes_its_parts() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == SCHEMA_ID
    assert all(part.get("description") for part in SCHEMA["$defs"].values())
    assert "from" in SCHEMA["$defs"]["SourceSpec"]["properties"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
