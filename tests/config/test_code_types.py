"""The types of agents' code in a YAML matrix: compared when it is opened, each at the place of its edge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.opening import open_matrix
from edgematrix.config.reading import parse_matrix
from edgematrix.errors import ConfigError, Issue
from edgematrix.testing.recording import Recorded
from edgematrix.testing.scenario import read_scenario
from edgematrix.testing.simulator import Simulation

CODE = """
import edgematrix as em
from pydantic import BaseModel

class Facts(BaseModel):
    rooms: int
    note: str = ""

class Wanted(BaseModel):
    rooms: str

def whole(value: object, context) -> int: return 1
def text(value: str, context) -> str: return value
def number(value: float, context) -> float | None: return value
def facts(value: object, context) -> Facts | None: return Facts(rooms=1)
def wanted(value: Wanted, context) -> str: return ""
def firing(value: em.Firing, context): return None
def parts(value: dict[str, int], context) -> int: return 0
"""
COUNTED = "from pathlib import Path\nwith Path(__file__).with_name('count').open('a') as f: f.write('x')\n"
FLOW = """matrix: home
agents:
  f:
    flow:
      edges:
        - in -> a
        - {edge}
    agents:
      a: {a}
      b: {b}
"""
Open = Callable[..., list[Issue]]


@pytest.fixture
def told(tmp_path: Path, request: pytest.FixtureRequest) -> Open:
    """Errors of a matrix, or warnings where it has none. `PARTS` is a module of this test's own."""
    module = f"parts_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{module}.py").write_text(CODE)
    file = tmp_path / "home.yaml"

    def opened(text: str, *, imports: bool = True) -> list[Issue]:
        file.write_text(text.replace("PARTS", module))
        try:
            return open_matrix(file, imports=imports).warnings
        except ConfigError as error:
            return error.issues

    return opened


def flow(a: str, b: str, edge: str = "a -> b") -> str:
    spelt = [part if part.startswith("{") else f"{{python: 'PARTS:{part}'}}" for part in (a, b)]
    return FLOW.format(edge=edge, a=spelt[0], b=spelt[1])


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("whole", "text", "the types of a -> b do not fit: a whole number, expected a text"),
        ("text", "number", "the types of a -> b do not fit: a text, expected a number"),
        ("number", "text", "the types of a -> b do not fit: a number, expected a text"),
        ("facts", "wanted", "the types of a -> b do not fit: rooms: a whole number, expected a text"),
        ("facts", "{python: 'PARTS:firing', inputs: {in: text}}", "the types of a -> b do not fit: an object, expected a text"),
        ("{python: 'PARTS:firing', outputs: {out: bool}}", "text", "the types of a -> b do not fit: true or false, expected a text"),
        ("{python: 'PARTS:whole', outputs: {out: {retain: true}}}", "text", "a whole number, expected a text"),
        ("whole", "{python: 'PARTS:text', inputs: {said: {}}}", "a whole number, expected a text"),
        ("whole", "{pool: {replicas: 3}, agents: {w: {python: 'PARTS:text'}}}", "a whole number, expected a text"),
    ],
)
def test_what_a_function_gives_is_compared_with_what_the_next_one_takes(told: Open, a: str, b: str, words: str) -> None:
    (issue,) = told(flow(a, b))
    assert words in issue.what
    assert (issue.severity, Path(issue.file).name, issue.line, issue.column) == ("error", "home.yaml", 7, 11)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("whole", "number"),
        ("firing", "text"),
        ("whole", "firing"),
        ("{python: 'PARTS:whole', outputs: {out: any}}", "text"),
        ("whole", "{python: 'PARTS:text', inputs: {in: any}}"),
        ("whole", "{python: 'PARTS:text', triggers: {t: {on: {x: {from: self.in, value: name}}}}}"),
        ("whole", "{python: 'PARTS:parts', inputs: {in: {}, more: {}}}"),
    ],
)
def test_what_fits_or_is_not_known_is_silent(told: Open, a: str, b: str) -> None:
    edge = "{from: a, to: b.in}" if "more" in b else "a -> b"
    assert told(flow(a, b, edge)) == []


def test_a_condition_names_the_fields_of_what_a_function_gives(told: Open) -> None:
    (issue,) = told(flow("facts", "whole", "{from: a, to: b, when: 'room > 1'}"))
    assert "room" in issue.what
    assert "rooms" in issue.remedy
    assert issue.line == 7
    assert told(flow("facts", "whole", "{from: a, to: b, when: 'rooms > 1'}")) == []


CHAT = """matrix: home
agents:
  council:
    chat: {members: [a, b], until: "%s"}
    agents: {a: {python: 'PARTS:facts'}, b: {python: 'PARTS:%s'}}
"""


def test_the_end_of_a_chat_names_fields_of_what_its_members_give(told: Open) -> None:
    (issue,) = told(CHAT % ("room > 1", "text"))
    assert "room" in issue.what
    assert issue.line == 4
    assert told(CHAT % ("rooms > 1 || turn > 2 || reply == 'end'", "text")) == []
    assert told(CHAT % ("room > 1", "firing")) == []


