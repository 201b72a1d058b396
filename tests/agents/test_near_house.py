"""What people say to a house, and what is done: by rules of English that hold for any house, here for one that is not the shipped one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from edgematrix.agents.clauses import exact
from edgematrix.agents.sentences import Sentences
from edgematrix.agents.understanding import Understanding
from edgematrix.config.composing import near_of
from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.models.near_model import KnownSentences, NearModel, find_near
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.near_thinker import kin_of

pytestmark = pytest.mark.skipif(util.find_spec("wordllama") is None, reason="the extra `near` is not installed")

FLAT = """
matrix: flat
agents:
  den: {agents: {lamp: &thing {device: {writes: {set: {topic: a/thing}}}}, heat: *thing, shade: *thing, box: *thing}}
  loft: {agents: {lamp: *thing, heat: *thing, shade: *thing, fan: *thing}}
  porch: {agents: {lamp: *thing, door: *thing, gate: *thing}}
  stereo: *thing
  ears:
    sentences:
      slots:
        state: {"on": "ON", "off": "OFF"}
        lamp: {den lamp: den/lamp, loft lamp: loft/lamp, porch lamp: porch/lamp}
        radiator: {den radiator: den/heat, loft radiator: loft/heat}
        room: {den: den/heat, loft: loft/heat}
        shade: {den shade: den/shade, loft shade: loft/shade}
        shady: {den: den/shade, loft: loft/shade}
        plug: {television: den/box, loft ventilator: loft/fan}
      numbers: {percent: [0, 100], degrees: [5, 30, 0.5]}
      near: {}
      rules:
        - {say: ["turn {state} the {lamp}", "{lamp} {state}"], send: {to: "${lamp}.set", payload: "${state}"}}
        - {say: ["set the {lamp} to {percent} percent"], send: {to: "${lamp}.set", payload: "${percent}"}}
        - {say: ["turn {state} the {radiator}", "{radiator} {state}"], send: {to: "${radiator}.set", payload: "${state}"}}
        - {say: ["set the {radiator} to {degrees} degrees"], send: {to: "${radiator}.set", payload: "${degrees}"}}
        - {say: ["warm the {room}"], examples: ["it is cold in {room}"], send: {to: "${room}.set", payload: "ON"}}
        - {say: ["close the {shade}"], send: {to: "${shade}.set", payload: 0}}
        - {say: ["keep the sun out of the {shady}"], examples: ["blinding sun in {shady}"], send: {to: "${shady}.set", payload: 0}}
        - {say: ["open the {shade}"], send: {to: "${shade}.set", payload: 100}}
        - {say: ["set the {shade} to {percent} percent"], send: {to: "${shade}.set", payload: "${percent}"}}
        - {say: ["turn {state} the {plug}"], send: {to: "${plug}.set", payload: "${state}"}}
        - {say: ["lock the front door"], send: {to: porch/door.set, payload: LOCK}}
        - {say: ["open the garden door"], send: {to: porch/gate.set, payload: OPEN}}
        - {say: ["play music"], send: {to: stereo.set, payload: play}}
        - {say: ["stop the music"], send: {to: stereo.set, payload: stop}}
        - {say: ["set the volume to {percent}"], send: {to: stereo.set, payload: "${percent}"}}
