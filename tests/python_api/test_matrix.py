"""Agents in Python: the model that they make, and what is refused while they are defined."""

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import edgematrix as em
from edgematrix.config.opening import open_matrix
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import ConfigError, PathError, UsageError

ATTIC = Path(__file__).parent.parent.parent / "examples" / "attic"


class Verdict(BaseModel):
    score: float


def test_python_and_yaml_make_the_same_model() -> None:
    assert open_matrix(ATTIC / "attic.py").spec == open_matrix(ATTIC / "attic.yaml").spec


def test_the_public_names_are_these() -> None:
    assert em.__all__ == [
        "Agent",
        "Chat",
        "Composite",
        "Context",
        "EdgeMatrixError",
        "Firing",
        "Flow",
        "Group",
        "Level",
        "Matrix",
        "Part",
        "Retry",
        "Source",
        "absent",
        "all_of",
        "any_of",
        "at",
        "at_least",
        "cron",
        "during",
        "every",
        "every_message",
        "level",
        "ref",
        "sequence",
        "sun",
    ]
    assert all(getattr(em, name) is not None for name in em.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = em.nonsense  # type: ignore[attr-defined]


def test_two_agents_of_one_name_are_refused() -> None:
    home = em.Matrix("home")
    home.composite("hall")
    with pytest.raises(UsageError, match="'hall' already"):
        home.composite("hall")
    with pytest.raises(UsageError, match="'hall' already"):
        home.add("hall", AgentSpec())


def test_a_name_outside_the_grammar_is_refused() -> None:
    with pytest.raises(PathError, match="'Hall'"):
        em.Matrix("home").composite("Hall")


def test_a_function_that_does_not_fit_is_refused_with_the_agents_path() -> None:
    home = em.Matrix("home")
    with pytest.raises(UsageError, match="home/lonely: .* takes 1 parameters"):
        home.agent(when=em.every("1s"), name="lonely")(lambda value: None)  # type: ignore[call-overload, misc]
    with pytest.raises(UsageError, match=r"em\.Firing"):

        @home.agent(when=em.all_of(em.every("1s")))  # type: ignore[arg-type]
        def wrong(value: float, ctx: em.Context) -> None: ...

    with pytest.raises(UsageError, match="single source"):

        @home.agent(when=em.every("1s"))  # type: ignore[arg-type]
        def also_wrong(firing: em.Firing, ctx: em.Context) -> None: ...


def test_a_reference_to_an_agent_that_is_not_there_is_an_error_at_load() -> None:
    home = em.Matrix("home")

    @home.agent(when=em.ref("critic", Verdict))
    def reader(verdict: Verdict, ctx: em.Context) -> None: ...

    from edgematrix.config.reading import checked

    with pytest.raises(ConfigError, match="there is no agent home/critic"):
        checked(home.spec())


def test_a_condition_on_a_field_that_the_type_has_not_is_an_error_at_load(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(
        (ATTIC / "attic.py").read_text().replace('judge.where("anomalous")', 'judge.where("anomalus")'),
    )
    with pytest.raises(ConfigError, match="anomalous"):
        open_matrix(program)


def test_a_program_imports_what_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "deep_thought.py").write_text("async def think(value: float, context) -> int:\n    return 42\n")
    program = tmp_path / "asker.py"
    program.write_text(
        "import edgematrix as em\nfrom deep_thought import think\nhome = em.Matrix('home')\nhome.agent()(think)\n",
    )
    before = list(sys.path)
    assert open_matrix(program).spec.agents["think"].python == "deep_thought:think"
    assert sys.path == before


def test_sources_of_one_name_are_numbered() -> None:
    group = em.all_of(em.level("a/x").above(1), em.level("b/x").above(2), em.every("5s"))
    assert list(group.spec.on) == ["x", "x_2", "tick"]


def test_a_program_without_a_matrix_or_with_a_failure_is_an_error_of_the_file(tmp_path: Path) -> None:
    cases = {"x = 1\n": "0 matrices", "1 / 0\n": "ZeroDivisionError", "def (\n": "SyntaxError"}
    for number, (text, words) in enumerate(cases.items()):
        program = tmp_path / f"program_{number}.py"
        program.write_text(text)
        with pytest.raises(ConfigError, match=words):
            open_matrix(program)
    with pytest.raises(ConfigError, match="no such file"):
        open_matrix(tmp_path / "missing.py")
