"""Compositions in the JSON Schema for editors, and as the plain JSON that travels as `spec`."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.composition.spec import EdgeSpec, FlowSpec
from edgematrix.config.document import parse_document
from edgematrix.config.exchange import dump, load
from edgematrix.config.schema import json_schema
from edgematrix.config.spec import AgentSpec, MatrixSpec

VALIDATOR = jsonschema_rs.validator_for(json_schema())
ALL_KINDS = """
matrix: home
agents:
  f:
    flow:
      edges:
        - request -> collect
        - collect -> analyse, photo
        - a -> b.port -> c
        - {from: critic, to: summarise, when: "verdict == 'redo'"}
        - {from: [a, b], to: [c, d], loop: true}
      max_steps: 20
      deadline: 2m
    deadline: 5s
    retry: {attempts: 5, wait_initial: 100ms, wait_max: 5s, wait_jitter: 1s, wait_exp_base: 2}
  c: {chat: {members: [a, b], speaker: {rule: "members[0]"}, until: "turn > 2", max_turns: 3, on_error: skip}}
  m: {chat: {members: [a], speaker: {llm: {provider: fake, script: [a]}}}}
  l: {chat: {members: [a], speaker: llm}}
  s: {switch: {cases: [{when: "x > 1", to: a}], default: b}}
  p: {pool: {replicas: 3, key: room, busy_max: 2, waiting_max: 5}}
  h: {human: {ask: "Open ${door}?", choices: ["yes", "no"], timeout: 1m, default: "no", notify: a, answers: b}}
"""
value: Any = parse_document(ALL_KINDS, "m.yaml").value


def of_flow(edge: object) -> dict[str, object]:
    return {"matrix": "home", "agents": {"f": {"flow": {"edges": [edge]}}}}


def test_all_kinds_fit_the_schema() -> None:
    assert [str(error) for error in VALIDATOR.iter_errors(value)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        of_flow("a, b"),
        of_flow({"from": "a"}),
        of_flow({"from": "a", "to": "b", "wen": "x"}),
        of_flow(5),
        {"matrix": "home", "agents": {"f": {"flow": {"edges": []}}}},
        {"matrix": "home", "agents": {"f": {"flow": {}}}},
        {"matrix": "home", "agents": {"f": {"chat": {"members": []}}}},
        {"matrix": "home", "agents": {"f": {"chat": {"members": ["a"], "speaker": "loudest"}}}},
        {"matrix": "home", "agents": {"f": {"pool": {"replicas": 0}}}},
        {"matrix": "home", "agents": {"f": {"switch": {"cases": [{"when": "x"}]}}}},
        {"matrix": "home", "agents": {"f": {"human": {}}}},
        {"matrix": "home", "agents": {"f": {"retry": {"atempts": 3}}}},
        {"matrix": "home", "agents": {"f": {"max_steps": 3}}},
    ],
)
def test_what_is_wrong_does_not_fit(wrong: object) -> None:
    assert not VALIDATOR.is_valid(wrong)


def test_what_travels_fits_and_comes_back_equal() -> None:
    spec = load(value)
    there = json.loads(json.dumps(dump(spec)))

    assert [str(error) for error in VALIDATOR.iter_errors(there)] == []
    assert load(there) == spec
    assert there["agents"]["f"]["flow"]["edges"][:3] == ["request -> collect", "collect -> analyse, photo", "a -> b.port -> c"]
    assert there["agents"]["f"]["flow"]["edges"][3] == {"from": ["critic"], "to": ["summarise"], "when": "verdict == 'redo'"}


ends = st.lists(st.sampled_from(["a", "b.out", "c-1"]) | st.text(max_size=4), min_size=1, max_size=3)
edges = st.builds(
    lambda stations, when, loop: EdgeSpec(stations=stations, when=when, loop=loop),
    st.lists(ends, min_size=2, max_size=3),
    st.none() | st.text(max_size=3),
    st.booleans(),
)


@given(st.lists(edges, min_size=1, max_size=3))
def test_edges_made_in_python_come_back_equal(made: list[EdgeSpec]) -> None:
    spec = MatrixSpec(matrix="home", agents={"f": AgentSpec(flow=FlowSpec(edges=made))})

    assert load(json.loads(json.dumps(dump(spec)))) == spec
