"""Types on both ends of what leads from an output to an input."""

from __future__ import annotations

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.reading import Reading, parse_matrix
from edgematrix.errors import ConfigError, Issue

SCORE = "{type: object, properties: {score: {type: number}}, required: [score]}"
NAME = "{type: object, properties: {name: {type: string}}, required: [name]}"
SAID = "{type: object, properties: {score: {type: string}}, required: [score]}"
PARTS = """{type: object, required: [a, b], properties: {a: {type: object, properties: {score: {type: number}}, required: [score]},
                                                            b: {type: string}, c: {type: boolean}}}"""


def agent(name: str, takes: str = "any", gives: str = "any") -> str:
    return f"      {name}: {{python: 'm:f', inputs: {{in: {takes}}}, outputs: {{out: {gives}}}}}\n"


def flow(edges: str, *agents: str, head: str = "    inputs: {request: text}\n") -> str:
    lines = "".join(f"        - {line.strip()}\n" for line in edges.splitlines() if line.strip())
    body = f"{head}    flow:\n      max_steps: 9\n      edges:\n{lines}    agents:\n{''.join(agents)}"
    return f"matrix: home\nagents:\n  report:\n{body}"


def issues(text: str) -> list[Issue]:
    before, _, after = text.partition("¶")
    try:
        found = parse_matrix(parse_document(before + after, "m.yaml", {}))
    except ConfigError as error:
        return [issue for issue in error.issues if "fit" in issue.what]
    assert isinstance(found, Reading)
    return []


def error_of(text: str) -> Issue:
    (issue,) = issues(text)
    before = text.partition("¶")[0]
    assert (issue.file, issue.line) == ("m.yaml", before.count("\n") + 1)
    assert issue.column == len(before) - before.rfind("\n")
    return issue


def test_an_edge_whose_ends_do_not_fit_names_the_field_and_the_line() -> None:
    issue = error_of(flow("request -> a\n¶a -> b", agent("a", "text", SAID), agent("b", SCORE)))
    assert issue.what == "the types of a -> b do not fit: score: a text, expected a number"
    assert issue.path == "agents.report.flow.edges[1]"


@pytest.mark.parametrize(
    ("edges", "agents", "told"),
    [
        ("¶request -> a", [agent("a", "number")], "the types of request -> a do not fit: a text, expected a number"),
        ("request -> a\n¶a -> b", [agent("a", "text", NAME), agent("b", SCORE)], "score: missing, expected a number"),
        ("request -> a\n¶{from: a, to: b, when: 'value != 1'}", [agent("a", gives="number"), agent("b", "text")], "expected a text"),
        ("request -> a\n¶a.out -> b.in", [agent("a", gives="number"), agent("b", "text")], "a number, expected a text"),
        ("¶request -> a -> b", [agent("a", gives="bool"), agent("b", "list")], "true or false, expected a list"),
        (
            "request -> a, b\n¶a, b -> j",
            [agent("a", gives=SAID), agent("b", gives="text"), agent("j", PARTS)],
            "the types of a -> j do not fit: a.score: a text, expected a number",
        ),
        (
            "request -> a, c\n¶a, c -> j",
            [agent("a", gives=SCORE), agent("c", gives="bool"), agent("j", PARTS)],
            "the types of a, c -> j do not fit: b: missing, expected a text",
        ),
        (
            "request -> a\n¶request, a -> j",
            [agent("a"), agent("j", "text")],
            "the types of request, a -> j do not fit: an object of request or a, expected a text",
        ),
        (
            "request -> a\nrequest -> b\na, b -> j\nj -> c\n¶{from: c, to: j, when: 'value == 1'}",
            [agent("a", gives=SCORE), agent("b", gives="text"), agent("c", gives="number"), agent("j", PARTS)],
            "the types of c -> j do not fit: c: a number, expected true or false",
        ),
    ],
)
def test_edges_of_all_forms_are_compared(edges: str, agents: list[str], told: str) -> None:
    assert told in error_of(flow(edges, *agents)).what


