"""What is told of a flow when its file is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flow_drive import SPEC, Drive, flow_of
from pydantic import ValidationError

from edgematrix.composition.finding import Finding
from edgematrix.composition.flow import Flow, check_flow
from edgematrix.errors import ConfigError

FIELDS = {("critic", "out"): ("verdict", "score"), ("", "request"): ("urgent",)}


def check(
    edges: list[Any], members: str = "a b c", inputs: str = "request", outputs: Mapping[str, str | None] | None = None, **more: Any
) -> list[Finding]:
    spec = SPEC.validate_python({"edges": edges, **more})
    return check_flow(spec, members.split(), inputs.split(), outputs or {}, lambda member, port: FIELDS.get((member, port)))


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def errors(findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if found.severity == "error"]


def test_a_flow_that_is_right():
    assert check(["request -> a", "a -> b, c"], outputs={"x": "b", "y": "c.log"}) == []


def test_an_edge_to_nobody_with_the_nearest_name():
    found = only(errors(check(["request -> a", "a -> sumarise"], "a summarise")))
    assert found.place == ("flow", "edges", 1)
    assert "`sumarise` is none of the agents below" in found.what
    assert "`summarise`" in found.remedy


def test_an_edge_from_nobody():
    found = only(errors(check(["reqest -> a -> b -> c"])))
    assert "`reqest`" in found.what
    assert "`request`" in found.remedy


@pytest.mark.parametrize("name", ["a/deep", "a/deep.out", "/home/report/a"])
def test_an_edge_to_a_grandchild(name):
    found = only(errors(check(["request -> a -> b -> c", f"c -> {name}"])))
    assert found.place == ("flow", "edges", 1)
    assert "not right below" in found.what


def test_the_way_to_a_grandchild_is_a_port_of_its_composite():
    assert "a port of `a`" in only(errors(check(["request -> a -> b -> c", "c -> a/deep"]))).remedy


def test_a_member_that_no_way_reaches_is_a_warning():
    found = only(check(["request -> a", "b -> c"], outputs={"out": "a"})[:1])
    assert (found.severity, found.place) == ("warning", ("agents", "b"))


def test_a_flow_that_no_input_starts():
    assert "no edge comes from an input" in only(errors(check(["a -> b -> c"]))).what


def test_a_cycle_with_several_ways_in():
    found = only(errors(check(["request -> a, b", "a -> b", "b -> a"], "a b", max_steps=9)))
    assert "a -> b -> a" in found.what
    assert "loop: true" in found.remedy
    assert check(["request -> a, b", "a -> b", {"from": "b", "to": "a", "loop": True}], "a b", max_steps=9) == []


def test_a_cycle_without_a_bound():
    found = only(errors(check(["request -> a", "a -> b", {"from": "b", "to": "a", "when": "value > 1"}], "a b")))
    assert found.place == ("flow", "edges", 2)
    assert "without a bound" in found.what
    assert "max_steps" in found.remedy


def test_an_edge_that_says_loop_in_no_cycle():
    found = only(check(["request -> a", {"from": "a", "to": "b", "loop": True}], "a b", outputs={"x": "b"}))
    assert (found.severity, found.place) == ("warning", ("flow", "edges", 1))


def test_an_edge_from_an_output_and_into_an_input():
    outputs = {"summary": None}
    assert "no edge comes from it" in only(errors(check(["request -> a", "summary -> a"], "a", outputs=outputs))).what
    assert "no edge leads into it" in only(errors(check(["request -> a", "a -> request"], "a", outputs=outputs))).what


def test_an_edge_into_an_output_that_its_from_feeds():
    found = only(errors(check(["request -> a", "a -> summary"], "a", outputs={"summary": "a"})))
    assert "feeds already" in found.what


def test_an_edge_that_stands_there_twice():
    found = only(errors(check(["request -> a", "a -> b", "a -> c, b"], outputs={"out": "b"})))
    assert found.place == ("flow", "edges", 2)
    assert "`a -> b` stands there twice" in found.what


def test_several_ends_without_outputs():
    found = only(errors(check(["request -> a -> b, c"])))
    assert "`b`, `c`" in found.what
    assert "name the outputs" in found.remedy


def test_outputs_that_nothing_feeds():
    found = only(check(["request -> a"], "a", outputs={"mode": None}))
    assert found.severity == "warning"
    assert check(["request -> a"], "a", outputs={"out": None}) == []


def test_the_end_may_lead_back():
    flow = flow_of(["request -> a -> b", {"from": "b", "to": "a", "when": "value == 1"}], "a b", max_steps=9)
    drive = Drive(flow)
    drive.done("a", 0)
    drive.done("b", 2)
    assert drive.emitted == {"out": 2}


@pytest.mark.parametrize(
    ("when", "what"),
    [("verdct == 'redo'", "verdict"), ("verdict ==", ""), ("'redo'", "true or false")],
)
def test_a_condition_that_does_not_compile(when, what):
    found = only(errors(check(["request -> critic", {"from": "critic", "to": "b", "when": when}], "critic b")))
    assert found.place == ("flow", "edges", 1, "when")
    assert what in found.what + found.remedy
    assert found.what.endswith(")"), "it ends with line:column"


def test_a_condition_over_the_flows_input():
    assert check([{"from": "request", "to": "a", "when": "urgent"}], "a") == []
    assert errors(check([{"from": "request", "to": "a", "when": "urgnt"}], "a"))


def test_a_name_that_is_both_an_agent_and_a_port():
    assert "both an agent below and an input" in only(errors(check(["a -> b"], "a b", "a"))).what
    assert "both an agent below and an output" in only(errors(check(["request -> b"], "b", outputs={"b": None}))).what
    assert check(["request -> b"], "b", outputs={"b": "b"}) == []


def test_a_port_within_a_chain():
    found = only(errors(check(["request -> a.x -> b -> c"])))
    assert "`a.x`" in found.what


def test_from_of_an_output():
    found = only(errors(check(["request -> a"], "a", outputs={"summary": "b"})))
    assert found.place == ("outputs", "summary", "from")
    assert "not right below" in only(errors(check(["request -> a"], "a", outputs={"summary": "a/deep"}))).what


def test_too_many_edges():
    names = [f"m{number}" for number in range(101)]
    edges = [f"request -> {', '.join(names[:100])}", f"{', '.join(names[:100])} -> last"]
    found = only(errors(check(edges, " ".join([*names[:100], "last"]))))
    assert "`last` joins 100 edges, at most 63" in found.what
    wide = [{"from": names[:100], "to": names[:100]}] * 2
    assert "more than 10000 edges" in errors(check(["request -> m0", *wide], " ".join(names)))[0].what


def test_no_declared_input_is_the_default_one():
    flow = flow_of(["in -> a"], "a", inputs="")
    assert Drive(flow, {"in": 1}).members == ["a"]


def test_the_default_input_may_be_known():
    spec = SPEC.validate_python({"edges": ["request -> a -> b", "request -> b.text"]})
    flow = Flow.compile(spec, ["a", "b"], ["request"], {}, lambda _member, _port: None, input_of=lambda _member: "text")
    drive = Drive(flow)
    drive.done("a", 1)
    assert drive.inputs(2) == {"text": {"a": 1, "request": "go"}}


def test_compiling_what_is_wrong_tells_all_of_it():
    with pytest.raises(ConfigError) as caught:
        flow_of(["request -> nobody", "nothing -> a"], "a")
    assert [issue.path for issue in caught.value.issues] == ["flow.edges.0", "flow.edges.1"]


@pytest.mark.parametrize("edges", [["a"], ["a ->"], [{"from": "a"}], [{"from": [], "to": "b"}], [], [{"from": "a", "to": "b", "whn": "x"}]])
def test_what_is_no_edge(edges):
    with pytest.raises(ValidationError):
        SPEC.validate_python({"edges": edges})


def test_a_long_chain_and_a_long_cycle_compile():
    names = [f"m{number}" for number in range(3_000)]
    flow = flow_of(
        [f"{tail} -> {head}" for tail, head in zip(["request", *names], names, strict=False)] + ["m2999 -> m0"],
        " ".join(names),
        max_steps=1,
    )
    assert Drive(flow).members == ["m0"]