def test_a_literal_that_is_sent_to_code_is_compared_with_what_it_takes(told: Open) -> None:
    text = """matrix: home
agents:
  b: {python: 'PARTS:text'}
  rule: {triggers: {t: {on: {x: {topic: t}}, do: [{send: {to: b, payload: 1}}]}}}
"""
    (issue,) = told(text)
    assert issue.what.startswith("the payload does not fit home/b.in")
    assert issue.line == 4


def test_without_imports_no_code_is_run(told: Open) -> None:
    assert told(flow("whole", "text"), imports=False) == []


def test_code_that_cannot_be_loaded_is_an_error_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken_here.py").write_text("import edgematrix\n\nraise SystemExit(3)\n")
    (tmp_path / "holed_here.py").write_text("def f(value, context): return 1\n")
    (tmp_path / "home.yaml").write_text("""matrix: home
agents:
  a: {python: 'broken_here:f'}
  b: {python: 'holed_here:g'}
  c: {python: 'holed_here:f'}
  d: {python: 'nowhere_here:f'}
""")
    with pytest.raises(ConfigError) as raised:
        open_matrix(tmp_path / "home.yaml")
    issues = raised.value.issues
    assert [(issue.line, issue.column) for issue in issues] == [(3, 15), (4, 15), (5, 15)]
    assert f"{tmp_path / 'broken_here.py'}:3: the module cannot be loaded: SystemExit: 3" in issues[0].what
    assert issues[1].what == "there is no function 'holed_here:g'"
    assert "'value' of the agent's function has no type" in issues[2].what


def test_a_module_that_may_not_be_loaded_is_told_as_a_warning(tmp_path: Path) -> None:
    (tmp_path / "home.yaml").write_text("matrix: home\nagents:\n  d: {python: 'nowhere_here.at:f'}\n")
    (issue,) = open_matrix(tmp_path / "home.yaml").warnings
    assert (issue.severity, issue.line) == ("warning", 3)
    assert issue.remedy.endswith("--allow nowhere_here")


def test_a_module_beside_a_matrix_that_is_named_by_a_relative_path_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "relative_here.py").write_text(f"{COUNTED}def f(value: int, context) -> int: return value\n")
    (tmp_path / "home.yaml").write_text("matrix: home\nagents:\n  a: {python: 'relative_here:f'}\n  b: {python: 'relative_here:f'}\n")
    monkeypatch.chdir(tmp_path)
    opened = open_matrix(Path("home.yaml"))
    assert list(Simulation(opened.spec, loader=opened.loader).play([], 1)) == []
    assert (tmp_path / "count").read_text() == "x"


def test_a_module_that_fails_is_run_once_for_all_its_agents(tmp_path: Path) -> None:
    (tmp_path / "counted_here.py").write_text(f"{COUNTED}raise ValueError('no')\n")
    agents = "".join(f"  a{n}: {{python: 'counted_here:f{n}'}}\n" for n in range(5))
    (tmp_path / "home.yaml").write_text(f"matrix: home\nagents:\n{agents}")
    with pytest.raises(ConfigError) as raised:
        open_matrix(tmp_path / "home.yaml")
    assert len(raised.value.issues) == 5
    assert (tmp_path / "count").read_text() == "x"


def test_the_matrix_in_a_scenario_is_compared_too(tmp_path: Path) -> None:
    (tmp_path / "in_scenario.py").write_text(CODE)
    matrix = flow("whole", "text").replace("PARTS", "in_scenario").replace("\n", "\n  ")
    (tmp_path / "x.scenario.yaml").write_text(f"name: x\nuntil: 1\nexpect: []\ninput: []\nmatrix:\n  {matrix}")
    with pytest.raises(ConfigError) as raised:
        read_scenario(tmp_path / "x.scenario.yaml")
    assert [issue.line for issue in raised.value.issues] == [12]


def test_a_document_by_itself_loads_nothing() -> None:
    assert parse_matrix(parse_document(flow("whole", "text"), "m.yaml", {})).warnings == []


def test_an_edge_that_is_drawn_while_it_runs_is_compared_too(tmp_path: Path) -> None:
    (tmp_path / "live_here.py").write_text(CODE)
    text = flow("whole", "text", "in -> b").replace("PARTS", "live_here").replace("    flow:", "    outputs: {out: {from: b}}\n    flow:")
    (tmp_path / "home.yaml").write_text(text)
    opened = open_matrix(tmp_path / "home.yaml")
    event = {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.op", "data": {"session": "s", "from": "a", "to": "b"}}
    inputs = [Recorded(1_000_000, "em/op/me/connect/home/f", event)]
    simulation = Simulation(opened.spec, loader=opened.loader, watch=["em/reply/#"])
    (answer,) = simulation.play(inputs, 2_000_000)
    assert "the types of" in str(answer.payload)
    assert "expected a text" in str(answer.payload)
