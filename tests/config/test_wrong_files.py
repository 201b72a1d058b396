"""Wrong matrix files: every message has file, line and column, what was found, what was expected, and the nearest known name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass

from edgematrix.config.document import ISSUES_MAX, parse_document
from edgematrix.config.reading import parse_matrix, read_matrix
from edgematrix.config.validation import validate_document
from edgematrix.errors import ConfigError, Issue
from edgematrix.protocol.fields import CLOSED, Duration

HEAD = "matrix: home\nagents:\n  rule:\n    triggers:\n      go:\n"
ON = "        on: {t: {topic: t/a}}\n"
DO = "        do: [{publish: {topic: t/out, payload: 1}}]\n"


def issues_of(text: str) -> list[Issue]:
    with pytest.raises(ConfigError) as caught:
        parse_matrix(parse_document(text, "m.yaml", {}))
    return caught.value.issues


def test_the_bare_file_is_right() -> None:
    assert parse_matrix(parse_document(HEAD + ON + DO, "m.yaml")).warnings == []


def of_source(source: str) -> str:
    return f"{HEAD}        on: {{t: {{topic: t/a, {source}}}}}\n{DO}"


def of_group(line: str) -> str:
    return f"{HEAD}{ON}        {line}\n{DO}"


def of_action(action: str) -> str:
    return f"{HEAD}{ON}        do: [{action}]\n"


def of_agent(line: str) -> str:
    return f"matrix: home\nagents:\n  one:\n    {line}\n"


def of_matrix(line: str) -> str:
    return f"matrix: home\n{line}\n"


@pytest.mark.parametrize(
    ("marked", "path", "words"),
    [
        ("", "", "the file is empty, expected a matrix (begin with `matrix: name`)"),
        ("¶[1]", "", "expected a mapping, found a list"),
        ("¶hello", "", "expected a mapping, found 'hello'"),
        ("¶agents: {}", "", "the key 'matrix' is missing"),
        ("matrix: ¶Home", "matrix", "name 'Home' does not match [a-z0-9][a-z0-9_-]* at matrix (lower-case letters"),
        ("matrix: ¶parent", "matrix", "name 'parent' is reserved"),
        ("matrix: ¶5", "matrix", "expected a text, found 5 at matrix (quotes around it make it a text)"),
        (of_matrix("¶agentz: {}"), "agentz", "the key 'agentz' is not known here at agentz (did you mean 'agents'?)"),
        (of_matrix("¶zzz: {}"), "zzz", "known are"),
        (of_matrix("timezone: ¶Europe/Berln"), "timezone", "found 'Europe/Berln' at timezone (did you mean 'Europe/Berlin'?)"),
        (of_matrix("timezone: ¶europe/berlin"), "timezone", "(did you mean 'Europe/Berlin'?)"),
        (of_matrix("timezone: ¶Europe"), "timezone", "expected a time zone such as Europe/Berlin"),
        (of_matrix("timezone: ¶../../etc/passwd"), "timezone", "expected a time zone"),
        (of_matrix("broker: ¶http://x"), "broker", "expected a broker's address with mqtt:// or mqtts://, found http://"),
        (of_matrix("broker: ¶mqtt://"), "broker", "names no host"),
        (of_matrix("broker: ¶mqtt://one:1883,two:0"), "broker", "the broker's port is 0"),
        (of_matrix("broker: ¶mqtt://x:99999"), "broker", "its host or port is not valid"),
        (of_matrix("broker: ¶My Broker"), "broker", "expected embedded, mosquitto, nats, mqtt://host or mqtts://host"),
        (of_matrix("root: ¶em/#"), "root", "expected a text such as 'em', found 'em/#'"),
        (
            of_matrix("defaults: {durable: ¶yes}"),
            "defaults.durable",
            "expected true or false, found 'yes' at defaults.durable (did you mean true?)",
        ),
        (of_matrix("defaults: {qos: ¶2}"), "defaults.qos", "expected 0 or 1, found 2"),
        (of_matrix("limits: {¶hop_max: 3}"), "limits.hop_max", "there is no limit 'hop_max' at limits.hop_max (did you mean 'hops_max'?)"),
        (of_matrix("limits: {hops_max: ¶0}"), "limits.hops_max", "expected a number >= 1, found 0"),
        (of_matrix("limits: {hops_max: ¶1.5}"), "limits.hops_max", "expected a whole number, found 1.5"),
        (of_matrix("location: {lat: ¶91, lon: 0}"), "location.lat", "expected a number <= 90, found 91"),
        (of_matrix("¶location: {lat: 1}"), "location", "the key 'lon' is missing"),
        (of_matrix("location: {lat: 1, lon: ¶'2'}"), "location.lon", "expected a number, found '2' at location.lon (remove the quotes)"),
        (of_agent("onnx: {model: x, ¶precisoin: int8}"), "agents.one.onnx.precisoin", "did you mean 'precision'?"),
        (of_agent("¶voice: {}"), "agents.one.voice", "the key 'to' is missing"),
        (of_agent("¶tigger: {}"), "agents.one.tigger", "did you mean 'triggers'?"),
        (of_agent("device: ¶5"), "agents.one.device", "expected a mapping, found 5"),
        (of_agent("python: ¶foo"), "agents.one.python", "expected a text such as 'package.module:name', found 'foo'"),
        (of_agent("inputs: {a: ¶txt}"), "agents.one.inputs.a", "found 'txt' at agents.one.inputs.a (did you mean 'text'?)"),
        (of_agent("inputs: {a: ¶5}"), "agents.one.inputs.a", "expected a mapping, found 5"),
        (
            of_agent("inputs: {a: ¶{type: string, retain: true}}"),
            "agents.one.inputs.a",
            "a JSON Schema beside retain stands under `schema:`",
        ),
        (of_agent("delivery: ¶best"), "agents.one.delivery", "expected 'best_effort' or 'durable', found 'best'"),
        (of_agent("agents: {¶Lamp: {}}"), "agents.one.agents.Lamp", "name 'Lamp' does not match"),
        (of_agent("agents: {lamp: ¶}"), "agents.one.agents.lamp", "expected a mapping, found nothing"),
        (
            of_agent("device: {writes: {set: {topic: a, range: {b: ¶[0]}}}}"),
            "agents.one.device.writes.set.range.b",
            "expected at least 2 of them, found 1",
        ),
        (of_agent("device: {reads: {¶x: {}}}"), "agents.one.device.reads.x", "the key 'topic' is missing"),
        (of_source("¶rol: gate"), "agents.rule.triggers.go.on.t.rol", "did you mean 'role'?"),
        (of_source("¶from_: a.b"), "agents.rule.triggers.go.on.t.from_", "did you mean 'from'?"),
        (of_source("¶cooldown: 5"), "agents.rule.triggers.go.on.t.cooldown", "it belongs to agents.rule.triggers.go"),
        (
            of_source("role: ¶Gate"),
            "agents.rule.triggers.go.on.t.role",
            "found 'Gate' at agents.rule.triggers.go.on.t.role (did you mean 'gate'?)",
        ),
        (
            of_source("above: ¶'5'"),
            "agents.rule.triggers.go.on.t.above",
            "expected a number, found '5' at agents.rule.triggers.go.on.t.above (remove the quotes)",
        ),
        (of_source("above: ¶true"), "agents.rule.triggers.go.on.t.above", "expected a number, found true"),
        (of_source("hysteresis: ¶-1"), "agents.rule.triggers.go.on.t.hysteresis", "expected a number >= 0, found -1"),
        (
            of_source("equals: ¶{a: 1}"),
            "agents.rule.triggers.go.on.t.equals",
            "expected a text, true or false, a number or a list, found a mapping",
        ),
        (
            of_source("equals: [1, ¶{a: 1}]"),
            "agents.rule.triggers.go.on.t.equals[1]",
            "expected a text, true or false or a number, found a mapping",
        ),
        (of_source("equals: ¶[]"), "agents.rule.triggers.go.on.t.equals", "expected at least 1 of them, found 0"),
        (of_source("changes: ¶false"), "agents.rule.triggers.go.on.t.changes", "expected true or a mapping, found false"),
        (of_source("changes: {¶form: 1}"), "agents.rule.triggers.go.on.t.changes.form", "did you mean 'from'?"),
        (of_source("¶during: {from: '1:00'}"), "agents.rule.triggers.go.on.t.during", "the key 'to' is missing"),
        (of_source("during: ¶5"), "agents.rule.triggers.go.on.t.during", "expected a text or a mapping, found 5"),
        (of_source("count: {at_least: ¶0}"), "agents.rule.triggers.go.on.t.count.at_least", "expected a number >= 1, found 0"),
        (
            of_source("for: ¶3 sec"),
            "agents.rule.triggers.go.on.t.for",
            "expected a duration such as 500ms, 2s, 5m, 1h30m or 1d, found '3 sec'",
        ),
        (of_source("for: ¶-3"), "agents.rule.triggers.go.on.t.for", "found -3"),
        (of_source("value: [1, ¶2.5]"), "agents.rule.triggers.go.on.t.value[1]", "expected a text or a whole number, found 2.5"),
        (of_source("aggregate: {fn: ¶mode, over: 5m}"), "agents.rule.triggers.go.on.t.aggregate.fn", "found 'mode'"),
        (of_source("qos: ¶2"), "agents.rule.triggers.go.on.t.qos", "expected 0 or 1, found 2"),
        (of_group("need: ¶al"), "agents.rule.triggers.go.need", "expected 'all', 'any', 'sequence' or a whole number, found 'al'"),
        (of_group("need: ¶0"), "agents.rule.triggers.go.need", "expected a number >= 1, found 0"),
        (of_group("need: ¶1.5"), "agents.rule.triggers.go.need", "found 1.5"),
        (of_group("mode: ¶parallell"), "agents.rule.triggers.go.mode", "did you mean 'parallel'?"),
        (of_group("¶cooldwn: 5s"), "agents.rule.triggers.go.cooldwn", "did you mean 'cooldown'?"),
        (of_group("¶limit: {}"), "agents.rule.triggers.go.limit", "the keys 'count' and 'per' are missing"),
        (
            of_source("for: ¶[1]"),
            "agents.rule.triggers.go.on.t.for",
            "expected a duration such as 500ms, 2s, 5m, 1h30m or 1d, found a list",
        ),
        (of_group("¶limit: {count: 2}"), "agents.rule.triggers.go.limit", "the key 'per' is missing"),
        (
            of_group("if: ¶true"),
            "agents.rule.triggers.go.if",
            "expected a text, found true at agents.rule.triggers.go.if (quotes around it make it a text)",
        ),
        (of_group("rate_max: ¶lots"), "agents.rule.triggers.go.rate_max", "expected 'none' or a whole number, found 'lots'"),
        (HEAD + "        on: ¶{}\n" + DO, "agents.rule.triggers.go.on", "expected at least 1 of them, found 0"),
        (HEAD.replace("go", "¶go") + DO, "agents.rule.triggers.go", "the key 'on' is missing"),
        (HEAD.replace("go", "¶go") + ON, "agents.rule.triggers.go", "the key 'do' is missing"),
        (of_action("{¶publsh: {topic: a}}"), "agents.rule.triggers.go.do[0].publsh", "did you mean 'publish'?"),
        (of_action("¶publish"), "agents.rule.triggers.go.do[0]", "expected a mapping, found 'publish'"),
        (of_action("{¶publish: {payload: 1}}"), "agents.rule.triggers.go.do[0].publish", "the key 'topic' is missing"),
        (of_action("{publish: {topic: a, ¶topic: b}}"), "", "the key 'topic' is there twice"),
        (of_action("{emit: ¶5}"), "agents.rule.triggers.go.do[0].emit", "expected a mapping, found 5"),
        (of_action("{emit: {¶Out: 5}}"), "agents.rule.triggers.go.do[0].emit.Out", "name 'Out' does not match"),
        (of_action("{delay: ¶soon}"), "agents.rule.triggers.go.do[0].delay", "expected a duration"),
        (of_action("{send: ¶lamp.set}"), "agents.rule.triggers.go.do[0].send", "expected a mapping, found 'lamp.set'"),
    ],
)
def test_one_mistake_is_one_message_at_its_place(marked: str, path: str, words: str) -> None:
    """¶ marks the place that the message must name."""
    before, mark, after = marked.partition("¶")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n")) if mark else (0, 0)
    text = before + after if mark else marked
    (issue,) = issues_of(text)
    assert issue.severity == "error"
    assert issue.file == "m.yaml"
    assert ((issue.line, issue.column), issue.path) == (place, path)
    assert words in str(issue)
    assert "Traceback" not in str(issue)
    assert "pydantic" not in str(issue)


def test_all_mistakes_of_a_file_are_told_in_its_order() -> None:
    text = """
