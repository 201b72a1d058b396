"""Which trigger groups boards judge themselves, which not and why, and which readings stay on the board."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgematrix.access.grant import Access
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.authority import principals_of
from edgematrix.config.board_rules import board_rules
from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix
from edgematrix.config.spec import MatrixSpec

BOARD = "{host: b, inputs: {set: text, dim: number}, outputs: {t: number, u: any, kept: {type: number, retain: true}}}"
SEND = '[{send: {to: board.set, payload: "on"}}]'
EMIT = "do: [{emit: {o: 1}}]"
PUBLISH = "do: [{publish: {topic: o, payload: 1}}]"


def matrix_of(text: str) -> MatrixSpec:
    return parse_matrix(parse_document(text, "home.yaml")).spec


def house(groups: str, more: str = "", board: str = BOARD, agent: str = "outputs: {o: any}") -> MatrixSpec:
    return matrix_of(f"matrix: home\nagents:\n  board: {board}\n  rule: {{{agent}, triggers: {{{groups}}}}}\n{more}")


def lines(spec: MatrixSpec) -> list[str]:
    return [verdict.describe().removeprefix("home/rule: `g` ") for verdict in board_rules(AgentTree.of(spec))[1]]


def table_of(spec: MatrixSpec) -> list[Any]:
    (found,) = board_rules(AgentTree.of(spec))[0]
    return found.table.form


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("on: {a: {from: board.t, above: 3}, b: {topic: x/y}}", "`b` is not of this board"),
        ("on: {a: {from: board.t, above: 3}, b: {from: other.t}}", "it reads 2 boards"),
        ("on: {a: {from: board.t, above: 3}, b: {during: '22:00-06:00'}}", "`b` goes by the clock (`during`), which is the host's"),
        ("on: {a: {from: board.t}, b: {every: 5s}}", "`b` goes by the clock (`every`), which is the host's"),
        ("on: {a: {from: board.t, absent: 5m}}", "only the host hears that the board is silent (`a`: `absent`)"),
        ("on: {a: {from: board.t, where: 'value > 3'}}", "boards do not know `where` (`a`)"),
        ("on: {a: {from: board.t, as: number}}", "boards do not know `as` (`a`)"),
        ("on: {a: {from: board.t, above: 3, expires: 5m}}", "boards do not know `expires` (`a`)"),
        ("on: {a: {from: board.t, keep: all}}", "boards do not know `keep: all` (`a`)"),
        ("on: {a: {from: board.u, value: {x: a, y: b}}}", "boards do not know `value: {…}` (`a`)"),
        ("on: {a: {from: board.t}, b: {from: board.u, role: live, required: true}}", "boards do not know `required` (`b`)"),
        ("on: {a: {from: board.t}, b: {from: board.u, role: gate}}", "boards do not know `role: gate` (`b`)"),
        ("on: {a: {from: board.t, aggregate: {fn: stddev, over: 1m}}}", "boards do not know `aggregate: stddev` (`a`)"),
        ("on: {a: {from: board.t, aggregate: {fn: mean, over: 1m, min_samples: 33}}}", "`a` needs 33 samples, a board remembers 32"),
        ("on: {a: {from: board.t, count: {at_least: 33, within: 1m}}}", "`a` counts 33, a board remembers 32"),
        ("on: {a: {from: board.t}, b: {from: board.u}}, need: sequence", "boards do not know `need: sequence`"),
        ("on: {a: {from: board.t}, b: {from: board.u}}, within: 3s", "boards do not know `within`"),
        ("on: {a: {from: board.t}, b: {from: board.u}}, timeout: 3s", "boards do not know `timeout`"),
        ("on: {a: {from: board.t}}, if: 'a.value > 1', if_false: keep", "boards do not know `if_false: keep`"),
        ("on: {a: {from: board.t}}, limit: {count: 33, per: 1m}", "`limit` counts 33, a board remembers 32"),
        ("on: {a: {from: board.t, above: 3, for: 13d}}", "boards count up to 12 days (`a`: `for`)"),
        ("on: {a: {from: board.t, above: 3, for: 0.0005}}", "boards count whole milliseconds (`a`: `for`)"),
        ("on: {a: {from: board.t, above: 21.12345}}", "`a` compares with 21.12345; numbers of boards have 6 digits"),
        (f"on: {{a: {{from: board.u, is: {'x' * 65}}}}}", "`a` asks for a text of over 64 bytes"),
        (f"on: {{a: {{from: board.u, is: {list(range(17))}}}}}", "`a` asks for 17 values, a board for 16"),
        (
            f"on: {{{', '.join(f's{n}: {{from: board.t, above: {n}}}' for n in range(9))}}}",
            "it has 9 sources, a board judges 8",
        ),
    ],
)
def test_what_stays_with_the_host_says_why(group: str, reason: str) -> None:
    found = lines(house(f"g: {{{group}, do: [{{emit: {{o: 1}}}}]}}", more="  other: {host: c, outputs: {t: number}}\n"))
    assert [line.partition("; of ")[0] for line in found] == [f"stays with the host: {reason}"]


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (f"do: {SEND}", "which acts by itself"),
        ("do: [{send: {to: board.dim, payload: '${ a.value }'}}, {emit: {o: 1}}]", "which acts by itself"),
        ("do: [{send: {to: board.dim, payload: '${a.value + 1}'}}]", "and the host acts: what it sends is computed"),
        ("do: [{emit: {o: 1}}]", "and the host acts: its first action is no `send` without `when`"),
        (
            "do: [{when: 'a.value > 3', send: {to: board.set, payload: 'on'}}]",
            "and the host acts: its first action is no `send` without `when`",
        ),
        ("do: [{send: {to: lamp.set, payload: 'on'}}]", "and the host acts: it sends to home/lamp"),
        (f"if: 'a.value > 3', do: {SEND}", "and the host acts: the host judges `if`"),
        ("do: [{send: {to: board.set, payload: 'on'}}, {delay: 2s}]", "and the host acts: its actions take time"),
    ],
)
def test_who_acts(rest: str, told: str) -> None:
    lamp = "  lamp: {device: {writes: {set: {topic: lamp/set}}}}\n"
    assert lines(house(f"g: {{on: {{a: {{from: board.t, above: 1}}}}, {rest}}}", more=lamp)) == [
        f"can be pushed down to home/board, {told}"
    ]


def test_the_table() -> None:
    group = f"g: {{on: {{a: {{from: board.t, above: 27, hysteresis: 0.5, for: 2m}}}}, throttle: 1m, do: {SEND}}}"
    version, name, quiet, rules = table_of(house(group))
    assert (version, len(name), quiet) == (1, 8, [["t", []]])
    ((rule, *form),) = rules
    source = ["t", None, 0, 0, [27, 26.5, None, None], 120_000, 1, None]
    assert form == [0, [source], [0, 0, 0, 60_000, 0], [[0, "set", 0, "on"]]]
    assert len(rule) == 8
    assert table_of(house(group.replace("27", "28")))[1] != name


@pytest.mark.parametrize(
    ("groups", "more", "quiet"),
    [
        (f"g: {{on: {{a: {{from: board.t, above: 1}}}}, {EMIT}}}", "", ["t"]),
        (f"g: {{on: {{a: {{from: board.t, above: 1}}}}, {EMIT}}}, h: {{on: {{a: {{from: board.t, absent: 1m}}}}, {EMIT}}}", "", []),
        (f"g: {{on: {{a: {{from: board.kept, above: 1}}}}, {EMIT}}}", "", []),
        (f"g: {{on: {{a: {{from: board.t, above: 1}}, b: {{from: board.u, role: live}}}}, {EMIT}}}", "", ["t", "u"]),
        (
            f"g: {{on: {{a: {{from: board.t, above: 1}}}}, {EMIT}}}",
            f"  see: {{triggers: {{g: {{on: {{a: {{from: board.t}}, b: {{topic: x}}}}, {PUBLISH}}}}}}}\n",
            [],
        ),
    ],
)
def test_only_what_nobody_else_reads_is_quiet(groups: str, more: str, quiet: list[str]) -> None:
    assert [port for port, _ in table_of(house(groups, more))[2]] == quiet


@pytest.mark.parametrize(
    ("source", "sieve"),
    [
        ("above: 27, hysteresis: 1, for: 5m", [0, [27, 26, None, None], 0, 1]),
        ("equals: [on, 1], unknown: break", [1, [1, ["on", 1]], 0, 2]),
        ("is: on", [4, ["on"], 0, 0]),
        ("changes: {from: off, to: on}", [5, [None, None], 0, 0]),
        ("changes: {by: 0.5}", [6, 0.5, 0, 1]),
        ("above: 27, role: condition", [0, [27, 27, None, None], 0, 1]),
        ("above: 27, expires: 5m", None),
        ("above: 27, where: 'value < 99'", None),
        ("above: 27, aggregate: {fn: mean, over: 5m}", None),
        ("role: live", None),
        ("count: {at_least: 3, within: 1m}", None),
        ("absent: 5m", None),
    ],
)
def test_of_a_group_that_stays_the_host_hears_what_makes_a_difference(source: str, sieve: Any) -> None:
    spec = house(f"g: {{on: {{warm: {{from: board.u, {source}}}, b: {{topic: x}}}}, within: 5s, {EMIT}}}")
    less = "; of warm it hears what makes a difference" if sieve else ""
    assert lines(spec) == [f"stays with the host: boards do not know `within`{less}"]
    expected = [] if sieve is None else [["u", [["u", None, 0, *sieve, None]]]]
    assert table_of(spec)[2:] == [expected, []]


def test_a_level_whose_value_is_read_is_told_whole() -> None:
    emit = "do: [{emit: {o: '${warm.value}'}}]"
    spec = house(f"g: {{on: {{warm: {{from: board.u, above: 3}}, b: {{topic: x}}}}, {emit}}}")
    assert table_of(spec)[2] == []
    assert table_of(house(f"g: {{on: {{warm: {{from: board.u, is: 3}}, b: {{topic: x}}}}, {emit}}}"))[2] != []


def test_several_groups_that_want_different_values() -> None:
    wants = ", ".join(f"g{n}: {{on: {{warm: {{from: board.u, above: {n}}}, b: {{topic: x}}}}, {EMIT}}}" for n in range(4))
    ((port, sieves),) = table_of(house(wants))[2]
    assert (port, len(sieves)) == ("u", 4)
    many = ", ".join(f"g{n}: {{on: {{warm: {{from: board.u, above: {n}}}, b: {{topic: x}}}}, {EMIT}}}" for n in range(9))
    assert table_of(house(many))[2] == []


def test_what_a_composite_passes_on_is_not_quiet() -> None:
    text = f"matrix: home\nagents:\n  room:\n    outputs: {{out: {{from: board.t}}}}\n    agents:\n      board: {BOARD}\n"
    spec = matrix_of(text + f"      rule: {{triggers: {{g: {{on: {{a: {{from: board.t, above: 1}}}}, do: {SEND}}}}}}}\n")
    assert table_of(spec)[2] == []


def test_a_full_board_says_so() -> None:
    groups = ", ".join(f"g{n}: {{on: {{a: {{from: board.t, above: {n}}}}}, {EMIT}}}" for n in range(40))
    found = lines(house(groups))
    assert sum("can be pushed down" in line for line in found) == 32
    assert (
        found[-1]
        == "home/rule: `g39` stays with the host: the board has 32 rules, or 4096 bytes of them; of a it hears what makes a difference"
    )
    long = ", ".join(f"g{n}: {{on: {{a: {{from: board.u, is: {[f'{m}' + 'x' * 60 for m in range(16)]}}}}}, {EMIT}}}" for n in range(6))
    spec = house(long)
    assert sum("can be pushed down" in line for line in lines(spec)) == 3
    assert len(json.dumps(table_of(spec))) <= 4096


def test_who_may_hand_out_rules_and_hear_firings() -> None:
    spec = matrix_of(
        f"matrix: home\naccess: {{hosts: {{one: {{}}, two: {{}}}}}}\nagents:\n  board: {BOARD}\n"
        f"  rule: {{host: one, triggers: {{g: {{on: {{a: {{from: board.t, above: 1}}}}, do: {SEND}}}}}}}\n"
        f"  other: {{host: two, outputs: {{o: any}}, triggers: {{g: {{on: {{a: {{topic: x}}}}, {EMIT}}}}}}}\n"
    )
    principals = {principal.name: principal.grants for principal in principals_of(spec)}
    topics = {name: {(grant.access, grant.filter) for grant in grants} for name, grants in principals.items()}
    mine = {(Access.WRITE, "em/in/home/board/_rules"), (Access.READ, "em/out/home/board/_rules"), (Access.READ, "em/state/home/board")}
    assert mine <= topics["one"]
    assert not mine & topics["two"]


def test_a_matrix_without_boards_has_none() -> None:
    assert board_rules(
        AgentTree.of(
            matrix_of(f"matrix: home\nagents: {{a: {{outputs: {{o: any}}, triggers: {{g: {{on: {{x: {{topic: t}}}}, {EMIT}}}}}}}}}\n")
        )
    ) == ([], [])
