"""What the tree of a matrix says of compositions: ports, members, replicas, and what a name alone means."""

from __future__ import annotations

import pytest

from edgematrix.config.agent_tree import AgentNode, AgentTree, Ports
from edgematrix.config.document import parse_document
from edgematrix.config.known_fields import fields_of_output, fields_of_request
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.validation import validate_document
from edgematrix.errors import PathError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind

CHILD = "agents: {a: {python: 'm:a'}}"


def tree_of(agents: str) -> AgentTree:
    return AgentTree.of(validate_document(MatrixSpec, parse_document(f"matrix: home\nagents:\n{agents}\n", "m.yaml", {})))


def one(definition: str) -> tuple[AgentTree, AgentNode]:
    tree = tree_of(f"  x: {{{definition}}}")
    return tree, tree.nodes["home/x"]


@pytest.mark.parametrize(
    ("definition", "kind", "inputs", "outputs"),
    [
        (f"flow: {{edges: [in -> a]}}, {CHILD}", "flow", "in", "error out"),
        (f"flow: {{edges: [in -> a]}}, inputs: {{p: any, q: any}}, outputs: {{s: {{from: a}}}}, {CHILD}", "flow", "p q", "error s"),
        (f"chat: {{members: [a]}}, {CHILD}", "chat", "in", "ended error out transcript"),
        (f"switch: {{cases: [{{when: x, to: a}}]}}, inputs: {{request: any}}, {CHILD}", "switch", "request", "error out"),
        (f"pool: {{replicas: 2}}, {CHILD}", "pool", "in", "error out"),
        ("human: {ask: ok}", "human", "in", "ask error out"),
        ("human: {ask: ok}, host: pi", "human", "in", "ask error out"),
        ("python: 'm:f'", "", "in", ""),
        ("python: 'm:f', inputs: {p: any, q: any}", "", "p q", ""),
        ("python: 'm:f', triggers: {g: {on: {s: {topic: x}}}}", "", "", ""),
    ],
)
def test_each_kind_has_its_ports(definition: str, kind: str, inputs: str, outputs: str) -> None:
    tree, node = one(definition)
    ports = frozenset(outputs.split())

    assert node.kind == kind
    assert tree.ports(node) == Ports(frozenset(inputs.split()), ports, ports), "all that a composition has is fed"
    assert not node.is_elsewhere
    assert tree.compositions == ([node] if kind else [])


@pytest.mark.parametrize(
    ("definition", "port"),
    [
        ("human: {ask: ok}", "in"),
        ("human: {ask: ok}, inputs: {door: any}", "door"),
        ("human: {ask: ok}, inputs: {in: any, other: any}", "in"),
        ("python: 'm:f'", "in"),
        ("python: 'm:f', triggers: {g: {on: {s: {from: self.go}}}}", "in"),
        ("device: {writes: {set: {topic: x}}}", "set"),
        ("sentences: {rules: [{say: [hi]}]}", "say"),
    ],
)
def test_a_name_alone_means_the_only_input_else_in(definition: str, port: str) -> None:
    tree, node = one(definition)

    assert tree.default_input(node) == port
    assert tree.destination("x", AgentPath("home/y")) == tree.input(node) == tree.input(node, port)
    assert tree.input(node).kind is Kind.IN


def test_of_several_inputs_one_has_to_be_named() -> None:
    tree, node = one("human: {ask: ok}, inputs: {door: any, who: any}")

    with pytest.raises(PathError) as caught:
        tree.default_input(node)
    assert caught.value.remedy == "its inputs are door, who"
    assert tree.destination("x.who", AgentPath("home/y")).port == "who"


def test_the_replicas_of_a_pool_stand_in_its_childs_stead() -> None:
    tree = tree_of("  p: {pool: {replicas: 2}, agents: {w: {agents: {in_w: {python: 'm:f'}}}}}\n  q: {python: 'm:q'}")

    assert list(tree.nodes) == ["home/p", "home/p/w-1", "home/p/w-1/in_w", "home/p/w-2", "home/p/w-2/in_w", "home/q"]
    replicas = tree.members(tree.nodes["home/p"])
    assert {name: node.path for name, node in replicas.items()} == {"w-1": "home/p/w-1", "w-2": "home/p/w-2"}
    assert {node.where for node in replicas.values()} == {("agents", "p", "agents", "w")}
    assert tree.source("in_w", AgentPath("home/p/w-2/x")).node.path == "home/p/w-2/in_w"
    with pytest.raises(PathError) as caught:
        tree.source("p/w", AgentPath("home/q"))
    assert "there are w-1 to w-2" in caught.value.what
    assert caught.value.remedy == "name the pool, /home/p"


def test_members_are_what_stands_right_below() -> None:
    tree = tree_of("  f: {flow: {edges: [in -> a]}, agents: {a: {agents: {deep: {python: 'm:d'}}}, b: {human: {ask: ok}}}}")

    assert list(tree.members(tree.nodes["home/f"])) == ["a", "b"]
    assert tree.members(tree.nodes["home/f/b"]) == {}


def test_what_a_run_ends_with_is_no_relay() -> None:
    """A child's output of a composite without a kind is heard as its own; of a flow only the last value of a run is."""
    from edgematrix.config.flow_of_values import FlowOfValues

    child = "agents: {a: {triggers: {g: {on: {s: {topic: x}}, do: [{emit: {out: 1}}]}}}}"
    reader = "  r: {triggers: {g: {on: {s: {from: c.y}}, do: [{publish: {topic: z}}]}}}"
    for kind, reached in (("", 1), ("flow: {edges: [in -> a]}, ", 0)):
        tree = tree_of(f"  c: {{{kind}outputs: {{y: {{from: a}}}}, {child}}}\n{reader}")
        assert len(list(FlowOfValues(tree).emit("home/c/a", "out", 1))) == reached


OBJECT = "{type: object, properties: {verdict: {type: string}, why: {type: string}}}"


@pytest.mark.parametrize(
    ("definition", "fields"),
    [
        (f"human: {{ask: ok}}, inputs: {{q: {OBJECT}}}", ("verdict", "why")),
        ("human: {ask: ok}, inputs: {q: any, r: text}", ("q", "r")),
        ("human: {ask: ok}, inputs: {q: object}", None),
        ("human: {ask: ok}", None),
    ],
)
def test_the_fields_of_a_request_are_those_that_its_inputs_declare(definition: str, fields: tuple[str, ...] | None) -> None:
    assert fields_of_request(*one(definition)) == fields


def test_the_fields_of_an_output_are_those_of_whoever_feeds_it() -> None:
    tree = tree_of(f"  c: {{outputs: {{y: {{from: a}}}}, agents: {{a: {{python: 'm:a', outputs: {{out: {OBJECT}}}}}}}}}")

    assert fields_of_output(tree, tree.nodes["home/c"], "y") == ("verdict", "why")
    assert fields_of_output(tree, tree.nodes["home/c/a"], "else") is None
