"""A voice in virtual time: what follows from what is heard, what is no sound, what the models do not keep up with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgematrix.agents.sound import wav_of
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import parse_document
from edgematrix.config.hearing import foreign_filters
from edgematrix.config.reading import parse_matrix
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.wires import Wires
from edgematrix.errors import ConfigError
from edgematrix.models.voice_wire import Noticed, Sound, Sounded
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import DeadLettered, Dropped, Observation
from edgematrix.runtime.voice_desk import Told, VoiceDesk, VoiceWanted
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Seen, Simulation

S = 1_000_000
FRAME = "hermes/audioServer/kitchen/audioFrame"
MATRIX = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: t/lamp, schema: {type: object}}}}}
  helper:
    sentences:
      slots: {state: {"on": "ON", "off": "OFF"}}
      rules: [{say: ["turn {state} the light"], send: {to: lamp.set, payload: {state: "${state}"}}, answer: "it is ${state}"}]
  ears: {voice: {site: kitchen, wake: none, to: helper, answer: hermes}}
"""
TENTH = wav_of(b"\1\0" * 1_600)


def played(script: Sequence[object], *, text: str = MATRIX, watch: Sequence[str] = ()) -> list[Seen]:
    loader = CodeLoader(Path())
    spec = parse_matrix(parse_document(text, "home.yaml"), loader=loader).spec
    simulation = Simulation(spec, loader=loader, watch=watch, scripts={"home/ears": list(script)})
    return list(simulation.play([Recorded(at * S, FRAME, "sound") for at in range(1, 6)], 9 * S))


