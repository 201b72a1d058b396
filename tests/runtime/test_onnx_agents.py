"""Agents that are models over windows, in virtual time: most with answers of a script, some with the model itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

from live_support import asked

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import parse_document
from edgematrix.config.hearing import foreign_filters
from edgematrix.config.reading import parse_matrix
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.units import units_of
from edgematrix.config.wires import Wires
from edgematrix.errors import ConfigError
from edgematrix.models.onnx_wire import Scored
from edgematrix.protocol.message import Message
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import DeadLettered, Dropped, Fired, Observation, RunEnded
from edgematrix.runtime.scorer import Scorer, Told
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Restart, Seen, Simulation
from tests.models import onnx_maker

S = 1_000_000
MATRIX = """
matrix: home
agents:
  room: {device: {reads: {x: {topic: t/x, unit: "°C"}}}}
  state: {onnx: {model: toy, on: {x: {from: room.x}, y: {topic: t/y, value: level}}}}
  rule:
    triggers:
      hot: {on: {score: {from: state.score, above: 0.9, for: 10s}}, do: [{publish: {topic: t/hot, payload: "${score.value}"}}]}
"""
FLOW = """
matrix: home
agents:
  judge:
    inputs: {request: any}
    flow: {edges: [request -> state, state -> say]}
    agents:
      state: {onnx: {model: toy}}
      say: {inputs: {in: any}, triggers: {t: {on: {v: {from: self.in}}, do: [{publish: {topic: t/said, payload: "${v.value}"}}]}}}
