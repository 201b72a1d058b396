"""Whatever stands in a file, reading it gives a matrix or a ConfigError, in bounded time."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.config.document import ISSUES_MAX, Document, parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.errors import ConfigError, Issue

RIGHT = """matrix: home
timezone: Europe/Berlin
broker: mqtt://pi:1883
defaults: {durable: true, qos: 1}
location: {lat: 52.5, lon: 13.4}
limits: {hops_max: 8}
agents:
  hall:
    inputs: {request: text}
    outputs: {summary: {from: lux.illuminance}, mode: {type: text, retain: true, initial: home}}
    agents:
      lux: {device: {reads: {illuminance: {topic: z/lux, value: illuminance, unit: lx}}, availability: {topic: z/there}}}
      lamp: &lamp {device: {writes: {set: {topic: z/lamp/set, range: {brightness: [0, 254]}, rate: {count: 10, per: 1m}, dwell: 2s}}}}
      rule:
        triggers:
          dark:
            on:
              motion: {topic: "z/{room}_motion", value: occupancy, is: true, where: "value != prev", keep: all}
              lux: {from: lux.illuminance, below: 30, hysteresis: 5, role: condition, for: 1m}
              tick: {cron: "0 7 * * 1-5"}
              night: {during: {from: sunset-15m, to: "23:30", days: [mon, fri]}}
              moved: {topic: z/pos, changes: {from: [open, tilted], to: closed}}
              mean: {topic: z/t, aggregate: {fn: mean, over: 5m, min_samples: 3}, above: 20.5}
            need: any
            by: room
            if: "lux.value > 3"
            mode: restart
            cooldown: 10m
            limit: {count: 2, per: 1h}
            do:
              - send: {to: lamp.set, payload: {state: "ON", was: "${lux.value}"}}
              - delay: 2s
              - publish: {topic: "o/${key}", payload: [1, 2.5, null, true], retain: true}
              - emit: {done: "${motion.payload}"}
              - stop: "${key == 'x'}"
  code: {python: "package.module:name", sends: [hall/lamp.set], host: pi, delivery: durable}
"""
LINES = RIGHT.splitlines()
WORDS = sorted({word for word in RIGHT.replace(":", " ").replace(",", " ").split() if word})
PIECES = [
    *WORDS,
    *"{}[]:,&*!|>'\"%@`#?-\t\n ~<=",
    "null",
    "true",
    "5",
    "-1",
    "1e999",
    ".nan",
    "${env:X}",
    "${",
    "!include x",
    "<<: *lamp",
    "---",
    "*lamp",
    "é",
    "\x07",
    "\ufeff",
    "\u2028",
    "🦊",
]


def issues_of(document: Document) -> list[Issue]:
    try:
        return parse_matrix(document).warnings
    except ConfigError as error:
        return error.issues


def read(text: str) -> None:
    try:
        document = parse_document(text, "m.yaml", {})
    except ConfigError as error:
        issues = error.issues
    else:
        issues = issues_of(document)
    assert len(issues) <= ISSUES_MAX + 1
    for issue in issues:
        assert issue.what
        assert issue.file == "m.yaml"
        assert issue.line <= text.count("\n") + text.count("\u2028") + 2


def test_the_file_itself_is_right() -> None:
    assert parse_matrix(parse_document(RIGHT, "m.yaml")).spec.limits == {"hops_max": 8}


edits = st.tuples(st.integers(0, len(RIGHT)), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=5))


@settings(max_examples=300)
@given(st.lists(edits, min_size=1, max_size=4))
def test_a_file_with_edits_anywhere(changes: list[tuple[int, int, str]]) -> None:
    text = RIGHT
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]
    read(text)


@settings(max_examples=100)
@given(st.permutations(range(len(LINES))).map(lambda order: order[: len(LINES) - 3]), st.integers(0, 40))
def test_a_file_with_its_lines_moved(order: list[int], kept: int) -> None:
    read("\n".join([*LINES[:kept], *(LINES[index] for index in order)]))


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.data(), junk)
def test_a_value_of_another_shape_anywhere(data: st.DataObject, other: object) -> None:
    document = parse_document(RIGHT, "m.yaml")
    spot: Any = document.value
    while True:
        keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(spot[key], (dict, list)) or not spot[key] or data.draw(st.booleans()):
            break
        spot = spot[key]
    spot[key] = other
    assert all(issue.what and issue.line > 0 for issue in issues_of(document))


@settings(max_examples=200)
@given(st.text(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text(text: str) -> None:
    read(text)
