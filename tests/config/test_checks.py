"""What is checked over a whole matrix: names, references, wires, publishes past a device, cycles."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgematrix.config.document import parse_document, read_document
from edgematrix.config.reading import Reading, checked, parse_matrix
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import ConfigError, Issue

SPEC = Path(__file__).parents[1] / "scenarios" / "spec"

LAMP = "  lamp: {device: {reads: {state: {topic: z/lamp}}, writes: {set: {topic: z/lamp/set}, dim: {topic: z/lamp/dim}}}}\n"
LUX = "  lux: {device: {reads: {illuminance: {topic: z/lux, value: illuminance}}}}\n"


def matrix(agents: str) -> str:
    return f"matrix: home\nagents:\n{agents}"


def rule(name: str, on: str, do: str, more: str = "") -> str:
    return f"  {name}: {{triggers: {{g: {{on: {{s: {{{on}}}}}, do: [{do}]{more}}}}}}}\n"


def read(marked: str) -> tuple[Reading | list[Issue], tuple[int, int]]:
    before, _, after = marked.partition("¶")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    try:
        return parse_matrix(parse_document(before + after, "m.yaml", {})), place
    except ConfigError as error:
        return error.issues, place


def error_of(marked: str) -> Issue:
    found, place = read(marked)
    assert isinstance(found, list), found
    (issue,) = found
    assert issue.severity == "error"
    assert (issue.line, issue.column) == place
    return issue


def warning_of(marked: str) -> Issue:
    found, place = read(marked)
    assert isinstance(found, Reading), found
    (issue,) = found.warnings
    assert issue.severity == "warning"
    assert (issue.line, issue.column) == place
    return issue


def assert_silent(text: str) -> None:
    found, _ = read(text)
    assert isinstance(found, Reading), found
    assert found.warnings == []


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.scenario.yaml")), ids=lambda path: path.name.partition(".")[0])
def test_the_matrices_of_the_specification_have_no_errors(path: Path) -> None:
    assert parse_matrix(read_document(path), ("matrix",)).spec.matrix == "home"


class TestNames:
    @pytest.mark.parametrize(
        ("agents", "words"),
        [
            ("  a: {inputs: {x: any, y: any}, outputs: {¶y: any}, python: 'm:f'}\n", "there is an input and an output named 'y' in home/a"),
            ("  a: {device: {reads: {state: {topic: a}}, writes: {¶state: {topic: b}}}}\n", "there is a read and a write named 'state'"),
            ("  a: {inputs: {¶b: any}, agents: {b: {python: 'm:f'}}}\n", "there is a child and an input named 'b'"),
            (
                "  a: {agents: {out: {python: 'm:f'}}, triggers: {g: {on: {s: {topic: x}}, do: [{emit: {¶out: 1}}]}}}\n",
                "a child and an output",
            ),
            ("  a: {outputs: {¶pause: any}, python: 'm:f'}\n", "'pause' is a verb that every agent understands"),
            ("  ¶watch: {python: 'm:f'}\n", "so an agent cannot be named so"),
            ("  a: {agents: {¶cancel: {python: 'm:f'}}}\n", "so a child cannot be named so"),
            ("  a: {device: {writes: {¶resume: {topic: x}}}}\n", "so a write cannot be named so"),
        ],
    )
    def test_ports_verbs_and_children_share_one_namespace(self, agents: str, words: str) -> None:
        assert words in error_of(matrix(agents)).what

    def test_an_output_may_be_declared_and_emitted(self) -> None:
        assert_silent(matrix("  a: {outputs: {x: number}, triggers: {g: {on: {s: {topic: x}}, do: [{emit: {x: 1}}, {emit: {x: 2}}]}}}\n"))

    def test_an_agent_is_one_thing(self) -> None:
        text = matrix("  a:\n    device: {reads: {x: {topic: x}}}\n    ¶triggers: {g: {on: {s: {topic: y}}, do: [{emit: {y: 1}}]}}\n")
        assert "home/a is device, triggers at once, expected one of them" in error_of(text).what

    def test_code_may_have_groups_without_actions(self) -> None:
        assert_silent(matrix("  a: {python: 'm:f', triggers: {g: {on: {s: {topic: y}}}}}\n"))

    def test_an_agent_that_does_nothing_is_warned_about(self) -> None:
        assert "home/a does nothing" in warning_of(matrix("  ¶a: {inputs: {x: any}}\n")).what

    def test_paths_are_bounded(self) -> None:
        agents = AgentSpec(python="m:f")
        for _ in range(16):
            agents = AgentSpec(agents={"a": agents})
        with pytest.raises(ConfigError) as caught:
            checked(MatrixSpec(matrix="home", agents={"a": agents}))
        assert "more than 16 segments" in str(caught.value)

    def test_an_input_has_no_source(self) -> None:
        assert "an input has no `from`" in error_of(matrix("  a: {inputs: {x: {¶from: b}}, python: 'm:f'}\n")).what

    def test_sends_is_for_code(self) -> None:
        text = matrix(LAMP + "  a: {¶sends: [lamp.set], agents: {b: {python: 'm:f'}}}\n")
        assert "`sends` is for agents with python" in error_of(text).what


class TestReferences:
    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("from: ¶lxu.illuminance", "there is no agent home/lxu at agents.r.triggers.g.on.s.from (did you mean lux.illuminance?)"),
            ("from: ¶lux.iluminance", "home/lux has no output 'iluminance' at agents.r.triggers.g.on.s.from (did you mean 'illuminance'?)"),
            ("from: ¶lux", "home/lux has no output 'out' at agents.r.triggers.g.on.s.from (its outputs are illuminance)"),
            ("from: ¶lamp.set", "'set' is an input of home/lamp, expected an output"),
            ("from: ¶/home/hall/lux.illuminance", "did you mean /home/lux.illuminance?"),
            ("from: ¶kitchen/lux.illuminance", "did you mean /home/lux.illuminance?"),
            ("from: ¶parent.x", "names the matrix itself, which has no ports"),
            ("from: ¶self.x", "home/r has no input 'x'"),
            ("from: ¶Lux.x", "segment 'Lux' does not match"),
            ("from: ¶lux.", "port '' does not match"),
            ("from: ¶nobody.x", "name a neighbour, or an agent anywhere as /matrix/path.port"),
        ],
    )
    def test_a_source_that_is_not_there_is_told_with_the_nearest_name(self, source: str, words: str) -> None:
        assert words in str(error_of(matrix(LAMP + LUX + rule("r", source, "{publish: {topic: x}}"))))

    @pytest.mark.parametrize(
        ("action", "words"),
        [
            ("{send: {to: ¶lampp.set}}", "did you mean lamp.set?"),
            ("{send: {to: ¶lamp.sett}}", "home/lamp has no input 'sett' at agents.r.triggers.g.do[0].send.to (did you mean 'set'?)"),
            ("{send: {to: ¶lamp}}", "home/lamp has no input 'in' at agents.r.triggers.g.do[0].send.to (its inputs are dim, set)"),
            ("{send: {to: ¶lamp.state}}", "'state' is an output of home/lamp, expected an input"),
            ("{send: {to: '¶lamp.${s.value}'}}".replace("'¶", "¶'"), "`to` is a wire and holds no ${…}"),
            ("{call: {agent: ¶nobody}}", "there is no agent home/nobody"),
            ("{call: {agent: ¶lamp.set}}", "home/lamp never answers"),
        ],
    )
    def test_a_receiver_that_is_not_there_is_told_with_the_nearest_name(self, action: str, words: str) -> None:
        assert words in str(error_of(matrix(LAMP + rule("r", "topic: x", action))))

    def test_an_agent_does_not_call_itself(self) -> None:
        text = matrix("  r: {inputs: {in: any}, triggers: {g: {on: {s: {topic: x}}, do: [{call: {agent: ¶r}}, {emit: {out: 1}}]}}}\n")
        assert "calls itself" in error_of(text).what

    def test_what_is_there_is_found(self) -> None:
        text = """
