"""Observations and messages as lines: for people harmless and short, for programs always JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.cli import log_line, sighting
from edgematrix.cli.display import value_text
from edgematrix.cli.sighting import Sighting
from edgematrix.protocol.codec import encode_event
from edgematrix.protocol.event import Event
from edgematrix.runtime.account import account_of
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Fired,
    NotFired,
    Observation,
    Outcome,
    Published,
    Received,
    RunEnded,
    Stalled,
    StepBegan,
    StepEnded,
)
from edgematrix.triggers import Firing, Reading, Reason, Trace

AT_US = 1_767_225_600_123_000
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def firing(value: object = 12, **more: object) -> Firing:
    return Firing("dark", **{"key": None, "sources": {"lux": Reading(value, value, "z/lux", 1), "tick": Reading(), "other": None}, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (Fired(AT_US, "home/rule", "dark", 1, firing()), "fired      home/rule                 dark: lux=12 tick"),
        (Fired(AT_US, "home/rule", "dark", 1, firing(key="hall", missing=("door",))), "dark: [hall] lux=12 tick door is missing"),
        (Published(AT_US, "home/rule", "z/lamp", {"state": "ON"}), 'published  home/rule                 z/lamp {"state":"ON"}'),
        (Published(AT_US, "home/rule", "z/photo", b"\xff\x00"), "z/photo (2 bytes)"),
        (DeadLettered(AT_US, "home/rule", "z/lux", "malformed"), "dead       home/rule                 z/lux: malformed"),
        (Dropped(AT_US, "home", "z/lux", "the queue is full"), "dropped    home                      z/lux: the queue is full"),
        (RunEnded(AT_US, "home/rule", "dark", 1, Outcome.FAILED, "it broke"), "failed     home/rule                 dark: it broke"),
        (RunEnded(AT_US, "home/rule", "dark", 1, Outcome.CANCELLED), "cancelled  home/rule                 dark"),
        (Stalled(AT_US, "home/rule", 700), "for 700 ms"),
        (NotFired(AT_US, "home/rule", Trace(Reason.COOLDOWN, "dark", detail=(1_000_000,))), "not fired  home/rule                 `dark`"),
    ],
)
def test_what_people_read(observation: Observation, words: str):
    line = log_line.text_line(observation, colour=False)

    assert line is not None
    assert words in line
    assert line.split()[0].endswith(".123")


def test_a_transcript_is_a_short_line_for_people_and_whole_for_programs():
    transcript = [{"name": "saver", "content": "turn the heating down " * 20}] * 5
    many = {f"source_{number}": Reading(transcript, transcript, "t", 1) for number in range(9)}
    fired = Fired(AT_US, "home/council/saver", "work", 1, firing(sources=many))
    line = log_line.text_line(fired, colour=False)
    assert line is not None
    assert 350 < len(line) <= 410
    assert line.endswith("…")
    one = log_line.text_line(Fired(AT_US, "home/a", "work", 1, firing(transcript)), colour=False)
    assert one is not None
    assert one.endswith("… tick")
    assert len(one.partition("lux=")[2]) == 120 + len(" tick")
    assert json.loads(log_line.json_line(fired))["sources"]["source_8"]["value"] == transcript
    published = log_line.text_line(Published(AT_US, "home/a", "t", transcript), colour=False)
    assert published is not None
    assert len(published.partition(" t ")[2]) == 120


def test_what_somebody_else_wrote_fills_no_log():
    long = "em/op/ben/pause/home/" + "x" * 60_000
    for observation in (DeadLettered(AT_US, "home", long, long), Dropped(AT_US, "home", long, long)):
        assert len(log_line.text_line(observation, colour=False) or "") < 1_200


def test_what_a_host_tells_is_short_for_people():
    value = {"transcript": [{"name": "saver", "content": "turn the heating down " * 20}] * 5}
    many = {f"source_{number}": Reading(value, value, "t", 1) for number in range(9)}
    told = account_of(Fired(AT_US, "home/a", "work", 1, firing(sources=many)))
    assert len(str(told["text"])) <= 400
    assert len(told["sources"]) == 9  # type: ignore[arg-type]
    inputs = tuple((f"port_{number}", value) for number in range(9))
    assert len(str(account_of(StepBegan(AT_US, "home/a", "r", 1, "home/a/b", "c", inputs))["text"])) <= 400
    failed = account_of(StepEnded(AT_US, "home/a", "r", 1, Outcome.FAILED, dict(inputs), "it broke"))
    assert str(failed["text"]).endswith("it broke")


@pytest.mark.parametrize(
    "observation",
    [
        Received(AT_US, "z/lux", 1, False),
        RunEnded(AT_US, "home/rule", "dark", 1, Outcome.DONE),
        NotFired(AT_US, "home/rule", Trace(Reason.STEADY, "dark", source="lux", detail=(False,))),
    ],
)
def test_what_is_no_news_has_no_line_for_people_but_one_for_programs(observation: Observation):
    assert log_line.text_line(observation, colour=False) is None
    assert json.loads(log_line.json_line(observation))["time"] == "2026-01-01T00:00:00.123000Z"


@given(value=ANYTHING, text=st.text(st.characters(exclude_categories=[])))
def test_whatever_a_value_holds_it_is_one_harmless_line(value: object, text: str):
    for observation in (
        Fired(AT_US, "home/rule", "dark", 1, firing(value, key=text)),
        Published(AT_US, "home/rule", text, value),
        DeadLettered(AT_US, "home/rule", text, text),
        Dropped(AT_US, "home/rule", text, text),
        RunEnded(AT_US, "home/rule", "dark", 1, Outcome.FAILED, text),
    ):
        shown = log_line.text_line(observation, colour=False)
        assert shown is not None
        assert shown.isprintable()
        machine = log_line.json_line(observation)
        assert "\n" not in machine
        json.loads(machine)


@given(value=ANYTHING)
def test_a_value_is_short(value: object):
    assert len(value_text(value, 20)) <= 20 * len("\\U0010ffff")


@given(
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    payload=st.binary() | ANYTHING.map(lambda value: json.dumps(value, default=repr).encode()),
)
def test_whatever_travels_can_be_watched(topic: str, payload: bytes):
    for name in (topic, f"em/out/home/{topic}", f"em/{topic}", "em/out/home/rule/out"):
        seen = Sighting.of(name, payload, 0, False, "em")
        assert sighting.text_line(seen).replace("\x1b", "").isprintable()
        assert json.loads(sighting.json_line(seen))["topic"] == name


def test_an_event_shows_its_data_and_who_it_is_from_if_that_is_odd():
    event = Event(specversion="1.0", id="1", source="/home/stranger", type="em.in.set", data={"state": "ON"}, taint="web")

    line = sighting.text_line(Sighting.of("em/in/home/lamp/set", encode_event(event), 1, False, "em"))

    assert '{"state":"ON"}' in line
    assert "(from home/stranger, tainted by web)" in line


def test_what_a_line_shares_with_the_one_before_is_dim():
    before = Sighting.of("em/out/home/hall/lux/level", b"1", 0, False, "em")
    after = Sighting.of("em/out/home/hall/lamp/level", b"2", 0, False, "em")

    assert "\x1b[2mhome/hall/\x1b[0mlamp.level" in sighting.text_line(after, before.subject)


def test_an_event_with_what_msgspec_does_not_write_is_shown():
    data = '{"specversion":"1.0","id":"1","source":"/home/x","type":"t","data":' + "9" * 30 + "}"

    seen = Sighting.of("em/out/home/x/y", data.encode(), 0, False, "em")

    assert "9" * 30 in sighting.text_line(seen)
    assert json.loads(sighting.json_line(seen))["value"] == int("9" * 30)
