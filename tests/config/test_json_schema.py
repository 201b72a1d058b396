"""The JSON Schema that ships for editors."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from edgematrix.config.document import parse_document, read_document
from edgematrix.config.schema import SCHEMA_ID, json_schema

SPEC = Path(__file__).parents[1] / "scenarios" / "spec"
SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def fits(value: object) -> bool:
    return VALIDATOR.is_valid(value)


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.scenario.yaml")), ids=lambda path: path.name.partition(".")[0])
def test_the_matrices_of_the_specification_fit(path: Path) -> None:
    document = read_document(path)
    assert isinstance(document.value, dict)
    assert fits(document.value["matrix"])


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
    assert fits(parse_document(text, "m.yaml").value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"matrix": "home", "agentz": {}},
        {"matrix": "home", "limits": {"hop_max": 3}},
        {"matrix": "home", "limits": {"hops_max": 0}},
        {"matrix": "home", "agents": {"a": {"llm": {"provider": "some"}}}},
        {"matrix": "home", "agents": {"a": {"chat": {}}}},
        {"matrix": "home", "agents": {"a": {"inputs": {"x": "txt"}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"from_": "x"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"role": "gat"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {"s": {"for": "soon"}}}}}}},
        {"matrix": "home", "agents": {"a": {"triggers": {"g": {"on": {}}}}}},
    ],
)
def test_what_is_wrong_does_not_fit(value: object) -> None:
    assert not fits(value)


def test_it_names_itself_and_describes_its_parts() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == SCHEMA_ID
    assert all(part.get("description") for part in SCHEMA["$defs"].values())
    assert "from" in SCHEMA["$defs"]["SourceSpec"]["properties"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