@pytest.mark.parametrize(
    ("edges", "agents"),
    [
        ("request -> a -> b", [agent("a", "text", SCORE), agent("b", SCORE)]),
        ("request -> a -> b", [agent("a"), agent("b", SCORE)]),
        ("request -> a, b\na, b -> j", [agent("a", gives=SCORE), agent("b", gives="text"), agent("j", PARTS)]),
        ("request -> a, b\na, b -> j", [agent("a", gives=SCORE), agent("b", gives="text"), agent("j", "object")]),
    ],
)
def test_what_fits_is_silent(edges: str, agents: list[str]) -> None:
    assert issues(flow(edges, *agents)) == []


INNER = """      inner:
        inputs: {facts: %s}
        %s
        flow: {edges: [facts -> x%s]}
        agents: {x: {python: 'm:f', inputs: {in: any}, outputs: {out: %s}}}
"""


@pytest.mark.parametrize("outputs", ["outputs: {out: {from: x}}", "", "outputs: {out: any}"])
def test_the_output_of_a_flow_has_the_type_of_what_feeds_it(outputs: str) -> None:
    inner = INNER % ("text", outputs, ", x -> out" if "any" in outputs else "", SAID)
    issue = error_of(flow("request -> inner\n¶inner -> b", inner, agent("b", SCORE)))
    assert issue.what == "the types of inner -> b do not fit: score: a text, expected a number"


def test_an_input_of_a_flow_inside_has_its_declared_type() -> None:
    inner = INNER % ("number", "", "", "any")
    assert "a text, expected a number" in error_of(flow("¶request -> inner", inner)).what


def test_a_pool_takes_and_gives_what_its_worker_does() -> None:
    pool = f"      pool: {{pool: {{replicas: 3}}, agents: {{w: {{python: 'm:f', inputs: {{in: number}}, outputs: {{out: {SAID}}}}}}}}}\n"
    assert "request -> pool do not fit: a text, expected a number" in error_of(flow("¶request -> pool", pool)).what
    edges = "request -> a -> pool\n¶pool -> b"
    issue = error_of(flow(edges, agent("a", gives="number"), pool, agent("b", SCORE)))
    assert issue.what == "the types of pool -> b do not fit: score: a text, expected a number"


def test_the_answer_of_a_person_has_a_type() -> None:
    human = "      ask: {human: {ask: go?}, inputs: {in: any}}\n"
    issue = error_of(flow("request -> ask\n¶ask -> b", human, agent("b", "text")))
    assert issue.what == "the types of ask -> b do not fit: an object, expected a text"


EMITS = """
matrix: home
agents:
  a: {outputs: {out: %s}, triggers: {t: {on: {x: {topic: t}}, do: [{publish: {topic: y, payload: 1}}, {emit: {out: ¶%s}}]}}}
"""


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        ("number", '"on"', "expected a number, found a text"),
        ("whole", "1.5", "expected a whole number"),
        ("bool", "1", "expected true or false, found a number"),
        ("text", "null", "expected a text, found null"),
        ("{type: object, required: [a]}", "{b: 1}", '"a" is a required property'),
        ("{schema: {enum: [on, off]}}", "of", "not one of"),
    ],
)
def test_what_is_put_out_literally_is_compared_with_the_declared_output(kind: str, payload: str, told: str) -> None:
    what = error_of(EMITS % (kind, payload)).what
    assert what.startswith("the payload does not fit the output 'out': ")
    assert told in what


@pytest.mark.parametrize(
    ("kind", "payload"), [("number", "1"), ("whole", "2.0"), ("number", '"${x.value}"'), ("any", "x"), ("{retain: true}", "x")]
)
def test_what_may_be_put_out_is_silent(kind: str, payload: str) -> None:
    assert issues((EMITS % (kind, payload)).replace("¶", "")) == []