"""
Told: TypeAlias = dict[str, object]


@pytest.fixture(scope="module")
def hear() -> Iterator[Callable[[str], Understanding]]:
    spec = parse_matrix(parse_document(FLAT, "flat.yaml")).spec.agents["ears"].sentences
    assert spec is not None
    assert spec.near is not None
    sentences = Sentences.compile(spec, AgentPath("flat/ears"))
    near = near_of(sentences, spec.near)
    known = KnownSentences(near.key, near.exemplars, near.groups, kin_of(near))
    model = NearModel("wordllama", find_near("wordllama", Path()))

    def understood(text: str) -> Understanding:
        found = exact(sentences, text)
        texts = () if found.commands else near.asked(text)
        if not texts:
            return found
        return near.understood(text, msgspec.json.encode(model.nearest(known, texts, 24, 60.0)).decode(), found)

    yield understood
    model.close()


@pytest.fixture
def say(hear: Callable[[str], Understanding]) -> Callable[[str], Told]:
    """What the agents of the flat are told, by their paths in it; nothing where nobody is sure."""

    def told(text: str) -> Told:
        found = hear(text)
        sure = found.commands if found.confidence >= 0.6 else ()
        return {str(command.path).removeprefix("flat/"): command.payload for command in sure}

    return told


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # what this house has no word for
        ("switch the telly off", {"den/box": "OFF"}),
        ("fling the den blinds wide open", {"den/shade": 100}),
        ("whack the thermostat in the loft up to twenty two", {"loft/heat": 22}),
        ("the fan in the loft on, please", {"loft/fan": "ON"}),
        ("pop the porch light on, love", {"porch/lamp": "ON"}),
        # wishes by what is felt
        ("I'm shivering in the loft", {"loft/heat": "ON"}),
        ("it's rather chilly in the den", {"den/heat": "ON"}),
        ("the sun is glaring in the den", {"den/shade": 0}),
        # politeness
        ("if it's no trouble, close the loft shade", {"loft/shade": 0}),
        ("is there any chance you could turn off the den lamp", {"den/lamp": "OFF"}),
        ("why don't you play some tunes", {"stereo": "play"}),
        ("can I have the loft lamp on", {"loft/lamp": "ON"}),
        ("make sure that the front door is locked", {"porch/door": "LOCK"}),
        ("I'd appreciate it if you turned off the porch lamp", {"porch/lamp": "OFF"}),
        ("we don't need the den lamp any more", {"den/lamp": "OFF"}),
        # what it is for, and how things are
        ("turn on the porch lamp so that I don't trip", {"porch/lamp": "ON"}),
        ("phone's ringing, stop the music", {"stereo": "stop"}),
        ("I can't hear a word, stop the music", {"stereo": "stop"}),
        ("the den lamp isn't on yet, switch it on", {"den/lamp": "ON"}),
        ("let the dog out, open the garden door", {"porch/gate": "OPEN"}),
        ("I like cold nights, close the den shade", {"den/shade": 0}),
        ("nosy neighbours, close the loft shade", {"loft/shade": 0}),
        ("did I leave the den lamp on? turn it off", {"den/lamp": "OFF"}),
        ("it hasn't rained for days, open the garden door", {"porch/gate": "OPEN"}),
        # how far
        ("the den lamp as bright as it goes", {"den/lamp": 100}),
        ("loft shade all the way up", {"loft/shade": 100}),
        ("make the porch lamp half as bright as it can be", {"porch/lamp": 50}),
        ("den lamp to two thirds", {"den/lamp": 67}),
        ("loft radiator to nineteen and a half", {"loft/heat": 19.5}),
        ("68 fahrenheit for the den radiator", {"den/heat": 20}),
        ("set the den radiator to 20, please", {"den/heat": 20}),
        # taken back
        ("turn off the den lamp, no wait, the loft lamp", {"loft/lamp": "OFF"}),
        ("set the den radiator to 18, sorry, 19 degrees", {"den/heat": 19}),
        ("den lamp on - no - off", {"den/lamp": "OFF"}),
        # each of a kind, and what is left out
        ("turn off all the lamps", {"den/lamp": "OFF", "loft/lamp": "OFF", "porch/lamp": "OFF"}),
        ("both radiators to 17 degrees", {"den/heat": 17, "loft/heat": 17}),
        ("all the lamps off except the porch one", {"den/lamp": "OFF", "loft/lamp": "OFF"}),
        ("everything in the loft off apart from the radiator", {"loft/lamp": "OFF", "loft/fan": "OFF"}),
        ("den lamp off, but leave the television on", {"den/lamp": "OFF"}),
        ("close every shade", {"den/shade": 0, "loft/shade": 0}),
        # what one clause leaves out
        ("den lamp off and loft lamp on", {"den/lamp": "OFF", "loft/lamp": "ON"}),
        ("loft: lamp off, shade closed, radiator to 16", {"loft/lamp": "OFF", "loft/shade": 0, "loft/heat": 16}),
        ("set the den radiator to 20 and the same in the loft", {"den/heat": 20, "loft/heat": 20}),
        ("the shades in the den and the loft down", {}),
        ("the shades in the den and the loft closed", {"den/shade": 0, "loft/shade": 0}),
        ("set the den lamp and the porch lamp to 40 percent", {"den/lamp": 40, "porch/lamp": 40}),
        ("turn off the television and the music", {}),
    ],
)
def test_what_is_wished_is_done(say: Callable[[str], Told], text: str, wanted: Told) -> None:
    assert say(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "don't turn on the den lamp",
        "turn on the den lamp if it gets dark",
        "turn on the den lamp at seven",
        "when I get out of the bath turn on the den lamp",
        "the den lamp is on",
        "he will open the garden door",
        "I could turn on the television",
        "you could have closed the den shade",
        "it isn't cold in the loft",
        "it was cold in the loft yesterday",
        "grandma says open the garden door",
        "turn the den lamp on and off",
        "den lamp on, den lamp off",
        "open the door",
        "turn on the lamp",
        "turn on all the lamps except the nice ones",
        "all the lamps except",
        "turn on the den lamp, no, don't",
        "open the garden door, no wait",
        "don't open the garden door, I mean open the den shade",
        "everything off",
        "switch all four lamps off",
        "lock the door of the car",
        "turn on the kitchen lamp in the den",
        "turn on the radio",
        "set the den radiator to 400",
        "90 fahrenheit for the volume",
        "I need a new lamp for the den",
        "brighter",
        "turn the den lamp up a bit",
        "stop the",
        "is it cold in the loft",
        "could the cat be on the porch",
        "make sure that nobody opens the garden door",
        "is it cold in the loft? then close the loft shade",
        "the sauna, close the loft shade",
        "book me a flight, close the loft shade",
        "close the loft shade and book me a flight",
        "there are 30 lamps in the den",
        "the den radiator is 20 degrees",
        "put the den lamp on my shopping list",
    ],
)
def test_what_is_unclear_conditional_or_told_is_asked_back(say: Callable[[str], Told], text: str) -> None:
    assert say(text) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("turn the den lamp on and off", "it asks for two things of flat/den/lamp.set at once"),
        ("the den lamp is on", "it tells how things are"),
        ("turn on all the lamps except the nice ones", "what is to be left out is not known"),
        ("turn on the den lamp at seven", "it may be a time of the day"),
        ("90 fahrenheit for the volume", "90 may be in either of two units"),
    ],
)
def test_who_asks_back_says_why(hear: Callable[[str], Understanding], text: str, reason: str) -> None:
    assert hear(text).reason == reason


def test_what_is_left_out_of_what_a_rule_sends_to_all_is_left_out() -> None:
    text = """
