import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edgematrix.agents.phrase import words_of
from edgematrix.agents.sentences import Ambiguous, Command, Sentences, Unknown, references_of
from edgematrix.agents.spec import SentencesSpec
from edgematrix.errors import EdgeMatrixError, ExpressionError, PathError
from edgematrix.protocol.path import AgentPath

EAR = AgentPath("home/ear")
SLOTS = {
    "room": {"hall": "hall", "living room": "living", "the lounge": "living", "küche": "kitchen"},
    "state": {"on": "ON", "off": "OFF"},
}


def spec_of(*rules: Any, **rest: Any) -> SentencesSpec:
    return TypeAdapter(SentencesSpec).validate_python(
        {"rules": list(rules), "slots": SLOTS, "numbers": {"level": [0, 100], "warmth": [-5, 30]}, **rest}
    )


def sentences_of(*rules: Any, **rest: Any) -> Sentences:
    return Sentences.compile(spec_of(*rules, **rest), EAR)


SWITCH = {
    "say": ["[please] (turn|switch) [the] (lamp|light) [in the {room}] {state}", "{room} {state}"],
    "send": {"to": "lamps.set", "payload": {"room": "${room}", "state": "${state}"}},
    "answer": "the light is ${state}",
}
DIM = {"say": ["dim [the] {room} to {level} [percent]"], "send": {"to": "${room}.set", "payload": {"brightness": "${level * 2.54}"}}}
WHAT = {"say": ["what's up"], "answer": "all is well"}


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("Turn the light in the living room ON!", {"room": "living", "state": "ON"}),
        ("please switch light off", {"room": None, "state": "OFF"}),
        ("  HALL ,  on  ", {"room": "hall", "state": "ON"}),
        ("the lounge off.", {"room": "living", "state": "OFF"}),
        ("KÜCHE on", {"room": "kitchen", "state": "ON"}),
        ("ku\u0308che on", {"room": "kitchen", "state": "ON"}),
    ],
)
def test_a_sentence_leads_to_its_command(text: str, payload: dict[str, Any]):
    heard = sentences_of(SWITCH, DIM, WHAT).hear(text)
    assert isinstance(heard, Command)
    assert (heard.path, heard.port, heard.payload) == (AgentPath("home/lamps"), "set", payload)
    assert heard.answer == f"the light is {payload['state']}"
    assert heard.rule == 0


def test_a_number_is_heard_within_its_bounds_and_a_slot_may_name_the_receiver():
    sentences = sentences_of(SWITCH, DIM)
    heard = sentences.hear("dim the living room to 50 percent")
    assert isinstance(heard, Command)
    assert (heard.path, heard.payload, heard.slots) == (AgentPath("home/living"), {"brightness": 127.0}, {"room": "living", "level": 50})
    for text in ("dim hall to 101", "dim hall to -5", "dim hall to 5.5", "dim hall to 5,5", "dim hall to much", "dim hall to 9999999999"):
        assert isinstance(sentences.hear(text), Unknown), text
    assert set(sentences.wires) == {(AgentPath(f"home/{name}"), "set") for name in ("lamps", "hall", "living", "kitchen")}


def test_a_negative_number_stays_negative():
    heard = sentences_of({"say": ["{warmth} degrees"], "send": {"to": "heat", "payload": "${warmth}"}}).hear("-5 degrees")
    assert isinstance(heard, Command)
    assert (heard.payload, heard.port) == (-5, "in")


def test_a_rule_may_only_answer():
    heard = sentences_of(WHAT).hear("Whats up?")
    assert isinstance(heard, Command)
    assert (heard.path, heard.answer) == (None, "all is well")


@pytest.mark.parametrize(
    "text", ["", "???", "turn", "turn the light", "turn the light on now", "hall", "on", "turn on the garage", "turn the the light on"]
)
def test_what_no_rule_knows_is_unknown(text: str):
    assert isinstance(sentences_of(SWITCH, DIM, WHAT).hear(text), Unknown)


def test_two_rules_that_want_different_things_are_not_guessed_between():
    other = {"say": ["hall {state}"], "send": {"to": "heating.set", "payload": "${state}"}}
    heard = sentences_of(SWITCH, other).hear("hall on")
    assert isinstance(heard, Ambiguous)
    assert [command.rule for command in heard.commands] == [0, 1]
    assert "not sure" in heard.answer
    assert "{room} {state}" in heard.answer
    assert "hall {state}" in heard.answer


def test_two_rules_that_want_the_same_are_one_command():
    same = {"say": ["hall {state}"], "send": {"to": "/home/lamps.set", "payload": {"room": "hall", "state": "${state}"}}}
    heard = sentences_of(SWITCH, same).hear("hall on")
    assert isinstance(heard, Command)
    assert heard.rule == 0


def test_one_rule_that_can_be_read_in_two_ways_is_ambiguous():
    rule = {"say": ["{thing} [lamp] on"], "send": {"to": "x", "payload": "${thing}"}}
    heard = sentences_of(rule, slots={"thing": {"hall": 1, "hall lamp": 2}}).hear("hall lamp on")
    assert isinstance(heard, Ambiguous)
    assert {command.payload for command in heard.commands} == {1, 2}