def test_a_text_is_done_and_its_answer_spoken() -> None:
    seen = played(["turn on the light", {"unheard": "noise"}, "turn off the light"])
    assert [(one.at_us // S, one.topic, one.payload) for one in seen if one.topic == "t/lamp"] == [
        (1, "t/lamp", {"state": "ON"}),
        (3, "t/lamp", {"state": "OFF"}),
    ]
    assert [one.payload["text"] for one in seen if one.topic == "hermes/tts/say"] == ["it is ON", "it is OFF"]
    assert len({one.payload["id"] for one in seen if one.topic == "hermes/tts/say"}) == 2


def test_who_is_not_sure_does_nothing() -> None:
    seen = played(
        [{"text": "turn on the light", "confidence": 0.2}, {"error": "broken"}, {"unheard": "noise"}], watch=["t/#", "em/out/home/ears/#"]
    )
    assert [one.payload["reason"] for one in seen] == ["it may be another sentence: 0.2 sure, 0.6 is wanted", "noise"]


class Stub(VoiceDesk):
    """Models in the hands of a test: what they are handed waits until it says so."""

    is_scripted = False

    def __init__(self) -> None:
        self.asked: list[tuple[Sound, Told[Sounded]]] = []

    def listen(self, sound: Sound, told: Told[Sounded]) -> None:
        self.asked.append((sound, told))


class House:
    def __init__(self) -> None:
        self.clock = VirtualClock(0)
        self.desk = Stub()
        self.told: list[Observation] = []
        loader = CodeLoader(Path())
        around = Surroundings(
            clock=self.clock,
            new_id=id_maker(0),
            workshop=lambda limits, stalled: Workshop(self.clock, limits, stalled),
            loader=loader,
            voices=self,
        )
        assembly = build(parse_matrix(parse_document(MATRIX, "home.yaml"), loader=loader).spec, around)
        assembly.engine.observers.append(self.told.append)
        assembly.start({}, 0, lambda key, error: None)
        self.engine = assembly.engine
        self.answer()  # the models are loaded

    def __call__(self, wanted: VoiceWanted, agent: str, workshop: Workshop) -> VoiceDesk:
        return self.desk

    def is_scripted(self, agent: str) -> bool:
        return True  # no dictionary is needed

    def hear(self, payload: object, *, at_s: float = 0.0, topic: str = FRAME, retained: bool = False) -> None:
        now_us = round(at_s * S)
        self.clock.set(max(now_us, self.clock.now_us()))
        self.engine.receive(Message(topic, payload, retained), now_us)

    def answer(self, *noticed: Noticed, error: str = "") -> Sound:
        sound, told = self.desk.asked.pop(0)
        told(None if error else Sounded(list(noticed)), error, self.clock.now_us())
        return sound

    def reasons(self, kind: type[Dropped | DeadLettered]) -> list[str]:
        return [one.reason for one in self.told if isinstance(one, kind)]


def test_frames_that_come_while_the_models_work_are_handed_in_together() -> None:
    house = House()
    for number in range(6):
        house.hear(TENTH, at_s=number / 10)
    assert len(house.desk.asked) == 1
    house.answer()
    assert [len(sound.pcm) for sound, _ in house.desk.asked] == [5 * 3_200]
    assert not house.desk.asked[0][0].after_gap
    assert house.reasons(Dropped) == []


def test_of_more_than_two_seconds_the_oldest_go_and_are_counted_and_the_models_know_of_the_gap() -> None:
    house = House()
    for number in range(200):
        house.hear(TENTH, at_s=number / 10)
    assert house.reasons(Dropped) == [
        f"the models do not keep up, or the machine: more than 2 s of sound waits ({count} frames dropped so far)" for count in (1, 101)
    ]
    house.answer()
    sound = house.answer()
    assert len(sound.pcm) == 32_000
    assert sound.after_gap
    house.answer()
    assert house.desk.asked == []


def test_of_frames_that_sound_otherwise_the_first_is_a_dead_letter_and_the_rest_is_counted() -> None:
    house = House()
    other = TENTH.replace((16_000).to_bytes(4, "little"), (8_000).to_bytes(4, "little"), 1)
    for number in range(300):
        house.hear(other, at_s=number / 10)
    (letter,) = house.reasons(DeadLettered)
    assert "8000 Hz, 16 bit, mono, expected 16000 Hz" in letter
    assert [reason.rpartition("(")[2] for reason in house.reasons(Dropped)] == ["101 frames so far)", "201 frames so far)"]
    house.hear(b"no sound", at_s=31)
    assert "no WAV file" in house.reasons(DeadLettered)[1]
    house.hear(TENTH, at_s=32)
    assert len(house.desk.asked) == 1


def test_frames_that_are_another_thing_each_time_are_no_flood_of_dead_letters() -> None:
    house = House()
    for number in range(300):
        house.hear(f"{number:04}".encode(), at_s=number / 10)
    assert len(house.reasons(DeadLettered)) == 8
    assert house.reasons(Dropped)[-1].endswith("frames so far)")


def test_models_that_fail_say_so_and_are_asked_again_later() -> None:
    house = House()
    house.hear(TENTH)
    house.answer(error="the model home/ears ended by signal 9; it said last: x")
    assert house.engine.ailing == {"home/ears": "the model home/ears ended by signal 9"}
    house.hear(TENTH, at_s=0.5)
    assert house.desk.asked == []
    house.hear(TENTH, at_s=1.5)
    assert house.answer().after_gap
    assert house.engine.ailing == {}


def test_what_is_retained_and_orders_that_are_none_are_refused() -> None:
    house = House()
    house.hear(TENTH, retained=True)
    house.hear("maybe", topic="em/in/home/ears/listen")
    assert house.desk.asked == []
    assert house.reasons(Dropped) == ["a retained frame is no sound of now"]
    assert house.reasons(DeadLettered) == ["expected true, to listen now, or false, once all is said; not retained"]
    house.hear(True, topic="em/in/home/ears/listen")
    assert house.answer().button == 1


def spec(text: str) -> AgentTree:
    return AgentTree.of(parse_matrix(parse_document(text, "home.yaml"), loader=CodeLoader(Path())).spec)


def test_what_it_hears_and_says_is_in_its_wires() -> None:
    tree = spec(MATRIX)
    ears = tree.nodes[AgentPath("home/ears")]
    wires = Wires(tree)
    assert [one.filter for one in wires.foreign(ears)] == foreign_filters(tree.matrix) == [FRAME]
    assert [one.filter for one in wires.published(ears)] == ["hermes/tts/say"]
    assert [f"{one.node.path}.{one.port}" for one in wires.sends(ears)] == ["home/helper.say"]
    assert {f"{one.node.path}.{one.port}" for one in wires.sources(ears)} == {"home/helper.out", "home/helper.unknown"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("to: helper", "to: helpr", "did you mean helper"),
        ("to: helper", "to: lamp.set", "home/lamp has none"),
        ("wake: none", "wake: computer", "wake"),
        ("site: kitchen", "site: a/b", "site"),
        ("the light", "the xyzzy light", "nobody knows how to say 'xyzzy'"),
        ("wake: none", "wake: none, pronounce: {light: Q}", "no phone"),
        ("wake: none", "wake: none, language: nowhere", "no folder with an acoustic model"),
        ("wake: none", "wake: none, pause: 1s, loud: true", "loud"),
        ("answer: hermes}}", "answer: hermes}, onnx: {model: activity}}", "at once"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, reason: str) -> None:
    if "say '" in reason or "phone" in reason or "acoustic" in reason:
        pytest.importorskip("pocketsphinx", reason="the extra `voice` is not installed")
    with pytest.raises(ConfigError) as caught:
        spec(MATRIX.replace(old, new, 1))
    assert any(reason in str(issue) for issue in caught.value.issues), caught.value.issues
