"""What can be said to an agent with sentences, and what its words are written as."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.agents.sentences import Command, Sentences
from edgematrix.agents.spec import SentenceRule, SentencesSpec
from edgematrix.agents.speech_grammar import SpeechGrammar, speech_grammar
from edgematrix.agents.spoken_number import SPOKEN_MAX, spoken
from edgematrix.protocol.path import AgentPath

RULES = SentencesSpec(
    rules=[
        SentenceRule(say=["(turn|switch) {state} the [kitchen] light", "light {state}"], answer="${state}"),
        SentenceRule(say=["set lamp 2 to {level} [percent]"], answer="${level}"),
        SentenceRule(say=["heat to {degrees}"], answer="${degrees}"),
    ],
    slots={"state": {"on": 1, "off": 0, "half on": 2}},
    numbers={"level": [0, 254], "degrees": [-5, 25, 0.5]},
)


def sayings(grammar: SpeechGrammar) -> st.SearchStrategy[list[str]]:
    """Walks from the beginning to the end."""
    ways: dict[int, list[tuple[int, str]]] = {}
    for before, after, word in grammar.arcs:
        ways.setdefault(before, []).append((after, word))

    @st.composite
    def walk(draw: st.DrawFn) -> list[str]:
        state, words = 0, []
        while state != 1:
            state, word = draw(st.sampled_from(ways[state]))
            words.append(word)
        return words

    return walk()


GRAMMAR = speech_grammar(RULES)


@given(sayings(GRAMMAR))
def test_whatever_can_be_said_is_a_sentence_that_the_rules_know(words: list[str]) -> None:
    text = GRAMMAR.written(words)
    assert text is not None
    heard = Sentences.compile(RULES, AgentPath("home/helper")).hear(text)
    assert isinstance(heard, Command), (text, heard)


def test_numbers_are_said_in_words_and_written_in_digits() -> None:
    assert GRAMMAR.written(["set", "lamp", "two", "to", "one", "hundred", "and", "twenty", "one", "percent"]) == "set lamp 2 to 121 percent"
    assert GRAMMAR.written(["heat", "to", "minus", "four", "point", "five"]) == "heat to -4.5"
    assert GRAMMAR.written(["set", "lamp", "two", "to", "three", "hundred"]) is None  # beyond its range


def test_what_is_half_a_sentence_is_none() -> None:
    assert GRAMMAR.written(["turn", "half", "on", "the"]) is None
    assert GRAMMAR.written(["turn", "half", "on", "the", "light"]) == "turn half on the light"
    assert GRAMMAR.written([]) is None


@given(st.integers(1 - SPOKEN_MAX, SPOKEN_MAX - 1))
def test_no_two_numbers_are_said_alike(number: int) -> None:
    ways = spoken(str(number))
    assert ways
    assert not any(way in spoken(str(other)) for way in ways for other in (number - 1, number + 1, -number) if other != number)


def test_of_a_large_range_the_first_numbers_can_be_said() -> None:
    grammar = speech_grammar(SentencesSpec(rules=[SentenceRule(say=["go to {place}"], answer="x")], numbers={"place": [0, 100_000]}))
    assert dict(grammar.numbers) == {"place": 1000}
