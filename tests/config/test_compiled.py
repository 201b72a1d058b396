"""What the parts of an agent refuse is told with the line and column of the file, down to the word in an expression."""

from __future__ import annotations

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.errors import ConfigError, Issue

HEAD = "matrix: home\nagents:\n  r:\n    triggers:\n      g:\n"


def group(on: str, do: str = "[{emit: {out: 1}}]", more: str = "") -> str:
    return f"{HEAD}        on: {on}\n        do: {do}\n{more}"


def agent(text: str) -> str:
    return f"matrix: home\nagents:\n  r: {text}\n"


def issues_of(text: str) -> list[Issue]:
    document = parse_document(text, "m.yaml", {})
    try:
        return parse_matrix(document).warnings
    except ConfigError as error:
        return error.issues


@pytest.mark.parametrize(
    ("marked", "severity", "words"),
    [
        (group('{t: {topic: a, where: "¶valu > 3"}}'), "error", "unknown name `valu`"),
        (group("{t: {topic: a, where: value > ¶valu}}"), "error", "unknown name `valu`"),
        (group("{t: {topic: a}}", more='        if: "t.value > ¶x"\n'), "error", "unknown name `x`"),
        (group("{t: {topic: a}}", more="        if: ¶|\n          t.value >\n            x\n"), "error", "unknown name `x`"),
        (group("{t: {topic: a}}", '[{publish: {topic: "o/${¶tt.value}"}}]'), "error", "unknown name `tt`"),
        (group("{t: {topic: a}}", '[{publish: {topic: o, payload: {a: [1, "is ${t.¶valu}"]}}}]'), "error", "did you mean `t.value`?"),
        (group("{t: {topic: a}}", "[{emit: {x: '${¶no}'}}]"), "error", "unknown name `no`"),
        (group("{t: {topic: a}}", '[{emit: {x: 1}, when: "${¶no}"}]'), "error", "unknown name `no`"),
        (group("{t: {topic: a}}", '[{stop: "${¶no}"}]'), "error", "unknown name `no`"),
        (group("{t: {topic: ¶'a/#/b'}}"), "error", "# before its end"),
        (group("{t: {topic: a, value: ¶a..b}}"), "error", "empty"),
        (group("{t: {topic: a, schema: {type: ¶foo}}}"), "error", "no JSON Schema"),
        (group("{t: {cron: ¶'* * *'}}"), "error", "`cron` has five fields"),
        (group("{t: {sun: ¶sunset}}"), "error", "location: {lat, lon}"),
        (group("{t: {topic: a}}", "[{publish: {topic: ¶em/x}}]"), "error", "the bus's own"),
        (group("{t: {topic: a}}", "[{publish: {topic: ¶a/+}}]"), "error", "holds '+'"),
        (group("{t: {topic: a}}", "[¶{emit: {x: 1}, delay: 3}]"), "error", "exactly one of"),
        (group("{t: {topic: a}}", "[¶{}]"), "error", "exactly one of"),
        (group("{t: {topic: a}}", "[{delay: ¶1h}, {emit: {x: 1}}]"), "warning", "what follows never comes"),
        (group("{t: {topic: a}}", "[{publish: {topic: o, payload: ¶{state: TOGGLE}}}]"), "warning", "a toggle may be delivered twice"),
        (group("{t: {topic: a}, l: ¶{topic: b, above: 1}}"), "warning", "waits without end for the level `l`"),
        (group("{l: {topic: ¶'b/+', above: 1}}"), "warning", "mixes all that match"),
        (agent("{device: {reads: {x: {topic: ¶'a/#/b'}}}}"), "error", "# before its end"),
        (agent("{device: {reads: {x: {topic: a, value: ¶a..b}}}}"), "error", "empty"),
        (agent("{device: {reads: {x: {topic: a, value: ¶{b: c..d}}}}}"), "error", "empty"),
        (agent("{device: {reads: {x: {topic: a, value: ¶{}}}}}"), "error", "names no path"),
        (agent("{device: {reads: {x: {topic: a, value: ¶{b: c}, as: number}}}}"), "error", "is an object, which is no number"),
        (agent("{device: {writes: {x: {topic: a, schema: {type: ¶foo}}}}}"), "error", "no JSON Schema"),
        (agent("{device: {writes: {x: {topic: ¶a/#}}}}"), "error", "holds '#'"),
        (agent("{sentences: {rules: [{say: ['¶turn on {room}'], answer: ok}]}}"), "error", "the slot {room}"),
        (agent("{sentences: {rules: [{say: [hello], answer: '${¶no}'}]}}"), "error", "unknown name `no`"),
        (agent("{python: 'm:f', inputs: {x: {schema: {type: ¶foo}}}}"), "error", "no JSON Schema"),
        (agent("{python: 'm:f', outputs: {x: {type: number, initial: ¶home}}}"), "error", "the first value is not of the port's type"),
    ],
)
def test_it_is_told_at_its_place(marked: str, severity: str, words: str) -> None:
    before, _, after = marked.partition("¶")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    (issue,) = issues_of(before + after)
    assert (issue.severity, (issue.line, issue.column)) == (severity, place)
    assert words in str(issue)


def test_a_durable_agent_may_wait_long() -> None:
    text = agent("{durable: true, triggers: {g: {on: {t: {topic: a}}, do: [{delay: 1h}, {emit: {x: 1}}]}}}")
    assert issues_of(text) == []


def test_every_group_is_told_about() -> None:
    text = (
        HEAD
        + "        on: {t: {topic: a, where: x}}\n        do: [{stop: '${y}'}]\n"
        + "      h:\n        on: {t: {cron: x}}\n        do: [{stop: '${z}'}]\n"
    )
    assert [(issue.line, issue.column) for issue in issues_of(text)] == [(6, 35), (7, 24), (9, 24), (10, 24)]


def test_where_may_name_the_fields_of_the_port_that_it_reads() -> None:
    schema = "{type: object, properties: {ax: {type: number}}}"
    sensor = f"  s: {{device: {{reads: {{m: {{topic: a, schema: {schema}}}}}}}}}\n  c: {{python: 'm:f', outputs: {{out: {schema}}}}}\n"
    rule = "  q: {triggers: {g: {need: any, on: {m: {from: s.m, where: ax > 1.0}, o: {from: c, where: ax > 1.0}}, do: [{emit: {x: 1}}]}}}\n"
    assert issues_of("matrix: home\nagents:\n" + sensor + rule) == []