matrix: home
timezone: Mars
agents:
  one: {voice: {}}
  two: {device: {reads: {a: {topic: x, qos: 7}}}, host: [], triggers: {g: {}}}
  tree: ${env:X}
"""
    issues = issues_of(text)
    assert [issue.line for issue in issues] == [3, 5, 6, 6, 6, 7]
    assert issues == sorted(issues, key=lambda issue: (issue.line, issue.column))


def test_not_more_than_a_screenful_is_told() -> None:
    issues = issues_of("matrix: home\nagents:\n" + "".join(f"  a{i}: {{voice: 1}}\n" for i in range(1000)))
    assert len(issues) == ISSUES_MAX + 1
    assert issues[0].line == 3
    assert issues[-1].what == "and 950 more"


def test_a_mistake_in_an_included_file_is_told_there(tmp_path: Path) -> None:
    (tmp_path / "hall.yaml").write_text("device:\n  reads:\n    lux: {topc: a/b}\n")
    path = tmp_path / "m.yaml"
    path.write_text("matrix: home\nagents:\n  lux: !include hall.yaml\n")
    with pytest.raises(ConfigError) as caught:
        read_matrix(path)
    places = {(issue.file, issue.line, issue.column, issue.path) for issue in caught.value.issues}
    assert places == {
        (str(tmp_path / "hall.yaml"), 3, 5, "agents.lux.device.reads.lux"),
        (str(tmp_path / "hall.yaml"), 3, 11, "agents.lux.device.reads.lux.topc"),
    }


def test_what_an_alias_repeats_is_told_where_it_is_named() -> None:
    issues = issues_of("matrix: home\nagents:\n  one: &a {vioce: 1}\n  two: *a\n  three: {<<: *a}\n")
    assert [(issue.line, issue.column) for issue in issues] == [(3, 12), (4, 3), (5, 11)]


def test_a_matrix_inside_a_scenario_is_told_with_the_scenarios_lines() -> None:
    document = parse_document("name: x\nmatrix:\n  matrix: home\n  agents: {a: {hosst: pi}}\n", "x.scenario.yaml")
    with pytest.raises(ConfigError) as caught:
        parse_matrix(document, ("matrix",))
    (issue,) = caught.value.issues
    assert str(issue) == "x.scenario.yaml:4:16: error: the key 'hosst' is not known here at matrix.agents.a.hosst (did you mean 'host'?)"


def test_two_mistakes_at_one_place_are_both_told() -> None:
    text = f"{HEAD}{ON}        do:\n          - publish:\n              payload: 1\n              topc: x\n"
    assert [issue.path.rpartition(".")[2] for issue in issues_of(text)] == ["publish", "topc"]
    document = parse_document("list:\n  - att: 3\n", "x.yaml")
    with pytest.raises(ConfigError) as caught:
        validate_document(Timeline, document)
    assert [str(issue) for issue in caught.value.issues] == [
        "x.yaml:2:5: error: the key 'at' is missing at list[0]",
        "x.yaml:2:5: error: the key 'att' is not known here at list[0].att (did you mean 'at'?)",
    ]


@dataclass(frozen=True, config=CLOSED)
class Moment:
    """A moment."""

    at: Duration


@dataclass(frozen=True, config=CLOSED)
class Timeline:
    """Moments, each a duration or a mapping."""

    list: list[Duration | Moment]


def test_a_missing_matrix_in_a_scenario_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_matrix(parse_document("name: x\n", "x.scenario.yaml"), ("matrix",))
    assert "expected a mapping, found nothing" in str(caught.value)
