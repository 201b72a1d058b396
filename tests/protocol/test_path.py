"""Paths, ports and references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import PathError
from edgematrix.protocol.path import NAME_LENGTH_MAX, SEGMENTS_MAX, AgentPath, check_name, is_below, join, parent_of, parse_path, resolve

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).filter(lambda name: name not in ("parent", "self"))
HALL = AgentPath("home/hall/rule")


@pytest.mark.parametrize("text", ["home", "home/hall", "h0me/a-b_c/0", "a" * NAME_LENGTH_MAX, "/".join("a" * SEGMENTS_MAX)])
def test_a_path_of_the_grammar_is_taken_as_it_is(text: str) -> None:
    assert parse_path(text) == text


@pytest.mark.parametrize(
    ("text", "names_what"),
    [
        ("", "''"),
        ("home/+", "'+'"),
        ("home/#", "'#'"),
        ("home//hall", "''"),
        ("Home", "'Home'"),
        ("home/-x", "'-x'"),
        ("home/küche", "'küche'"),
        ("home/parent", "'parent' is reserved"),
        ("self", "'self' is reserved"),
        ("a" * 65, "longer than 64"),
        ("/".join("a" * 17), "17 segments"),
        ("home\n", "home"),
    ],
)
def test_any_other_path_is_refused_and_the_error_names_the_segment(text: str, names_what: str) -> None:
    with pytest.raises(PathError, match="(?s)" + names_what.replace("+", r"\+")):
        parse_path(text)


@given(st.lists(names, min_size=2, max_size=SEGMENTS_MAX))
def test_joining_and_taking_the_parent_are_inverse(segments: list[str]) -> None:
    path = parse_path("/".join(segments))
    parent = parent_of(path)
    assert parent is not None
    assert join(parent, segments[-1]) == path
    assert is_below(path, parent)
    assert not is_below(parent, path)


def test_a_matrix_has_no_parent() -> None:
    assert parent_of(AgentPath("home")) is None


def test_a_path_that_only_begins_alike_is_not_below() -> None:
    assert not is_below("home/hall2", "home/hall")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("lux.illuminance", ("home/hall/lux", "illuminance")),
        ("lux", ("home/hall/lux", "out")),
        ("/home/attic/lux.illuminance", ("home/attic/lux", "illuminance")),
        ("/home/attic", ("home/attic", "out")),
        ("parent.request", ("home/hall", "request")),
        ("self.tick", ("home/hall/rule", "tick")),
        ("desk/lamp.set", ("home/hall/desk/lamp", "set")),
    ],
)
def test_a_reference_is_read_from_where_the_agent_stands(reference: str, expected: tuple[str, str]) -> None:
    assert resolve(reference, HALL) == expected


@pytest.mark.parametrize("reference", ["", "lux.", ".x", "lux.a.b", "/", "a/../b", "lux.+"])
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(PathError):
        resolve(reference, HALL)


def test_the_matrix_itself_has_no_neighbours() -> None:
    with pytest.raises(PathError, match="the matrix itself"):
        resolve("lux", AgentPath("home"))


@given(st.text())
def test_no_text_raises_anything_but_a_path_error(text: str) -> None:
    for read in (check_name, parse_path, lambda value: resolve(value, HALL)):
        try:
            read(text)
        except PathError:
            pass
