"""Scenarios: tests of a matrix in virtual time, as files that anyone can read (docs/spec/matrix.md, "Scenarios")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass as definition

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import Document, read_document
from edgematrix.config.finding import error, issues_of
from edgematrix.config.opened import Opened
from edgematrix.config.opening import open_matrix
from edgematrix.config.reading import parse_matrix, referring
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.validation import validate_document
from edgematrix.config.yaml_build import Stage
from edgematrix.errors import ConfigError, TopicError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.fields import CLOSED, Duration, Flag
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.moment import parse_moment
from edgematrix.protocol.topic import check_topic
from edgematrix.runtime.observation import Observer
from edgematrix.testing.comparison import Comparison, compare
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import START_US, Restart, Simulation

__all__ = ["Scenario", "read_scenario"]


def _topic(text: str) -> str:
    try:
        return check_topic(text)
    except TopicError as error:
        raise ValueError(str(error)) from None


def _filter(text: str) -> str:
    try:
        return TopicFilter.parse(text).text
    except TopicError as error:
        raise ValueError(str(error)) from None


def _moment(text: str) -> str:
    parse_moment(text)
    return text


Topic = Annotated[str, AfterValidator(_topic)]
Filter = Annotated[str, AfterValidator(_filter)]


@definition(frozen=True, slots=True, kw_only=True, config=CLOSED)
class InputSpec:
    """What the outside world publishes."""

    at: Duration
    topic: Topic
    payload: Any = None
    retain: Flag = False
    qos: Literal[0, 1] = 0


@definition(frozen=True, slots=True, kw_only=True, config=CLOSED)
class ExpectSpec:
    """What the matrix is to publish; `retain` and `qos` are compared where they are given."""

    at: Duration
    topic: Topic
    payload: Any = None
    retain: Flag | None = None
    qos: Literal[0, 1] | None = None


@definition(frozen=True, slots=True, kw_only=True, config=CLOSED)
class RestartSpec:
    """The host is killed at `at` and started `down` later."""

    at: Duration
    down: Duration = 0


@definition(frozen=True, slots=True, kw_only=True, config=CLOSED)
class ScenarioSpec:
    """A scenario file."""

    name: str = ""
    matrix: Any
    """A matrix, or the path of a matrix file, from the scenario's folder."""
    input: list[InputSpec] = Field(default_factory=list)
    expect: list[ExpectSpec]
    until: Duration
    start: Annotated[str, AfterValidator(_moment)] | None = None
    restart: list[Duration | RestartSpec] = Field(default_factory=list)
    watch: list[Filter] = Field(default_factory=list)
    models: dict[str, list[Any]] = Field(default_factory=dict)
    """What models are to answer, by the paths of their agents, in place of the real ones: as a `script` of the provider `fake`, and of a
    model over windows `{label, score, embedding}` or `{error}`, the last again and again."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario that was read, with its matrix."""

    file: Path
    spec: ScenarioSpec
    opened: Opened

    @property
    def name(self) -> str:
        """As the file says, else the file's own name."""
        return self.spec.name or self.file.name.removesuffix(".scenario.yaml")

    def simulation(self, observer: Observer | None = None, seed: int = 0) -> Simulation:
        """The matrix in virtual time, not yet started.

        Raises:
            ConfigError: the matrix cannot be built.
        """
        opened, watch = self.opened, self.spec.watch
        scripts = {path.removeprefix("/"): script for path, script in self.spec.models.items()}
        return Simulation(
            opened.spec, loader=opened.loader, start_us=self.start_us, seed=seed, watch=watch, observer=observer, scripts=scripts
        )

    @property
    def start_us(self) -> int:
        """Virtual time 0, microseconds since the epoch."""
        return START_US if self.spec.start is None else parse_moment(self.spec.start)

    def run(self, observer: Observer | None = None, seed: int = 0) -> Comparison:
        """Play the inputs and compare what is published with what was expected.

        Raises:
            ConfigError: the matrix cannot be built.
        """
        simulation = self.simulation(observer, seed)
        seen = list(simulation.play(self.inputs(), self.spec.until, self.restarts()))
        return compare(self.spec.expect, seen)

    def inputs(self) -> Iterator[Recorded]:
        """What the outside world publishes, in order of time; what is of one moment stays as written."""
        for item in sorted(self.spec.input, key=lambda item: item.at):
            yield Recorded(item.at, item.topic, item.payload, item.retain, item.qos)

    def restarts(self) -> Sequence[Restart]:
        """The kills, in order of time."""
        written = (Restart(kill.at, kill.down) if isinstance(kill, RestartSpec) else Restart(kill) for kill in self.spec.restart)
        return sorted(written, key=lambda kill: kill.at_us)


def read_scenario(file: Path) -> Scenario:
    """Read a scenario and the matrix that it is about.

    Raises:
        ConfigError: every error that was found, in file order.
    """
    document = read_document(file, stage=Stage(children={"matrix": referring()}))
    spec = validate_document(ScenarioSpec, document)
    _check_order(spec, document)
    if isinstance(spec.matrix, str):
        opened = open_matrix(file.parent / spec.matrix)
        _check_models(spec, opened.spec, document)
        return Scenario(file, spec, opened)
    loader = CodeLoader(file.parent)
    reading = parse_matrix(document, ("matrix",), loader)
    _check_models(spec, reading.spec, document)
    return Scenario(file, spec, Opened(reading.spec, reading.warnings, loader))


def _check_models(spec: ScenarioSpec, matrix: MatrixSpec, document: Document) -> None:
    """Refuse answers of models that are not there."""
    if not spec.models:
        return
    known = [str(node.path) for node in AgentTree.of(matrix) if _asks_model(node.spec)]
    findings = []
    for path in spec.models:
        if path.removeprefix("/") not in known:
            near = get_close_matches(path.removeprefix("/"), known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
            findings.append(error(("models", path), f"there is no model {path[:80]!r}", remedy, at_key=True))
    if findings:
        raise ConfigError(issues_of(findings, document, ()))


def _asks_model(agent: AgentSpec) -> bool:
    """Whether an agent asks a model that a scenario may answer for."""
    if agent.voice is not None:
        return True
    return agent.llm is not None or agent.onnx is not None or (agent.sentences is not None and agent.sentences.near is not None)


def _check_order(spec: ScenarioSpec, document: Document) -> None:
    """Refuse what could never come true, before it is taken for a failure of the matrix."""
    moments = [("input", index, item.at) for index, item in enumerate(spec.input)]
    moments += [("expect", index, item.at) for index, item in enumerate(spec.expect)]
    findings = [
        error((part, index, "at"), f"{at_us / SECOND_US:g} s is after `until`, {spec.until / SECOND_US:g} s")
        for part, index, at_us in moments
        if at_us > spec.until
    ]
    if findings:
        raise ConfigError(issues_of(findings, document, ()))
