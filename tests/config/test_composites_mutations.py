"""Whatever stands in a file about flows, chats, switches, pools and people, reading it gives a matrix or a ConfigError."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.config.document import parse_document
from edgematrix.config.reading import checked, parse_matrix
from edgematrix.errors import ConfigError, Issue

RIGHT = """matrix: home
agents:
  report:
    inputs: {request: text, depth: number}
    outputs: {summary: {from: summarise}, alarm: any, mode: {type: text, retain: true, initial: home}}
    triggers: {daily: {on: {request: {every: 1h}, depth: {topic: t/depth, role: live}}}}
    flow:
      edges:
        - request -> collect
        - collect -> analyse, photo
        - depth -> analyse
        - analyse, photo -> summarise
        - summarise -> critic
        - {from: critic, to: summarise, when: "answer == 'redo'"}
        - analyse.error -> alarm
      max_steps: 20
      deadline: 2m
    agents:
      collect: {python: "m:collect", retry: {attempts: 3, wait_max: 1s}, outputs: {out: {type: object, properties: {x: {type: number}}}}}
      analyse: {flow: {edges: [in -> first -> second]}, agents: {first: {python: "m:first"}, second: {python: "m:second"}}}
      photo: {pool: {replicas: 3, key: "room", busy_max: 2}, agents: {camera: {python: "m:photo", deadline: 5s}}}
      summarise: {python: "m:summarise"}
      critic: {human: {ask: "Is ${value} good?", choices: [good, redo], notify: phone/ask, answers: phone/answer, timeout: 1m}}
  council:
    chat: {members: [saver, comfort], speaker: {rule: "members[turn % 2]"}, until: "decision != null", max_turns: 8, on_error: skip}
    agents: {saver: {python: "m:saver"}, comfort: {python: "m:comfort"}}
  route:
    switch: {cases: [{when: "kind == 'lamp'", to: lamp}], default: ask}
    agents: {lamp: {inputs: {go: any}, triggers: {g: {on: {s: {from: self}}, do: [{emit: {out: 1}}]}}}, ask: {human: {ask: "${kind}?"}}}
  reader:
    triggers:
      g:
        on: {s: {from: report.summary}, e: {from: report/photo.error}, w: {from: report/photo/camera-2}}
        need: any
        do: [{send: {to: route}}, {send: {to: council}}, {call: {agent: council}}, {send: {to: report.request}}]
"""
WORDS = sorted({word for word in RIGHT.replace(":", " ").replace(",", " ").replace("[", " ").replace("{", " ").split() if word})
PIECES = [*WORDS, *"{}[]:,->.'\"", " -> ", "in", "out", "error", "self", "parent", "/home/report", "report/collect", "0", "null", "true"]


def issues_of(text: str) -> list[Issue]:
    try:
        return parse_matrix(parse_document(text, "m.yaml", {})).warnings
    except ConfigError as error:
        return error.issues


def test_the_file_itself_is_right() -> None:
    assert issues_of(RIGHT) == []


edits = st.tuples(st.integers(0, len(RIGHT)), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=5))


@settings(max_examples=150, deadline=None)  # the machine's other work may take any time
@given(st.lists(edits, min_size=1, max_size=3))
def test_a_file_with_edits_anywhere(changes: list[tuple[int, int, str]]) -> None:
    text = RIGHT
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]
    assert all(issue.what and issue.file == "m.yaml" for issue in issues_of(text))


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.sampled_from(PIECES) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(PIECES) | junk, st.sampled_from(["value", "key", "gone"]))
def test_a_value_or_a_key_of_another_shape_anywhere(data: st.DataObject, other: object, what: str) -> None:
    document = parse_document(RIGHT, "m.yaml")
    spot: Any = document.value
    while True:
        keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(spot[key], (dict, list)) or not spot[key] or data.draw(st.booleans()):
            break
        spot = spot[key]
    if what == "gone":
        del spot[key]
    elif what == "key" and isinstance(spot, dict) and isinstance(other, str):
        spot[other] = spot.pop(key)
    else:
        spot[key] = other
    try:
        issues = parse_matrix(document).warnings
    except ConfigError as error:
        issues = error.issues
    assert all(issue.what and issue.line > 0 for issue in issues)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_two_subtrees_may_change_places(data: st.DataObject) -> None:
    """A flow in a chat in a pool, and each of them where it does not belong."""
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.config.validation import validate

    value: Any = parse_document(RIGHT, "m.yaml").value
    first, second = (data.draw(st.sampled_from(_agents_below(value))) for _ in range(2))
    (home, name), (other, placed) = first, second
    home[name] = deepcopy(other[placed])
    try:
        issues = checked(validate(MatrixSpec, value)).warnings
    except ConfigError as error:
        issues = error.issues
    assert all(issue.what for issue in issues)


def _agents_below(value: Any) -> list[tuple[Any, str]]:
    found: list[tuple[Any, str]] = []
    for name, agent in value.get("agents", {}).items():
        found += [(value["agents"], name), *_agents_below(agent)]
    return found