@pytest.mark.parametrize(
    ("rule", "error", "where", "words"),
    [
        ({"say": ["turn (on"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:6", "')'"),
        ({"say": ["turn on)"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:8", "opens"),
        ({"say": ["a|b"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:2", "opens"),
        ({"say": ["ok", "(a|)"], "answer": "a"}, ExpressionError, "rules.0.say.1 1:4", "empty choice"),
        ({"say": ["light[s] on"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:6", "touches"),
        ({"say": ["[please]"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:1", "nothing"),
        ({"say": ["!"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:1", "nothing"),
        ({"say": ["{rom} on"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:1", "known slots: room"),
        ({"say": ["{room} {room}"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:8", "twice"),
        ({"say": ["{} on"], "answer": "a"}, ExpressionError, "rules.0.say.0 1:1", "without a name"),
        ({"say": ["(" * 9 + "a" + ")" * 9], "answer": "a"}, ExpressionError, "rules.0.say.0 1:9", "deeper"),
        ({"say": ["on"]}, ExpressionError, "rules.0", "neither"),
        ({"say": ["{room} on"], "answer": "${rom}"}, ExpressionError, "rules.0.answer 1:3", "`room`"),
        ({"say": ["on"], "send": {"to": "Lamp"}}, PathError, "rules.0.send.to", "Lamp"),
        ({"say": ["[{room}] on"], "send": {"to": "${room}"}}, ExpressionError, "rules.0.send.to 1:3", "room"),
        ({"say": ["{level} on"], "send": {"to": "a${level}"}}, ExpressionError, "rules.0.send.to 1:4", "level"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(rule: dict[str, Any], error: type[EdgeMatrixError], where: str, words: str):
    with pytest.raises(error) as raised:
        sentences_of(rule)
    assert raised.value.where == where
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("rest", "where"),
    [
        ({"slots": {"a": {"Hall": 1, "hall!": 2}}}, "slots.a"),
        ({"slots": {"a": {"?": 1}}}, "slots.a"),
        ({"slots": {"level": {"x": 1}}}, "numbers.level"),
        ({"numbers": {"n": [5, 1]}}, "numbers.n"),
    ],
)
def test_a_wrong_slot_is_refused_with_its_place(rest: dict[str, Any], where: str):
    with pytest.raises(ExpressionError) as raised:
        sentences_of(WHAT, **rest)
    assert raised.value.where == where


def test_the_receivers_of_a_rule_are_known_beforehand():
    assert list(references_of(spec_of(SWITCH, WHAT, DIM))) == [(0, "lamps.set"), (2, "hall.set"), (2, "living.set"), (2, "kitchen.set")]
    many = {f"s{n}": {f"w{n} {k}": f"x{k}" for k in range(11)} for n in range(3)}
    with pytest.raises(ExpressionError, match="1331 input ports"):
        sentences_of({"say": ["{s0} {s1} {s2}"], "send": {"to": "${s0}${s1}${s2}"}}, slots=many)


def test_hostile_sentences_and_patterns_take_bounded_time():
    rule = {"say": [" ".join(["[a]"] * 100) + " b", " ".join(["(a|[a] a|a [a])"] * 30) + " {x}"], "answer": "x"}
    sentences = sentences_of(rule, slots={"x": {" ".join(["a"] * n): n for n in range(1, 40)}})
    began = time.thread_time()
    assert isinstance(sentences.hear("a " * 63), Unknown)
    assert isinstance(sentences.hear("a " * 10_000), Unknown)
    assert time.thread_time() - began < 1


def test_a_sentence_with_too_many_readings_is_not_guessed_at():
    names = {"x": {" ".join(["a"] * n): n for n in range(1, 12)}}
    slots = {f"x{n}": names["x"] for n in range(6)}
    heard = sentences_of({"say": [" ".join(f"{{x{n}}}" for n in range(6))], "answer": "x"}, slots=slots).hear("a " * 20)
    assert isinstance(heard, Unknown)
    assert "too many ways" in heard.reason


def test_a_thousand_rules_are_heard_quickly():
    rules = [{"say": [f"[please] do thing number {n} [in the {{room}}]"], "send": {"to": "x", "payload": n}} for n in range(1_000)]
    sentences = sentences_of(*rules)
    began = time.thread_time()
    heard = sentences.hear("please do thing number 999 in the hall")
    assert time.thread_time() - began < 0.2
    assert isinstance(heard, Command)
    assert heard.payload == 999


@given(st.text(max_size=600))
def test_any_text_has_an_answer(text: str):
    assert isinstance(sentences_of(SWITCH, DIM, WHAT).hear(text), (Command, Unknown, Ambiguous))


@given(st.text(st.sampled_from("ab [](){}|room'"), max_size=30))
def test_any_pattern_is_compiled_or_refused(said: str):
    places = ["1:1"]
    try:
        sentences_of({"say": [said], "answer": "x"}).hear("a b")
    except ExpressionError as error:
        places.append(error.where)
    assert all(places)


@given(st.text(max_size=60))
def test_levelling_words_twice_changes_nothing(text: str):
    words = words_of(text)
    assert words_of(" ".join(words)) == words


@given(
    st.sampled_from(["turn", "SWITCH"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, *SLOTS["room"]]),
    st.sampled_from(["on", "Off"]),
    st.sampled_from([" ", "  ", ", "]),
)
def test_every_way_of_saying_it_is_heard(verb: str, please: bool, the: bool, room: str | None, state: str, gap: str):
    words = [*(["please"] if please else []), verb, *(["the"] if the else []), "lamp", *([f"in the {room}"] if room else []), state]
    heard = sentences_of(SWITCH).hear(gap.join(words))
    assert isinstance(heard, Command)
    assert heard.payload == {"room": SLOTS["room"][room] if room else None, "state": SLOTS["state"][state.lower()]}
