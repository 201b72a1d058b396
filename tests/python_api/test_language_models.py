"""Language models in Python: typed answers that others take by their types."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

import edgematrix as em
from edgematrix.config.check import check_matrix
from edgematrix.config.code_loader import CodeLoader
from edgematrix.errors import UsageError
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Simulation

ASKED = em.every_message("t/go", str)


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    level: int = 0


def played(home: em.Matrix, watch: str) -> list[object]:
    spec = home.spec()
    assert check_matrix(spec, CodeLoader(defined=home.code())) == []
    simulation = Simulation(spec, loader=CodeLoader(defined=home.code()), watch=[watch])
    return [seen.payload for seen in simulation.play([Recorded(1_000_000, "t/go", "It rains.")], 60_000_000)]


def test_an_answer_is_a_pydantic_model_to_whoever_takes_it() -> None:
    home = em.Matrix("home")
    mood = home.llm(
        "mood",
        output=Mood,
        prompt="How is it? ${value}",
        provider="fake",
        script=["hm", Mood(mood="bad", level=3)],
        when=ASKED,
    )

    @home.agent(when=mood)
    async def tell(found: Mood, context: em.Context) -> str:
        return f"{type(found).__name__} {found.mood} {found.level}"

    assert played(home, "em/out/home/tell/out") == ["Mood bad 3"]


def test_agents_are_tools_by_their_types() -> None:
    home = em.Matrix("home")

    @home.agent()
    async def double(number: int, context: em.Context) -> int:
        return 2 * number

    script = [{"tool": "double_in", "arguments": {"value": "four"}}, {"tool": "double_in", "arguments": {"value": 4}}, "It is eight."]
    home.llm("helper", tools=[double], provider="fake", script=script, when=ASKED)
    assert played(home, "em/out/home/helper/out") == ["It is eight."]
    assert played(home, "em/out/home/double/out") == [8]


def test_a_fallback_is_of_the_type_too() -> None:
    home = em.Matrix("home")
    home.llm("mood", output=Mood, fallback=Mood(mood="good"), provider="fake", when=ASKED, deadline="2s")
    assert played(home, "em/out/home/mood/out") == [{"mood": "good", "level": 0}]


def test_what_has_no_form_in_json_is_told() -> None:
    with pytest.raises(UsageError, match="have no form in JSON"):
        em.Matrix("home").llm("x", output=type("Odd", (), {}))
