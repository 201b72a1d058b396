"""Flows, chats, switches, pools and people in a file: what is wrong is told at its place, with the nearest known name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.reading import Reading, checked, parse_matrix, read_matrix
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import ConfigError, Issue

MEMBERS = "agents: {a: {python: 'm:a'}, b: {python: 'm:b'}, c: {python: 'm:c'}}"


def matrix(agents: str) -> str:
    return f"matrix: home\nagents:\n{agents}\n"


def flow(edges: str, more: str = "", beside: str = "", members: str = MEMBERS) -> str:
    return matrix(f"  f:\n    flow: {{edges: [{edges}]{more}}}\n    {members}\n    {beside}")


def chat(inside: str, beside: str = "") -> str:
    return matrix(f"  f:\n    chat: {{{inside}}}\n    {MEMBERS}\n    {beside}")


def switch(inside: str, beside: str = "", members: str = MEMBERS) -> str:
    return matrix(f"  f:\n    switch: {{{inside}}}\n    {members}\n    {beside}")


def pool(inside: str, members: str = "agents: {w: {python: 'm:w'}}", beside: str = "") -> str:
    return matrix(f"  f:\n    pool: {{{inside}}}\n    {members}\n    {beside}")


def human(inside: str, beside: str = "") -> str:
    return matrix(f"  f:\n    human: {{{inside}}}\n    {beside}")


def read(text: str) -> Reading | list[Issue]:
    try:
        return parse_matrix(parse_document(text, "m.yaml", {}))
    except ConfigError as error:
        return error.issues


def told(marked: str, severity: str = "error") -> str:
    """The one finding about a text, as it is told; ¶ marks the place that it names."""
    before, mark, after = marked.partition("¶")
    assert mark
    found = read(before + after)
    issues = found.warnings if isinstance(found, Reading) else found
    assert len(issues) == 1, issues or "nothing is told"
    (issue,) = issues
    assert issue.severity == severity
    assert (issue.line, issue.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    return str(issue)


def assert_silent(text: str) -> None:
    found = read(text)
    assert isinstance(found, Reading), found
    assert found.warnings == []


class TestFlows:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (flow("in -> a, ¶a -> bb"), "`bb` is none of the agents below"),
            (flow("in -> a -> b -> c, ¶a -> c/deep"), "`c/deep` is not right below the flow"),
            (flow("in -> a -> b -> c, ¶c -> a"), "a cycle without a bound: `c -> a"),
            (
                flow("in -> a -> b -> c, {from: b, to: a, when: 'x ==¶'}", ", max_steps: 9"),
                "the expression ends too early at agents.f.flow.edges[1].when",
            ),
            (flow("in -> a -> b -> c, ¶{from: b}"), "an edge has the keys 'from' and 'to', found 'from'"),
            (flow("in -> a -> b -> c, ¶{form: b, to: a}"), "found 'form', 'to'"),
            (
                flow("in -> a -> b -> c, {from: b, to: a, ¶wen: x}"),
                "the key 'wen' is not known here at agents.f.flow.edges[1].wen (did you mean 'when'?)",
            ),
            (flow("in -> a -> b -> c, ¶a b"), "expected an edge such as `a -> b` or `a, b -> c`, found 'a b'"),
            (flow("in -> a -> b -> c", ", ¶max_step: 5"), "did you mean 'max_steps'?"),
            (flow("in -> a -> b -> c", ", max_steps: ¶0"), "expected a number >= 1, found 0"),
            (
                flow("in -> a -> b -> c", "", "¶max_steps: 5"),
                "the key 'max_steps' is not known here at agents.f.max_steps (it belongs under `flow:`)",
            ),
            (flow("in -> a -> b -> c", "", "¶deadline: 5s"), "the deadline of a flow stands under `flow:`"),
            (flow("in -> a -> b, ¶inn -> c", "", "inputs: {in: any, x: any}\n    outputs: {d: {from: c}}"), "did you mean `in`?"),
            (flow("in -> a -> b -> c", "", "outputs: {d: {from: ¶bb}}"), "home/f/bb"),
            (flow("in -> a -> b -> c", "", "outputs: {d: {from: ¶c/deep.x}}"), "c/deep"),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, marked: str, words: str) -> None:
        assert words in told(marked)

    def test_two_agents_of_one_name(self) -> None:
        text = (
            "matrix: home\nagents:\n  f:\n    flow: {edges: [in -> a]}\n    agents:\n      a: {python: 'm:a'}\n      ¶a: {python: 'm:b'}\n"
        )
        assert "the key 'a' is there twice" in told(text)

    @pytest.mark.parametrize(
        ("members", "edges", "words"),
        [
            (
                "agents: {a: {python: 'm:a'}, b: {device: {writes: {set: {topic: x}, dim: {topic: y}}}}}",
                "in -> a, ¶a -> b",
                "home/f/b has no input 'in' at agents.f.flow.edges[1] (its inputs are dim, set)",
            ),
            (
                "agents: {a: {python: 'm:a'}, b: {device: {writes: {set: {topic: x}}}}}",
                "in -> a, ¶a -> b.st",
                "home/f/b has no input 'st' at agents.f.flow.edges[1] (did you mean 'set'?)",
            ),
            (
                "agents: {a: {human: {ask: ok}}, b: {python: 'm:b'}}",
                "in -> a, ¶a.outt -> b",
                "home/f/a has no output 'outt' at agents.f.flow.edges[1] (did you mean 'out'?)",
            ),
            ("agents: {a: {device: {writes: {set: {topic: x}}}}, b: {python: 'm:b'}}", "in -> a, ¶a -> b", "home/f/a has no output 'out'"),
        ],
    )
    def test_a_port_that_a_member_lacks_is_told(self, members: str, edges: str, words: str) -> None:
        assert words in told(flow(edges, members=members))

    def test_a_condition_names_fields_that_the_types_of_ports_have(self) -> None:
        members = (
            "agents: {a: {python: 'm:a', outputs: {out: {type: object, properties: {verdict: {type: string}}}}}, "
            "b: {python: 'm:b'}, c: {python: 'm:c'}}"
        )
        marked = flow("in -> a -> b -> c, {from: a, to: c, when: \"¶verdikt == 'redo'\"}", members=members)
        assert "verdict" in told(marked)
        assert_silent(flow("in -> a -> b -> c, {from: a, to: c, when: \"verdict == 'redo'\"}", members=members))
        assert_silent(flow("in -> a -> b, {from: b, to: c, when: \"anything == 'redo'\"}"))

    def test_several_ends_need_names(self) -> None:
        assert "name the outputs" in str(read(flow("in -> a, {from: a, to: [b, c]}"))[0])  # type: ignore[index]

    def test_what_is_right_is_silent(self) -> None:
        assert_silent(
            """
