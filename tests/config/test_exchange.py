"""A matrix as JSON and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.agents.spec import PortSpec
from edgematrix.config.document import parse_document, read_document
from edgematrix.config.exchange import dump, load
from edgematrix.config.reading import parse_matrix
from edgematrix.config.spec import AgentSpec, DefaultsSpec, LocationSpec, MatrixSpec
from edgematrix.errors import ConfigError

SPEC = Path(__file__).parents[1] / "scenarios" / "spec"

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name not in ("parent", "self"))
texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
scalars = texts | st.booleans() | numbers
json_values = st.recursive(
    st.none() | scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
durations = st.integers(0, 10**6) | st.floats(0, 10**6) | st.sampled_from(["500ms", "1h30m", "1d", "0.001ms", "1.5s"])
paths = texts | st.lists(texts | st.integers(0, 9), max_size=3)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


several = scalars | st.lists(scalars, min_size=1, max_size=3)
sources = some(
    topic=texts,
    value=paths | st.dictionaries(texts, paths, max_size=2),
    where=texts,
    expires=durations,
    qos=st.sampled_from([0, 1]),
    role=st.sampled_from(["regular", "gate", "live", "optional", "condition", "reset"]),
    above=numbers,
    hysteresis=st.floats(0, 10),
    equals=several,
    during=texts | st.fixed_dictionaries({"from": texts, "to": texts}, optional={"days": st.lists(st.sampled_from(["mon", "sun"]))}),
    changes=st.just(True) | some(**{"from": several, "to": several, "by": st.floats(0.1, 5)}),
    required=st.booleans(),
    count=st.fixed_dictionaries({"at_least": st.integers(1, 9)}, optional={"within": durations}),
    keep_max=st.integers(1, 10_000),
    aggregate=st.fixed_dictionaries({"fn": st.sampled_from(["mean", "max"]), "over": durations}),
    schema=st.dictionaries(texts, json_values, max_size=2),
    **{"from": texts, "as": st.sampled_from(["number", "bool"]), "not": several, "is": several, "for": durations},
)
actions = some(
    publish=st.fixed_dictionaries(
        {"topic": texts}, optional={"payload": json_values, "qos": st.sampled_from([0, 1]), "retain": st.booleans()}
    ),
    emit=st.dictionaries(names, json_values, max_size=2),
    send=st.fixed_dictionaries({"to": texts}, optional={"payload": json_values}),
    call=st.fixed_dictionaries({"agent": texts}, optional={"timeout": durations}),
    delay=durations,
    stop=texts | st.booleans(),
    when=texts,
)
groups = st.fixed_dictionaries(
    {"on": st.dictionaries(texts, sources, min_size=1, max_size=2), "do": st.lists(actions, max_size=3)},
    optional={
        "need": st.sampled_from(["all", "any", "sequence"]) | st.integers(1, 9),
        "if": texts,
        "by": texts,
        "cooldown": durations,
        "misfire_grace": durations,
        "rate_max": st.just("none") | st.integers(1, 9),
        "durable": st.booleans(),
        "max": st.integers(1, 99),
        "limit": st.fixed_dictionaries({"count": st.integers(1, 9), "per": durations}),
    },
)
ports = (
    st.sampled_from(["text", "number", "bool", "any"])
    | some(type=st.sampled_from(["text", "number"]), retain=st.booleans(), initial=json_values, **{"from": texts})
    | st.fixed_dictionaries({"type": st.sampled_from(["object", "string"])}, optional={"minLength": st.integers(0, 5), "title": texts})
)
leaves = some(
    triggers=st.dictionaries(names, groups, max_size=2),
    inputs=st.dictionaries(names, ports, max_size=2),
    outputs=st.dictionaries(names, ports, max_size=2),
    host=names,
    durable=st.booleans(),
    delivery=st.sampled_from(["best_effort", "durable"]),
    python=st.just("a.b:c"),
    sends=st.lists(texts, max_size=2),
    device=some(
        reads=st.dictionaries(names, st.fixed_dictionaries({"topic": texts}, optional={"value": paths, "unit": texts}), max_size=2),
        writes=st.dictionaries(
            names,
            st.fixed_dictionaries(
                {"topic": texts}, optional={"range": st.dictionaries(texts, st.lists(numbers, min_size=2, max_size=2)), "dwell": durations}
            ),
            max_size=2,
        ),
        availability=st.fixed_dictionaries({"topic": texts}, optional={"online": json_values}),
    ),
)
trees = st.recursive(
    leaves, lambda inner: st.fixed_dictionaries({"agents": st.dictionaries(names, inner, min_size=1, max_size=2)}), max_leaves=3
)
matrices = st.fixed_dictionaries(
    {"matrix": names, "agents": st.dictionaries(names, trees, max_size=2)},
    optional={
        "timezone": st.sampled_from(["Europe/Berlin", "UTC"]),
        "broker": st.sampled_from(["embedded", "mqtt://pi:1883", "mqtts://x", "mosquitto"]),
        "limits": st.dictionaries(st.sampled_from(["hops_max", "runs_max"]), st.integers(1, 99)),
        "location": st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}),
        "defaults": some(durable=st.booleans(), qos=st.sampled_from([0, 1])),
    },
)


@given(matrices)
def test_what_comes_back_is_equal_to_what_left(value: dict[str, Any]) -> None:
    spec = load(value)
    there = json.dumps(dump(spec))
    back = load(json.loads(there))
    assert back == spec
    assert repr(back) == repr(spec)  # 1, 1.0 and true are equal to Python, not to a rule
    assert json.dumps(dump(back)) == there


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.scenario.yaml")), ids=lambda path: path.name.partition(".")[0])
def test_the_matrices_of_the_specification_travel(path: Path) -> None:
    spec = parse_matrix(read_document(path), ("matrix",)).spec
    assert load(json.loads(json.dumps(dump(spec)))) == spec


def test_only_what_was_said_travels() -> None:
    text = "matrix: home\nagents: {a: {triggers: {g: {on: {t: {topic: x, above: 1, for: 90}}, do: [{emit: {out: null}}]}}}}\n"
    spec = parse_matrix(parse_document(text, "m.yaml")).spec
    assert dump(spec) == {
        "matrix": "home",
        "agents": {"a": {"triggers": {"g": {"on": {"t": {"topic": "x", "above": 1.0, "for": "1m30s"}}, "do": [{"emit": {"out": None}}]}}}},
    }


def test_python_and_a_file_make_the_same_model() -> None:
    text = "matrix: home\ndefaults: {qos: 1}\nlocation: {lat: 52.5, lon: 13}\nagents: {hall: {agents: {a: {python: 'm:f'}}}}\n"
    made = MatrixSpec(
        matrix="home",
        defaults=DefaultsSpec(qos=1),
        location=LocationSpec(lat=52.5, lon=13),
        agents={"hall": AgentSpec(agents={"a": AgentSpec(python="m:f")})},
    )
    assert parse_matrix(parse_document(text, "m.yaml")).spec == made


@pytest.mark.parametrize("value", [None, [], "home", {}, {"matrix": "home", "agents": {"a": {"chat": {}}}}, {"matrix": "home", "root": 5}])
def test_what_is_no_matrix_is_refused(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load(value)
    assert all(issue.what and not issue.file for issue in caught.value.issues)


def test_the_model_is_frozen() -> None:
    with pytest.raises(AttributeError):
        MatrixSpec(matrix="home").root = "x"  # type: ignore[misc]
    assert not hasattr(MatrixSpec(matrix="home"), "__dict__")


def test_what_has_no_json_form_does_not_travel() -> None:
    spec = MatrixSpec(matrix="home", agents={"a": AgentSpec(outputs={"out": PortSpec(initial=object())})})
    with pytest.raises(ConfigError, match="has no JSON form"):
        dump(spec)