def test_a_reading_of_several_values_is_an_object() -> None:
    text = """
matrix: home
agents:
  meter: {device: {reads: {energy: {topic: t, value: {today: a.b, yesterday: c}}}}}
  rule: {triggers: {t: {on: {e: {from: ¶meter.energy, schema: {type: object, required: [%s]}}}, do: [{publish: {topic: x, payload: 1}}]}}}
"""
    assert issues(text.replace("¶", "") % "today") == []
    assert "total: missing" in error_of(text % "total").what


def test_what_leads_into_an_output_is_compared_with_its_type() -> None:
    head = "    inputs: {request: text}\n    outputs: {sum: number, other: {type: bool, from: ¶a}}\n"
    assert (
        "the types of a and other do not fit: a number"
        in error_of(flow("request -> a\na -> sum", agent("a", gives="number"), head=head)).what
    )
    head = "    inputs: {request: text}\n    outputs: {sum: number}\n"
    issue = error_of(flow("request -> a\n¶a -> sum", agent("a", gives=SAID), head=head))
    assert issue.what == "the types of a -> sum do not fit: an object, expected a number"


@pytest.mark.parametrize("worker", ["w", "x"])
def test_the_request_of_a_switch_or_a_pool_is_compared_with_its_members(worker: str) -> None:
    text = f"""
matrix: home
agents:
  s:
    inputs: {{request: ¶number}}
    switch: {{cases: [{{when: 'value > 1', to: w}}], default: x}}
    agents: {{w: {{python: 'm:f', inputs: {{in: {"text" if worker == "w" else "any"}}}}},
             x: {{python: 'm:f', inputs: {{in: {"text" if worker == "x" else "any"}}}}}}}
"""
    assert error_of(text).what == f"the types of request and {worker} do not fit: a number, expected a text"


def rule(body: str, more: str = "") -> str:
    return f"matrix: home\nagents:\n  a: {{python: 'm:f', outputs: {{out: {SAID}}}, inputs: {{in: {SCORE}}}}}\n{more}  r: {{{body}}}\n"


def test_a_source_with_a_type_is_compared_with_what_it_reads() -> None:
    text = rule(f"python: 'm:f', triggers: {{g: {{on: {{s: {{from: ¶a, schema: {SCORE}}}}}}}}}")
    assert error_of(text).what == "the types of a and s do not fit: score: a text, expected a number"
    assert issues(text.replace("¶a,", "a, value: score,")) == []


@pytest.mark.parametrize(
    ("payload", "told"),
    [("{score: high}", '`score`: "high" is not of type "number"'), ("5", 'not of type "object"'), ("{}", "required property")],
)
def test_a_payload_that_is_written_out_is_judged(payload: str, told: str) -> None:
    issue = error_of(rule(f"triggers: {{g: {{on: {{s: {{topic: x}}}}, do: [{{send: {{to: a, payload: ¶{payload}}}}}]}}}}"))
    assert issue.what.startswith("the payload does not fit home/a.in: ")
    assert told in issue.what


@pytest.mark.parametrize("payload", ["{score: 1}", "{score: '${s.value}'}", "'${s.value}'", "null"])
def test_a_payload_that_may_fit_is_silent(payload: str) -> None:
    assert issues(rule(f"triggers: {{g: {{on: {{s: {{topic: x}}}}, do: [{{send: {{to: a, payload: {payload}}}}}]}}}}")) == []


def test_a_text_for_a_device_may_spell_an_object() -> None:
    device = f"  d: {{device: {{writes: {{set: {{topic: x/set, schema: {SCORE}}}}}}}}}\n"
    sends = "triggers: {g: {on: {s: {topic: x}}, do: [{send: {to: d.set, payload: %s}}]}}"
    assert issues(rule(sends % "'{\"score\": 1}'", device)) == []
    assert "does not fit home/d.set" in error_of(rule(sends % "¶{score: no}", device)).what