matrix: home
agents:
  report:
    inputs: {request: text}
    outputs: {summary: {from: summarise}, mode: {type: text, retain: true, initial: home}}
    flow:
      edges:
        - request -> collect
        - collect -> analyse, photo
        - analyse, photo -> summarise
        - summarise -> critic
        - {from: critic, to: summarise, when: "verdict == 'redo'"}
      max_steps: 20
      deadline: 2m
    agents:
      collect: {python: "m:collect", retry: {attempts: 5}}
      analyse: {flow: {edges: [in -> inner]}, agents: {inner: {python: "m:inner"}}}
      photo: {python: "m:photo", deadline: 5s}
      summarise: {chat: {members: [x]}, agents: {x: {python: "m:x"}}}
      critic: {python: "m:critic"}
  reader: {triggers: {g: {on: {s: {from: report.summary}, e: {from: report.error}}, need: any, do: [{send: {to: report}}]}}}
"""
        )

    def test_a_loop_in_a_flow_is_no_cycle_of_publishes(self) -> None:
        """What leads on from a flow to itself through its output is a new run each time, and not certain to go on."""
        relaying = "{inputs: {in: any}, triggers: {g: {on: {s: {from: self.in}}, do: [{emit: {out: '${s.value}'}}]}}}"
        members = f"agents: {{a: {relaying}, b: {relaying}}}"
        assert_silent(flow("in -> a -> b, b -> a", ", max_steps: 5", "outputs: {x: {from: b}}", members=members))


class TestChats:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (matrix("  f:\n    ¶chat: {speaker: addressed}\n    " + MEMBERS), "the key 'members' is missing"),
            (chat("members: ¶[]"), "expected at least 1 of them, found 0"),
            (chat("members: [a, ¶bb]"), "`bb` is none of the agents below at agents.f.chat.members[1] (did you mean `b`?)"),
            (chat("members: [a, ¶a/b]"), "does not match"),
            (chat("members: [a], ¶untl: x"), "did you mean 'until'?"),
            (chat("members: [a], speaker: ¶round_robbin"), "did you mean 'round_robin'?"),
            (chat("members: [a], until: 'decision ==¶'"), "ends too early at agents.f.chat.until"),
            (chat("members: [a], speaker: {rule: '¶memberz[0]'}"), "memberz"),
            (chat("members: [a], max_turns: ¶0"), "expected a number >= 1, found 0"),
            (chat("members: [a]", "¶max_turns: 3"), "it belongs under `chat:`"),
            (chat("members: [a]", "¶deadline: 3s"), "the deadline of a chat stands under `chat:`"),
            (
                chat("members: [a]", "outputs: {¶transcripts: any}"),
                "a chat puts nothing out on 'transcripts' at agents.f.outputs.transcripts (did you mean 'transcript'?)",
            ),
            (chat("members: [a]", "outputs: {out: {¶from: a}}"), "what a chat puts out is its own"),
            (matrix("  f: {¶chat: {members: [a]}}"), "a chat lets agents below it work, and home/f has none"),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, marked: str, words: str) -> None:
        assert words in told(marked)

    def test_its_outputs_are_heard(self) -> None:
        assert_silent(
            chat(
                'members: [a, b], until: "decision != null && turn > 2", speaker: {rule: "members[turn % 2]"}, deadline: 1m',
                "outputs: {out: text}\n  r: {triggers: {g: {on: {s: {from: f}, t: {from: f.transcript}, e: {from: f.ended}}, need: any,"
                " do: [{send: {to: f}}]}}}",
            )
        )


class TestSwitches:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (
                switch("cases: [{when: 'x > 1', to: ¶aa}]"),
                "`aa` is none of the agents below at agents.f.switch.cases[0].to (did you mean `a`?)",
            ),
            (switch("cases: [{when: 'x > 1', to: a}], default: ¶zz"), "`zz` is none of the agents below"),
            (switch("cases: [{when: 'x >¶', to: a}]"), "ends too early at agents.f.switch.cases[0].when"),
            (switch("cases: ¶[]"), "expected at least 1 of them, found 0"),
            (switch("cases: [{when: 'x', ¶too: a, to: a}]"), "did you mean 'to'?"),
            (switch("cases: [{when: '¶y > 1', to: a}]", "inputs: {q: {type: object, properties: {x: {type: number}}}}"), "y"),
            (
                switch("cases: [{when: 'p', to: ¶a}]", "inputs: {p: any, q: any}", "agents: {a: {python: 'm:a', inputs: {p: any}}}"),
                "home/f/a has no input 'q'",
            ),
            (matrix("  f: {¶switch: {cases: [{when: 'true', to: a}]}}"), "a switch lets agents below it work"),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, marked: str, words: str) -> None:
        assert words in told(marked)

    def test_what_is_right_is_silent(self) -> None:
        assert_silent(switch("cases: [{when: 'x > 1', to: a}], default: b", "deadline: 3s"))
        takes_both = "agents: {a: {python: 'm:a', inputs: {p: any, q: any}}}"
        assert_silent(switch("cases: [{when: 'p > q', to: a}]", "inputs: {p: any, q: any}", takes_both))


class TestPools:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (pool("replicas: ¶0"), "expected a number >= 1, found 0"),
            (pool("replicas: 2, key: 'room +¶'"), "ends too early at agents.f.pool.key"),
            (
                pool("replicas: 2", "¶agents: {v: {python: 'm:v'}, w: {python: 'm:w'}}"),
                "a pool has exactly one agent below, whose replicas it makes; found v, w",
            ),
            (matrix("  f: {¶pool: {replicas: 2}}"), "a pool lets agents below it work"),
            (pool("¶replica: 2").replace("¶replica: 2", "replicas: 2, ¶busi_max: 2"), "did you mean 'busy_max'?"),
            (pool("replicas: 2", beside="¶replicas: 3"), "it belongs under `pool:`"),
            (pool("replicas: 2", beside="inputs: {¶w-1: any}"), "'w-1' is the name of a replica of home/f"),
            (pool("replicas: 2", "agents: {¶w: {device: {writes: {a: {topic: x}, b: {topic: y}}}}}"), "home/f/w-1 has no input 'in'"),
            (pool("replicas: 2", "agents: {w: {¶hots: x}}"), "did you mean 'host'?"),
            (
                pool("replicas: 3") + "  r: {triggers: {g: {on: {s: {from: ¶f/w.out}}, do: [{emit: {x: 1}}]}}}\n",
                "'w' is replicated by the pool home/f: there are w-1 to w-3",
            ),
            (
                pool("replicas: 3") + "  r: {triggers: {g: {on: {s: {from: ¶f/w-4.out}}, do: [{emit: {x: 1}}]}}}\n",
                "there is no agent home/f/w-4",
            ),
            (
                pool(
                    "replicas: 3",
                    "agents: {w: {agents: {x: {python: 'm:x', sends: [¶/home/f/w/y.set], "
                    "triggers: {g: {on: {s: {from: parent.in}}}}}, y: {python: 'm:y'}}, "
                    "inputs: {in: any}, outputs: {out: {from: x}}}}",
                ),
                "'w' is replicated by the pool home/f",
            ),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, marked: str, words: str) -> None:
        assert words in told(marked)

    def test_replicas_are_agents_like_any_other(self) -> None:
        x = "{python: 'm:x', sends: [y], triggers: {g: {on: {s: {from: parent.in}}}}}"
        worker = f"agents: {{w: {{agents: {{x: {x}, y: {{python: 'm:y'}}}}, inputs: {{in: any}}, outputs: {{out: {{from: x}}}}}}}}"
        assert_silent(pool("replicas: 3", worker) + "  r: {triggers: {g: {on: {s: {from: f/w-3/x}}, do: [{send: {to: f/w-1/y}}]}}}\n")

    def test_pools_in_pools_are_bounded(self) -> None:
        spec = AgentSpec(python="m:f")
        for _ in range(6):
            spec = AgentSpec.__pydantic_validator__.validate_python({"pool": {"replicas": 1000}, "agents": {"w": spec}})
        with pytest.raises(ConfigError) as caught:
            checked(MatrixSpec(matrix="home", agents={"p": spec}))
        assert "the pools make more than 10000 agents" in str(caught.value)


class TestMembersThatAreDeaf:
    @pytest.mark.parametrize(
        ("member", "remedy"),
        [
            ("{triggers: {t: {on: {x: {topic: t}}, do: [{emit: {out: 1}}]}}, inputs: {in: any}}", "{from: self.in}"),
            ("{python: 'm:a', triggers: {t: {on: {x: {topic: t}}}}}", "{from: self.in}"),
            ("{python: 'm:a', triggers: {t: {on: {x: {from: self.work}}}}}", "it reads work: name that, or read in"),
            ("{human: {ask: ok}, triggers: {t: {on: {x: {topic: t}}}}}", "{from: self.in}"),
            ("{agents: {b: {python: 'm:b'}}, inputs: {in: any}, outputs: {out: {from: b}}}", "{from: parent.in}"),
        ],
    )
    def test_a_call_that_nothing_hears_is_an_error(self, member: str, remedy: str) -> None:
        for marked in (
            flow("¶in -> a", members=f"agents: {{a: {member}}}"),
            matrix(f"  f:\n    chat: {{members: [¶a]}}\n    agents: {{a: {member}}}"),
            switch("cases: [{when: 'true', to: ¶a}]", members=f"agents: {{a: {member}}}"),
            pool("replicas: 2", f"agents: {{¶a: {member}}}"),
        ):
            words = told(marked)
            assert " reads its input 'in', so a call to it comes to nothing" in words
            assert remedy in words

    @pytest.mark.parametrize(
        "member",
        [
            "{triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: 1}}]}}, inputs: {in: any}}",
            "{triggers: {s: {on: {y: {topic: t}}}, t: {on: {x: {from: self}}}}, python: 'm:a'}",
            "{human: {ask: ok}, triggers: {t: {on: {x: {from: self.in}, tick: {every: 1h}}, need: any}}}",
            "{agents: {b: {python: 'm:b', triggers: {t: {on: {x: {from: parent.in}}}}}}, inputs: {in: any}, outputs: {out: {from: b}}}",
            "{host: pi, inputs: {in: any}, outputs: {out: any}, deadline: 1m}",
        ],
    )
    def test_a_call_that_is_heard_is_silent(self, member: str) -> None:
        assert_silent(flow("in -> a", members=f"agents: {{a: {member}}}"))

    def test_each_port_that_is_used_is_heard(self) -> None:
        member = "{inputs: {in: any, more: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{emit: {out: 1}}]}}}"
        edges = "b -> a.in, ¶b -> a.more, c -> a.more, 'in -> b, c'"
        words = told(flow(edges, members=f"agents: {{a: {member}, b: {{python: 'm:b'}}, c: {{python: 'm:c'}}}}"))
        assert "nothing in home/f/a reads its input 'more'" in words
        assert "it reads in: name that, or read more" in words


class TestPeople:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (matrix("  f:\n    ¶human: {choices: ['yes', 'no']}"), "the key 'ask' is missing"),
            (human("ask: 'Open ${¶door'").replace("${¶door", "¶${door"), "agents.f.human.ask"),
            (human("ask: ok, choices: ['yes', 'no'], default: ¶maybe"), "is none of the choices"),
            (human("ask: ok, notify: ¶'a/#'"), "agents.f.human.notify"),
            (human("ask: ok, notify: ¶em/out/x"), "is the bus's own"),
            (human("ask: ok, answers: ¶'a/#/b'"), "agents.f.human.answers"),
            (human("ask: ok, ¶time_out: 3s"), "did you mean 'timeout'?"),
            (human("ask: ok", "¶agents: {a: {python: 'm:a'}}"), "home/f asks a person, and has no agents below it"),
            (human("ask: ok", "¶choices: ['yes']"), "it belongs under `human:`"),
            (human("ask: ok", "outputs: {¶answer: any}"), "a human puts nothing out on 'answer'"),
        ],
    )
    def test_a_mistake_is_told_at_its_place(self, marked: str, words: str) -> None:
        assert words in told(marked)

    def test_what_is_right_is_silent(self) -> None:
        assert_silent(
            human(
                "ask: 'Open ${door}?', choices: ['yes', 'no'], default: 'no', notify: phone/ask, answers: phone/answer, timeout: 1m",
                "deadline: 2m",
            )
        )


class TestKinds:
    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (
                matrix("  f: {human: {ask: ok}, ¶device: {reads: {x: {topic: x}}}}"),
                "home/f is human, device at once, expected one of them (or human: with triggers:)",
            ),
            (matrix("  f: {human: {ask: ok}, ¶python: 'm:f'}"), "home/f is human, python at once"),
            (chat("members: [a]", "¶switch: {cases: [{when: 'true', to: a}]}"), "home/f is chat, switch at once"),
            (human("ask: ok", "¶sends: [f]"), "`sends` is for agents with python"),
        ],
    )
    def test_an_agent_is_of_one_kind(self, marked: str, words: str) -> None:
        assert words in told(marked)

    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (
                human("ask: ok", "triggers: {g: {on: {s: {topic: x}}, ¶do: [{emit: {out: 1}}]}}"),
                "a group of a human starts a run of it, and has no `do`",
            ),
            (
                human("ask: ok", "inputs: {door: any, who: any}\n    triggers: {g: {on: {¶dor: {topic: x}, who: {topic: y}}}}"),
                "home/f has no input 'dor' that would get the value of this source at agents.f.triggers.g.on.dor (did you mean 'door'?)",
            ),
        ],
    )
    def test_groups_start_runs(self, marked: str, words: str) -> None:
        assert words in told(marked)

    @pytest.mark.parametrize("sources", ["tick: {every: 1h}", "tick: {every: 1h}, night: {topic: z, equals: true, role: condition}"])
    def test_a_flow_that_is_started_without_any_value_would_do_nothing(self, sources: str) -> None:
        beside = f"inputs: {{x: any, y: any}}\n    triggers: {{g: {{¶on: {{{sources}}}}}}}"
        words = told(flow("'x, y -> a'", beside=beside, members="agents: {a: {python: 'm:a'}}"))
        assert "no source of this group feeds an input of home/f" in words
        assert "name sources after its inputs: x, y" in words

    def test_groups_start_runs_by_the_names_of_inputs(self) -> None:
        assert_silent(human("ask: ok", "triggers: {g: {on: {whatever: {topic: x}}}}"))
        several = "inputs: {door: any, who: any}\n    triggers: {g: {on: {%s}, need: any}}"
        for clock in ("every: 1h", "cron: '0 7 * * *'", "at: '07:00'", "during: '22:00-06:00'"):
            assert_silent(human("ask: ok", several % f"door: {{topic: x}}, tick: {{{clock}}}"))
            assert_silent(human("ask: ok", several % f"tick: {{{clock}}}"))
        gate = "night: {topic: z, equals: true, role: condition}"
        assert_silent(human("ask: ok", f"inputs: {{door: any, who: any}}\n    triggers: {{g: {{on: {{door: {{topic: x}}, {gate}}}}}}}"))

    @pytest.mark.parametrize(
        "marked",
        [
            matrix("  d: {device: {reads: {x: {topic: x}}}, ¶retry: {attempts: 2}}"),
            matrix("  d: {host: pi, ¶retry: {}}"),
            matrix("  d: {agents: {a: {python: 'm:a'}}, ¶retry: {}}"),
            matrix("  d: {device: {reads: {x: {topic: x}}}, ¶deadline: 5s}"),
        ],
    )
    def test_what_has_no_runs_has_none_to_retry(self, marked: str) -> None:
        assert "has no runs here" in told(marked)

    def test_a_retry_has_terms(self) -> None:
        assert "did you mean 'attempts'?" in told(matrix("  a: {python: 'm:a', retry: {¶atempts: 3}}"))
        assert_silent(matrix("  a: {python: 'm:a', retry: {attempts: 3, wait_max: 1s}, deadline: 5s}"))

    @pytest.mark.parametrize(
        ("marked", "words"),
        [
            (
                matrix("  f: {flow: {edges: [in -> error]}, agents: {¶error: {python: 'm:e'}}}"),
                "'error' is a port that every flow has, so a child of home/f cannot be named so",
            ),
            (matrix("  f: {human: {ask: ok}, inputs: {¶ask: any}}"), "so an input of home/f cannot be named so"),
        ],
    )
    def test_ports_that_nobody_wrote_have_names_too(self, marked: str, words: str) -> None:
        assert words in told(marked)


def test_a_name_alone_means_the_only_input() -> None:
    lamp = "  lamp: {device: {writes: {set: {topic: z}}}}\n"
    assert_silent(matrix(lamp + "  r: {triggers: {g: {on: {s: {topic: x}}, do: [{send: {to: lamp}}]}}}"))
    own = "  r: {inputs: {go: any}, triggers: {g: {on: {s: {from: self}}, do: [{publish: {topic: x}}]}}}"
    assert_silent(matrix(own))


def test_code_without_groups_works_on_its_inputs() -> None:
    assert "home/b has no input 'foo'" in told(matrix("  a: {python: 'm:a', sends: [¶b.foo]}\n  b: {python: 'm:b'}"))
    assert_silent(matrix("  a: {python: 'm:a', sends: [b.x, b.y]}\n  b: {python: 'm:b', inputs: {x: any, y: any}}"))


def test_a_matrix_of_rules_loads_no_composition() -> None:
    program = (
        "import sys; from edgematrix.config.document import parse_document; from edgematrix.config.reading import parse_matrix\n"
        "rule = '{on: {s: {topic: x}}, do: [{publish: {topic: y}}]}'\n"
        "parse_matrix(parse_document('matrix: home\\nagents: {r: {triggers: {g: ' + rule + '}}}', 'm'))\n"
        "print([name for name in sys.modules if name.startswith('edgematrix.composition')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "['edgematrix.composition', 'edgematrix.composition.llm_spec', 'edgematrix.composition.spec']"


def test_a_member_elsewhere_without_any_deadline_is_warned_about(tmp_path: Path) -> None:
    text = """
matrix: home
agents:
  work:
    flow: {edges: [in -> board]%s}
    agents:
      board: {host: shed, inputs: {in: any}, outputs: {out: any}%s}
"""
    for flow, board, wanted in (("", "", 1), (", deadline: 1m", "", 0), ("", ", deadline: 1m", 0)):
        file = tmp_path / "home.yaml"
        file.write_text(text % (flow, board))
        warnings = [issue.what for issue in read_matrix(file).warnings if "runs elsewhere and has no deadline" in issue.what]
        assert len(warnings) == wanted, (flow, board)