matrix: home
agents:
  hall:
    inputs: {want: text}
    outputs: {light: {from: lux.illuminance}, mode: {type: text, retain: true, initial: home}}
    agents:
      lux: {device: {reads: {illuminance: {topic: a}}}}
      lamp: {device: {writes: {set: {topic: b}}}}
      rule:
        inputs: {go: any}
        triggers:
          g:
            on: {a: {from: lux.illuminance}, b: {from: parent.want}, c: {from: self.go}, d: {from: /home/code.anything}}
            do:
              - emit: {done: 1}
              - send: {to: lamp.set}
              - send: {to: /home/hall/lamp.set}
              - call: {agent: /home/code}
              - send: {to: /home/talk.say}
  code: {python: "m:f", sends: [hall/lamp.set, talk.say]}
  talk: {sentences: {rules: [{say: [hi], send: {to: hall/lamp.set}}]}}
  far:
    triggers:
      g:
        on: {a: {from: hall.light}, b: {from: hall.mode}, c: {from: talk.unknown}, d: {from: hall/rule.done}}
        do: [{send: {to: hall.want}}]
"""
        assert_silent(text)

    def test_wires_of_code_and_sentences_are_checked(self) -> None:
        assert "has no input 'st'" in error_of(matrix(LAMP + "  c: {python: 'm:f', sends: [¶lamp.st]}\n")).what
        assert "has no input 'st'" in error_of(matrix(LAMP + "  c: {sentences: {rules: [{say: [hi], send: {to: ¶lamp.st}}]}}\n")).what

    def test_an_output_of_a_composite_comes_from_a_child(self) -> None:
        assert (
            "there is no agent home/c/lux"
            in error_of(matrix(LUX + "  c: {outputs: {x: {from: ¶lux.illuminance}}, agents: {d: {python: 'm:f'}}}\n")).what
        )

    def test_an_output_that_nothing_feeds_is_warned_about(self) -> None:
        text = matrix(
            "  a: {outputs: {x: any}, triggers: {g: {on: {s: {topic: x}}, do: [{emit: {y: 1}}]}}}\n"
            + rule("r", "from: ¶a.x", "{publish: {topic: z}}")
        )
        assert "nothing puts a value on home/a.x" in warning_of(text).what

    def test_an_output_that_code_does_not_declare_is_warned_about(self) -> None:
        text = matrix("  a: {outputs: {out: any}, python: 'm:f'}\n" + rule("r", "from: ¶a.x", "{publish: {topic: z}}"))
        assert "home/a does not declare an output 'x'" in warning_of(text).what


class TestPublishes:
    def test_a_topic_that_a_device_writes_belongs_to_its_agent(self) -> None:
        issue = error_of(matrix(LAMP + rule("r", "topic: x", "{publish: {topic: ¶z/lamp/set, payload: {state: on}}}")))
        assert "'z/lamp/set' belongs to the device home/lamp" in issue.what
        assert issue.remedy == "send: {to: lamp.set, payload: …}"

    def test_from_elsewhere_the_remedy_names_the_whole_path(self) -> None:
        text = matrix(f"  hall:\n    agents:\n    {LAMP}" + rule("r", "topic: x", "{publish: {topic: ¶z/lamp/set}}"))
        assert error_of(text).remedy == "send: {to: /home/hall/lamp.set, payload: …}"

    def test_a_templated_topic_is_judged_when_it_is_published(self) -> None:
        assert_silent(matrix(LAMP + rule("r", "topic: 'x/{d}'", "{publish: {topic: 'z/${captures.d}/set'}}")))


class TestCycles:
    @pytest.mark.parametrize(
        "agents",
        [
            rule("¶r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}"),
            rule("¶r", "topic: 't/{x}'", "{publish: {topic: 't/${captures.x}', payload: '${s.value}'}}"),
            rule("¶r", "topic: t/#", "{publish: {topic: t/a, payload: 1}}"),
            rule("¶r", "topic: t/a, is: 1", "{publish: {topic: t/a, payload: 1.0}}"),
            rule("¶r", "topic: t/a, value: x.y", "{publish: {topic: t/a, payload: {x: {y: 1}}}}"),
            rule("¶r", "from: r", "{emit: {out: 1}}"),
            rule("¶a", "topic: t/a", "{publish: {topic: t/b, payload: 1}}")
            + rule("b", "topic: t/b", "{publish: {topic: t/a, payload: 1}}"),
            rule("¶a", "topic: t/a, equals: on", "{publish: {topic: t/a, payload: off}}")
            + rule("b", "topic: t/a, equals: off", "{publish: {topic: t/a, payload: on}}"),
            rule("¶a", "topic: t/a, above: 5", "{publish: {topic: t/a, payload: 1}}")
            + rule("b", "topic: t/a, below: 5", "{publish: {topic: t/a, payload: 9}}"),
            rule("¶a", "topic: t/a, changes: true", "{publish: {topic: t/a, payload: 1}}, {publish: {topic: t/a, payload: 2}}"),
            LAMP + rule("¶r", "from: lamp.state", "{publish: {topic: z/lamp, payload: 1}}"),
            LAMP.replace("z/lamp}", "z/lamp/set}") + rule("¶r", "from: lamp.state", "{send: {to: lamp.set, payload: 1}}"),
            "  ¶r: {inputs: {go: any}, triggers: {g: {on: {s: {from: self.go}}, do: [{send: {to: r.go, payload: 1}}]}}}\n",
            "  c: {outputs: {x: {from: d}}, agents: {¶d: {triggers: {g: {on: {s: {from: /home/c.x}}, do: [{emit: {out: 1}}]}}}}}\n",
            rule("¶r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}", ", need: any").replace("on: {", "on: {o: {topic: t/o}, "),
            rule("¶r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}").replace("on: {", "on: {o: {topic: t/o, equals: 1}, "),
        ],
    )
    def test_what_makes_itself_fire_again_is_warned_about(self, agents: str) -> None:
        marked = matrix(agents)
        found, _ = read(marked)
        assert isinstance(found, Reading), found
        cyclic = [issue for issue in found.warnings if "fire again" in issue.what]
        assert len(cyclic) == 1
        assert cyclic[0].line == marked[: marked.index("¶")].count("\n") + 1
        assert cyclic[0].column > 0
        assert cyclic[0].remedy

    @pytest.mark.parametrize(
        "agents",
        [
            rule("r", "topic: t/a", "{publish: {topic: t/b, payload: 1}}"),
            rule("r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}", ", cooldown: 1s"),
            rule("r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}", ", limit: {count: 1, per: 1s}"),
            rule("r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}", ", if: 's.value != 1'"),
            rule("r", "topic: t/a, where: 'value != 1'", "{publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a", "{publish: {topic: t/a, payload: 1}, when: '${s.value != 1}'}"),
            rule("r", "topic: t/a", "{stop: '${s.value == 1}'}, {publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a", "{delay: 2s}, {publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a, is: 2", "{publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a, equals: 1", "{publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a, changes: true", "{publish: {topic: t/a, payload: 1}}"),
            rule("r", "topic: t/a, equals: 1, for: 5s", "{publish: {topic: t/a, payload: 1}}, {publish: {topic: t/a, payload: 0}}"),
            rule("r", "topic: t/a, value: x", "{publish: {topic: t/a, payload: {y: 1}}}"),
            rule("r", "topic: 't/{x}_lamp'", "{publish: {topic: t/a_plug, payload: 1}}"),
            rule("r", "topic: 't/{x}_lamp'", "{publish: {topic: 't/${captures.x}', payload: 1}}"),
            rule("r", "topic: t/a, role: live", "{publish: {topic: t/a, payload: 1}}").replace("on: {", "on: {o: {topic: t/o}, "),
            rule("r", "topic: t/a", "{publish: {topic: t/a, payload: 1}}", ", within: 1h").replace("on: {", "on: {o: {topic: t/o}, "),
        ],
    )
    def test_what_is_bounded_is_not(self, agents: str) -> None:
        found, _ = read(matrix(agents))
        assert isinstance(found, Reading), found
        assert [issue for issue in found.warnings if "fire again" in issue.what] == []

    def test_two_cycles_are_two_warnings(self) -> None:
        agents = "".join(rule(f"r{i}", f"topic: t/{i}", f"{{publish: {{topic: t/{i}, payload: 1}}}}") for i in range(2))
        found, _ = read(matrix(agents))
        assert isinstance(found, Reading)
        assert [issue.line for issue in found.warnings] == [3, 4]


def test_a_matrix_made_in_python_is_checked_too() -> None:
    spec = MatrixSpec(matrix="home", agents={"a": AgentSpec(python="m:f", sends=["nobody.x"])})
    with pytest.raises(ConfigError) as caught:
        checked(spec)
    (issue,) = caught.value.issues
    assert (issue.path, issue.line) == ("agents.a.sends[0]", 0)
    assert "there is no agent home/nobody" in str(issue)


class TestBroker:
    @pytest.mark.parametrize(
        "agents",
        [
            "  a: {device: {reads: {x: {topic: ¶zigbee2mqtt/Living room}}}}\n",
            "  a: {device: {writes: {x: {topic: ¶zigbee2mqtt/Living room/set}}}}\n",
            "  a: {triggers: {g: {on: {s: {topic: ¶a b}}, do: [{publish: {topic: x}}]}}}\n",
            "  a: {triggers: {g: {on: {s: {topic: a}}, do: [{publish: {topic: ¶x y}}]}}}\n",
        ],
    )
    def test_a_topic_that_the_chosen_broker_does_not_carry_is_an_error(self, agents: str) -> None:
        issue = error_of(matrix(agents).replace("matrix: home\n", "matrix: home\nbroker: nats\n"))
        assert "which the broker nats does not carry" in issue.what

    def test_another_broker_carries_it(self) -> None:
        assert_silent(matrix("  a: {device: {reads: {x: {topic: zigbee2mqtt/Living room}}}}\n"))


def test_durable_delivery_needs_no_warning() -> None:
    assert_silent(matrix("  a: {delivery: durable, triggers: {g: {on: {s: {topic: x}}, do: [{publish: {topic: y}}]}}}\n"))


class TestReaderOnAnotherHost:
    WORKER = "w: {%s triggers: {g: {on: {x: {from: ¶parent.in}}, do: [{publish: {topic: y}}]}}}"

    def box(self, words: str, of_box: str = "delivery: durable, ") -> str:
        return matrix(f"  box: {{{of_box}inputs: {{in: any}}, agents: {{{self.WORKER % words}}}}}\n")

    @pytest.mark.parametrize("words", ["host: pi,", "needs: {labels: [x]},", "failover: true,"])
    def test_a_durable_one_that_may_be_elsewhere_is_an_error(self, words: str) -> None:
        issue = error_of(self.box(words))
        assert "home/box/w is durable and may be on another host than home/box, whose input it reads" in issue.what

    @pytest.mark.parametrize("words", ["", "delivery: best_effort, host: pi,"])
    def test_one_that_goes_with_it_or_promises_nothing_is_none(self, words: str) -> None:
        assert_silent(self.box(words).replace("¶", ""))

    def test_nor_is_one_in_a_matrix_that_promises_nothing(self) -> None:
        assert_silent(self.box("host: pi,", "").replace("¶", ""))