matrix: home
agents:
  hall: &lamp {device: {writes: {set: {topic: a/lamp}}}}
  attic: *lamp
  ears:
    sentences:
      slots: {lamp: {hall lamp: hall, attic lamp: attic}}
      near: {}
      rules:
        - {say: ["turn off the {lamp}"], send: {to: "${lamp}.set", payload: "OFF"}}
        - say: [all lamps off]
          send: {to: hall.set, payload: "OFF"}
          also: [{to: attic.set, payload: "OFF"}]
          answer: All are off.
"""
    spec = parse_matrix(parse_document(text, "home.yaml")).spec.agents["ears"].sentences
    assert spec is not None
    assert spec.near is not None
    sentences = Sentences.compile(spec, AgentPath("home/ears"))
    near = near_of(sentences, spec.near)
    model = NearModel("wordllama", find_near("wordllama", Path()))
    try:
        said = "all lamps off except the attic lamp"
        texts = near.asked(said)
        known = KnownSentences(near.key, near.exemplars, near.groups, kin_of(near))
        found = msgspec.json.encode(model.nearest(known, texts, 24, 60.0)).decode()
    finally:
        model.close()
    (command,) = near.understood(said, found, exact(sentences, said)).commands
    assert (str(command.path), command.besides) == ("home/hall", ())