"""


class Played:
    """A matrix that was played, and what there was to see."""

    def __init__(
        self,
        folder: Path,
        inputs: Sequence[tuple[float, str, object]],
        until_s: float,
        *,
        text: str = MATRIX,
        script: Sequence[object] = (),
        watch: Sequence[str] = (),
    ) -> None:
        self.told: list[Observation] = []
        loader = CodeLoader(folder)
        spec = parse_matrix(parse_document(text, "home.yaml"), loader=loader).spec
        scripts = {"home/state": list(script)} if script else {}
        simulation = Simulation(spec, loader=loader, watch=watch, observer=self.told.append, scripts=scripts)
        recorded = [Recorded(round(at * S), topic, payload, False, 0) for at, topic, payload in inputs]
        self.seen: list[Seen] = list(simulation.play(recorded, round(until_s * S)))

    def payloads(self, topic: str) -> list[object]:
        return [seen.payload for seen in self.seen if seen.topic.endswith(topic)]

    def reasons(self, kind: type[Dropped | DeadLettered]) -> list[str]:
        return [told.reason for told in self.told if isinstance(told, kind)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx_maker.toy(tmp_path)
    return tmp_path


def readings(*values: object, y: object = 0) -> list[tuple[float, str, object]]:
    return [item for at, value in enumerate(values) for item in ((at, "t/x", value), (at, "t/y", {"level": y}))]


OUT = ["em/out/home/state/+"]
ANSWERS = [{"label": "low", "score": 0.25}, {"label": "high", "score": 0.75}]


def test_windows_of_what_sensors_say_become_labels_and_scores(folder: Path) -> None:
    played = Played(folder, readings(0, 0, 0.75, 1.5, 3), 9, watch=OUT)
    assert played.payloads("score") == [0.25, 0.75, 1.75]
    assert played.payloads("label") == ["low", "high", "high"]
    assert [seen.at_us for seen in played.seen if seen.topic.endswith("label")] == [2 * S, 3 * S, 4 * S]


def test_rules_hear_a_score_as_they_hear_a_sensor(folder: Path) -> None:
    answers = [{"label": "low", "score": 0.1}, {"label": "high", "score": 0.95}]
    played = Played(folder, readings(*range(20)), 30, script=answers)
    assert [(seen.at_us, seen.topic) for seen in played.seen] == [(13 * S, "t/hot")]


def test_units_are_brought_to_those_of_the_card(folder: Path) -> None:
    played = Played(folder, readings(33.8, 33.8, 33.8), 9, text=MATRIX.replace('"°C"', '"°F"'), watch=OUT)
    assert played.payloads("score") == [pytest.approx(1, abs=1e-6)]


@pytest.mark.parametrize("bad", [None, "unavailable", "NaN", "warm", {"a": 1}])
def test_what_is_no_number_spoils_the_window_that_it_is_in(folder: Path, bad: object) -> None:
    played = Played(folder, readings(1, 1, bad, 0, 0, 0), 9, watch=OUT)
    assert played.payloads("score") == [0]
    assert any("x is missing" in reason for reason in played.reasons(Dropped))


def test_a_list_is_so_many_samples(folder: Path) -> None:
    text = MATRIX.replace("{from: room.x}", "{topic: t/both, value: x, unit: °C}").replace(
        "{topic: t/y, value: level}", "{topic: t/both, value: y}"
    )
    played = Played(folder, [(1, "t/both", {"x": [1, 1, 1, 0, 0], "y": [0, 0, 0, 0, 0]})], 9, text=text, script=ANSWERS, watch=OUT)
    assert played.payloads("score") == [0.25, 0.75]  # of three windows at once the second gave way: the model was busy
    assert played.reasons(Dropped) == ["the model is busy: a newer window takes the place of one that waited (1 so far)"]


def test_while_the_model_is_busy_the_newest_window_waits(folder: Path) -> None:
    asked: list[Told] = []

    class Busy(Scorer):
        def __init__(self) -> None: ...

        def score(self, values: bytes, timeout_s: float, told: Told) -> Callable[[], None]:
            asked.append(told)
            return lambda: None

    loader = CodeLoader(folder)
    spec = parse_matrix(parse_document(MATRIX, "home.yaml"), loader=loader).spec
    clock = VirtualClock(0)
    around = Surroundings(
        clock=clock,
        new_id=id_maker(0),
        workshop=lambda limits, stalled: Workshop(clock, limits, stalled),
        loader=loader,
        scorer=lambda wanted, agent, workshop: Busy(),
    )
    assembly = build(spec, around)
    told: list[Observation] = []
    assembly.engine.observers.append(told.append)
    assembly.start({}, 0, lambda key, error: None)

    def feed(first: int, last: int) -> None:
        for at in range(first, last):
            for topic, value in (("t/x", at), ("t/y", {"level": 0})):
                assembly.engine.receive(Message(topic, value), at * S)

    feed(0, 40)
    assert len(asked) == 1
    assert sum(isinstance(one, Dropped) for one in told) == 36
    asked[0](None, "it hangs; it said last: help", 40 * S)
    assert assembly.engine.ailing == {"home/state": "it hangs"}
    assert len(asked) == 2  # the newest, at once
    asked[1](Scored(1, 0.5), "", 41 * S)
    assert assembly.engine.ailing == {}
    feed(41, 42)
    assert len(asked) == 3


def test_an_input_that_never_comes_is_told_once(folder: Path) -> None:
    played = Played(folder, [(at, "t/x", 1) for at in range(200)], 300)
    assert played.reasons(Dropped) == ["no window for 1m: y has had no value yet"]


def test_a_model_that_fails_costs_its_windows_and_leaves_one_dead_letter_in_a_row(folder: Path) -> None:
    script = [{"error": "it babbles"}, {"error": "it babbles"}, {"label": "low", "score": 0.5}, {"error": "it hangs"}]
    played = Played(folder, readings(*range(7)), 9, script=script, watch=OUT)
    assert played.payloads("score") == [0.5]
    assert played.reasons(DeadLettered) == ["it babbles", "it hangs"]
    assert [told.outcome for told in played.told if isinstance(told, RunEnded) and told.path == "home/state"] == [
        "failed", "failed", "done", "failed", "failed"
    ]  # fmt: skip


def test_a_model_in_a_flow_is_given_its_window(folder: Path) -> None:
    send = "em/in/home/judge/request"
    good = {"x": [1, 1, 1], "y": [0, 0, 0]}
    played = Played(folder, [(0, send, good), (1, send, [[0, 5], [0, 5], [0.75, 5]])], 9, text=FLOW)
    assert played.payloads("t/said") == [{"label": "high", "score": 1.0}, {"label": "low", "score": 0.25}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": [1, 1, 1]}, "the window has no y"),
        ({"x": [1, 1, 1], "y": [0, 0, 0], "z": []}, "has z, which the model does not know"),
        ({"x": [1, 1], "y": [0, 0, 0]}, "has 2 values of x, expected 3"),
        ({"x": [1, None, 1], "y": [0, 0, 0]}, "the value of x in row 1 is no finite number: None"),
        ([[1, 1]], "has 1 rows, expected 3"),
        ([[1, 1], 5, [1, 1]], "row 1 of the window has no list"),
        ("hello", "expected a window"),
    ],
)
def test_a_window_that_is_none_fails_its_run(folder: Path, given: object, words: str) -> None:
    played = Played(folder, [(0, "em/in/home/judge/request", given)], 9, text=FLOW)
    assert words in played.reasons(DeadLettered)[0]


def test_what_came_from_untrusted_text_taints_the_windows_that_it_is_in(folder: Path) -> None:
    text = MATRIX.replace("{from: room.x}", "{from: model.x, unit: °C}").replace(
        "  room:", "  model: {host: far, outputs: {x: number}}\n  room:"
    )

    def event(value: float, taint: str) -> dict[str, object]:
        head = {"specversion": "1.0", "id": f"e{value}{taint}", "source": "/home/model", "type": "em.out.x"}
        return head | {"data": value, "hops": 2} | ({"taint": taint} if taint else {})

    inputs = [
        item for at in range(8) for item in ((at, "em/out/home/model/x", event(at, "llm" if at == 2 else "")), (at, "t/y", {"level": 0}))
    ]
    played = Played(folder, inputs, 9, text=text, script=ANSWERS, watch=OUT)
    assert len(played.payloads("score")) == 6
    taints = [told.firing.trail.taint for told in played.told if isinstance(told, Fired) and told.path == "home/state"]
    assert taints == ["llm", "llm", "llm", "", "", ""]


def test_a_missing_runtime_is_one_line_with_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgematrix.models.onnx_model.util.find_spec", lambda name: None)
    loader = CodeLoader(folder)
    warnings = parse_matrix(parse_document(MATRIX, "home.yaml"), loader=loader).warnings
    assert [warning.remedy for warning in warnings] == ["pip install 'edgematrix[onnx]'"]
    with pytest.raises(ConfigError, match="needs onnxruntime, which is not installed") as refused:
        Played(folder, [], 1)
    assert len(refused.value.issues) == 1
    assert Played(folder, readings(1, 1, 1), 9, script=ANSWERS, watch=OUT).payloads("score") == [0.25]


def test_windows_begin_anew_after_a_restart(folder: Path) -> None:
    loader = CodeLoader(folder)
    spec = parse_matrix(parse_document(MATRIX, "home.yaml"), loader=loader).spec
    simulation = Simulation(spec, loader=loader, watch=OUT, scripts={"home/state": ANSWERS})
    inputs = [Recorded(round(at * S), topic, payload, False, 0) for at, topic, payload in readings(1, 1, 1, 1, 1)]
    seen = list(simulation.play(inputs, 9 * S, [Restart(round(1.5 * S))]))
    assert [one.at_us // S for one in seen if one.topic.endswith("label")] == [4]


# What is refused


@pytest.mark.parametrize(
    ("change", "words", "line"),
    [
        (("model: toy", "model: tyo"), "did you mean 'toy'", 5),
        (("x: {from: room.x}, ", ""), "nothing feeds x of the model toy", 5),
        (("y: {topic", "z: {topic"), "no input 'z'", 5),
        (("from: room.x", "from: room.xx"), "no output 'xx'", 5),
        (("from: room.x", "from: room.x, topic: t/z"), "one of them", 5),
        (('unit: "°C"', "unit: lx"), "'lx' is a unit of illuminance", 5),
        (("model: toy,", "model: toy, precision: int8,"), "not there as int8", 5),
        (("model: toy,", "model: toy, step: 2s,"), "a step is a number of samples", 5),
        (("state.score, above", "state.embedding, above"), "gives no embedding", 8),
        (("model: toy,", "model: toy, modell: 3,"), "modell", 5),
    ],
)
def test_a_wrong_agent_is_an_error_with_its_line(folder: Path, change: tuple[str, str], words: str, line: int) -> None:
    assert change[0] in MATRIX
    with pytest.raises(ConfigError) as wrong:
        parse_matrix(parse_document(MATRIX.replace(*change), "home.yaml"), loader=CodeLoader(folder))
    assert words in str(wrong.value)
    assert wrong.value.issues[0].line == line


def test_a_unit_that_nobody_says_is_a_warning(folder: Path) -> None:
    text = MATRIX.replace(', unit: "°C"', "")
    warnings = parse_matrix(parse_document(text, "home.yaml"), loader=CodeLoader(folder)).warnings
    assert [warning.what for warning in warnings] == ["nobody says in which unit this is; the model takes it for °C"]


def test_an_answer_that_the_model_cannot_give_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no label 'warm'.*low, high"):
        Played(folder, [], 1, script=[{"label": "warm"}])


def test_a_model_comes_and_goes_while_the_matrix_runs(folder: Path) -> None:
    spec = {"onnx": {"model": "toy", "on": {"x": {"from": "room.x"}, "y": {"topic": "t/y", "value": "level"}}}}
    text = MATRIX.partition("  state:")[0]

    made, gone = asked("create", "home/state", spec=spec), asked("remove", "home/state")
    inputs = [(0, *made), *[(at + 1, topic, value) for at, topic, value in readings(1, 1, 1, 1)], (9, *gone)]
    inputs += [(at + 10, topic, value) for at, topic, value in readings(1, 1, 1, 1)]
    played = Played(folder, inputs, 90, text=text, watch=["em/out/home/state/+", "em/reply/#"])
    assert played.payloads("score") == [1.0, 1.0]


def test_a_host_needs_the_runtime_and_may_read_what_feeds_the_model(folder: Path) -> None:
    tree = AgentTree.of(parse_matrix(parse_document(MATRIX, "home.yaml"), loader=CodeLoader(folder)).spec)
    needs = {unit.path: unit.needs.packages for unit in units_of(tree)}
    assert needs["home/state"] == ("onnxruntime",)
    assert needs["home/rule"] == ()
    state = tree.nodes["home/state"]
    assert [foreign.filter for foreign in Wires(tree).foreign(state)] == ["t/y"]
    assert [(target.node.path, target.port) for target in Wires(tree).sources(state)] == [("home/room", "x")]
    assert set(foreign_filters(tree.matrix)) == {"t/x", "t/y"}
