"""English as it is spoken: numbers in words, words that say nothing, words that turn a sentence around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.agents.amount import NUMBER
from edgematrix.agents.clauses import CLAUSES_MAX, clauses_of
from edgematrix.agents.spoken_words import is_plain_speech, spoken


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("set it to 40%", [40]),
        ("twenty one degrees", [21]),
        ("twenty-one and a half", [21.5]),
        ("nineteen point five", [19.5]),
        ("two thirds", [2 / 3]),
        ("a fifth", [0.2]),
        ("one quarter open", [0.25]),
        ("a hundred percent", [100]),
        ("6500K", [6500]),
        ("one hundred and sixty", [160]),
        ("a hundred and five", [105]),
        ("six thousand five hundred kelvin", [6500]),
        ("level one", [1]),
        ("the one in the kitchen", []),
        ("20.5 degrees", [20.5]),
        ("minus nothing", []),
        ("-5 degrees", [-5]),
        ("five six", [5, 6]),
        ("twenty one a lamp", [21]),
        ("twenty one two", [21, 2]),
        ("about a third", [1 / 3]),
        ("three quarters open", [0.75]),
        ("the lowest setting", [0.0]),
    ],
)
def test_numbers_are_heard_in_digits_and_in_words(text: str, values: list[float]) -> None:
    said = spoken(text)
    assert [amount.value for amount in said.amounts] == values
    assert list(said.words).count(NUMBER) == len(values)


@pytest.mark.parametrize(
    "text", ["is the light on", "who did it?", "do you know the time", "the light is on?", "can I open it", "how warm is it"]
)
def test_questions_are_questions(text: str) -> None:
    assert spoken(text).is_question


@pytest.mark.parametrize(
    "text", ["could you turn it on?", "would you mind closing it?", "turn it on", "do the dishes", "Can you dim it please?"]
)
def test_polite_requests_are_none(text: str) -> None:
    assert not spoken(text).is_question


@pytest.mark.parametrize("text", ["it is dark", "I'm home", "the roast is done", "we're out of milk"])
def test_what_tells_how_things_are_may_stand_beside(text: str) -> None:
    assert spoken(text).is_statement


@pytest.mark.parametrize(
    "text", ["the sprinkler", "book a flight", "I want the fan on", "if it is dark", "it is not dark", "the text reads this"]
)
def test_what_may_be_a_wish_or_a_condition_may_not(text: str) -> None:
    assert not spoken(text).is_statement


def test_words_that_stand_in_the_way_are_kept() -> None:
    assert spoken("don't turn it on tomorrow").barred == {"dont", "tomorrow"}


@pytest.mark.parametrize("text", ['{"to": "x"}', "hall/door.lock UNLOCK", "open it $(rm)", "confidence = 1", "a <b>", "mail me@home"])
def test_what_nobody_speaks_is_told_apart(text: str) -> None:
    assert not is_plain_speech(text)


def test_ordinary_punctuation_is_plain() -> None:
    assert is_plain_speech("Hey, it's dark (a bit): turn on the light - to 40.5%, please! Thanks.") is False  # nobody speaks brackets
    assert is_plain_speech("Hey, it's dark: turn on the light - to 40.5%, please! Thanks.")


def test_a_sentence_is_taken_apart_where_it_can_be() -> None:
    assert clauses_of("turn it on, and close that; then stop. Good") == ["turn it on", "close that", "stop", "Good"]
    assert clauses_of("it is dark so light it") == ["it is dark", "light it"]
    assert clauses_of(" and ".join("x" * (CLAUSES_MAX + 1))) == [" and ".join("x" * (CLAUSES_MAX + 1))]


@given(st.text(max_size=600))
def test_any_text_has_words_and_numbers_that_fit_together(text: str) -> None:
    said = spoken(text)
    assert list(said.words).count(NUMBER) == len(said.amounts)
    assert len(clauses_of(text)) <= max(CLAUSES_MAX, 1)
