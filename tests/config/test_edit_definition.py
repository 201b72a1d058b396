"""Edits of a definition, and what differs between two of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.difference import Difference
from edgematrix.config.edit import connect, create, disconnect, duplicate, remove
from edgematrix.config.exchange import dump, load, read, write
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import EdgeMatrixError, PathError, UsageError
from edgematrix.protocol.path import AgentPath


def rule(topic: str) -> dict[str, Any]:
    group = {"on": {"v": {"topic": topic, "for": "2s"}}, "do": [{"delay": "1s"}, {"publish": {"topic": "t/out", "payload": {"a": 1}}}]}
    return {"triggers": {"t": group}, "outputs": {"out": {"schema": {"type": "string"}}}}


HOME = {
    "matrix": "home",
    "defaults": {"durable": False},
    "agents": {
        "rule": rule("t/v"),
        "hall": {
            "agents": {"one": rule("t/one"), "two": {"triggers": {"t": {"on": {"v": {"from": "one.out"}}, "do": [{"emit": {"out": 1}}]}}}}
        },
        "flow": {
            "flow": {"edges": ["in -> a, b", "a, b -> c", {"from": "c", "to": "d", "when": "value > 1"}], "max_steps": 9},
            "agents": {name: {"python": f"work:{name}"} for name in "abcd"},
        },
        "pool": {"pool": {"replicas": 3}, "agents": {"worker": {"python": "work:worker"}}},
        "board": {"host": "pico", "outputs": {"out": "number"}},
        "listener": {"triggers": {"t": {"on": {"v": {"from": "board"}}, "do": [{"emit": {"out": 1}}]}}},
    },
}
SPEC = load(HOME)
AGENT = validate(AgentSpec, rule("t/new"))


def path(text: str) -> AgentPath:
    return AgentPath(text)


def differ(new: MatrixSpec, old: MatrixSpec = SPEC) -> tuple[set[str], set[str], set[str]]:
    found = Difference.between(AgentTree.of(old), AgentTree.of(new))
    return set(found.gone), {node.path for node in found.built}, {node.path for node in found.recomposed}


def test_an_edit_leaves_the_definition_that_it_was_made_of_alone() -> None:
    before = write(SPEC)
    edits = (
        create(SPEC, path("home/hall/new"), AGENT),
        remove(SPEC, path("home/hall/one")),
        connect(SPEC, path("home/flow"), "a", "d"),
    )
    for new in edits:
        assert new != SPEC
    assert write(SPEC) == before


def test_the_same_definition_gives_the_same_bytes_and_comes_back_equal() -> None:
    assert read(write(SPEC)) == SPEC
    assert write(read(write(SPEC))) == write(SPEC)


@pytest.mark.parametrize(
    ("make", "what", "remedy"),
    [
        (lambda: create(SPEC, path("home/rule"), AGENT), "there is an agent home/rule already", "another name"),
        (lambda: create(SPEC, path("home/hal/new"), AGENT), "there is no agent home/hal", "did you mean home/hall?"),
        (lambda: create(SPEC, path("house/new"), AGENT), "house/new is in no matrix home", "home/"),
        (lambda: create(SPEC, path("home"), AGENT), "home is the matrix itself", "home/…"),
        (lambda: remove(SPEC, path("home/hall/three")), "there is no agent home/hall/three", "did you mean"),
        (lambda: remove(SPEC, path("home/pool/worker-2")), "is one of the replicas of home/pool", "home/pool"),
        (lambda: create(SPEC, path("home/pool/worker-2/x"), AGENT), "is one of the replicas of home/pool", ""),
        (lambda: duplicate(SPEC, path("home/rule"), "home/Rule"), "does not match", ""),
        (lambda: duplicate(SPEC, path("home/rule"), "home/hall"), "already", ""),
        (lambda: connect(SPEC, path("home/rule"), "a", "b"), "it is no flow", "from:"),
        (lambda: disconnect(SPEC, path("home/flow"), "a", "d"), "there is no edge a -> d", "a -> c"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(make: Any, what: str, remedy: str) -> None:
    with pytest.raises(EdgeMatrixError) as refused:
        make()
    assert what in refused.value.what
    assert remedy in refused.value.remedy


def test_the_last_edge_stays() -> None:
    one = load({"matrix": "home", "agents": {"flow": {"flow": {"edges": ["in -> a"]}, "agents": {"a": {"python": "work:a"}}}}})
    with pytest.raises(UsageError, match="only edge"):
        disconnect(one, path("home/flow"), "in", "a")


def test_one_edge_of_several_that_stand_together_is_taken_out() -> None:
    new = disconnect(SPEC, path("home/flow"), "a.out", "c")
    edges = dump(new)["agents"]["flow"]["flow"]["edges"]
    assert edges == ["in -> a, b", "b -> c", {"from": ["c"], "to": ["d"], "when": "value > 1"}]
    assert disconnect(SPEC, path("home/flow"), "c", "d").agents["flow"].flow.edges == SPEC.agents["flow"].flow.edges[:2]  # type: ignore[union-attr]


names = st.sampled_from(["hall", "new", "rule", "flow", "x1"])
places = st.lists(names, min_size=1, max_size=3).map(lambda found: path("/".join(["home", *found])))


@given(places)
@settings(deadline=None)
def test_what_is_created_and_removed_leaves_no_trace(place: AgentPath) -> None:
    try:
        new = create(SPEC, place, AGENT)
    except PathError:
        return
    assert remove(new, place) == SPEC
    assert differ(new)[1] == {place}


@given(places, places)
@settings(deadline=None)
def test_a_copy_is_what_it_was_copied_from(place: AgentPath, to: AgentPath) -> None:
    try:
        new = duplicate(SPEC, place, to)
    except PathError:
        return
    found: MatrixSpec | AgentSpec = new
    for name in to.split("/")[1:]:
        found = found.agents[name]
    origin: MatrixSpec | AgentSpec = SPEC
    for name in place.split("/")[1:]:
        origin = origin.agents[name]
    assert found == origin
    assert remove(new, to) == SPEC


def test_only_what_differs_is_built_anew() -> None:
    assert differ(SPEC) == (set(), set(), set())
    assert differ(read(write(SPEC))) == (set(), set(), set())
    assert differ(create(SPEC, path("home/hall/new"), AGENT)) == (set(), {"home/hall/new"}, set())
    assert differ(remove(SPEC, path("home/hall"))) == ({"home/hall", "home/hall/one", "home/hall/two"}, set(), set())
    assert differ(create(SPEC, path("home/flow/e"), AGENT)) == (set(), {"home/flow/e"}, {"home/flow"})
    assert differ(connect(SPEC, path("home/flow"), "a", "d")) == (set(), set(), {"home/flow"})


def test_who_refers_to_what_has_become_another_thing_is_built_anew() -> None:
    new = create(SPEC, path("home/board/inner"), AGENT)  # now the board is a composite, here
    assert differ(new) == ({"home/board", "home/listener"}, {"home/board", "home/board/inner", "home/listener"}, set())


def test_what_is_taken_over_from_above_counts() -> None:
    value = dump(SPEC)
    value["agents"]["hall"]["durable"] = True
    assert differ(load(value)) == ({"home/hall", "home/hall/one", "home/hall/two"},) * 2 + (set(),)


def test_a_pool_gets_more_replicas() -> None:
    value = dump(SPEC)
    value["agents"]["pool"]["pool"]["replicas"] = 4
    assert differ(load(value)) == (set(), {"home/pool/worker-4"}, {"home/pool"})


def test_another_question_is_asked_by_another_agent() -> None:
    old, new = ({"matrix": "home", "agents": {"sure": {"human": {"ask": ask}}}} for ask in ("one", "two"))
    assert differ(load(new), load(old)) == ({"home/sure"}, {"home/sure"}, set())
