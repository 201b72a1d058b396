"""The scenarios of the specification on a real broker, with the outcome that they have in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess, skip_without
from live_scenario import LiveScenario

from edgematrix.testing.scenario import read_scenario

SCENARIOS = Path(__file__).parents[1] / "scenarios"
DOZEN = (
    "agents-watch-outputs",
    "aggregate-mean",
    "by-key",
    "clock-cron-and-at",
    "event-absent",
    "for-fires-by-timer",
    "level-hysteresis-keeps-in-between",
    "mode-queued-and-parallel",
    "need-sequence",
    "restart-deadline-passed-while-down",
    "restart-keeps-a-running-for",
    "retained-seeds",
    "role-gate",
    "throttle",
)
"""Those that are played by default: each kind of thing once."""
WAITS = re.compile(r"\bpython:|^models:", re.MULTILINE)


def found(folder: str) -> dict[str, Path]:
    """The scenarios without code and models: those of agents wait in real time."""
    files = sorted((SCENARIOS / folder).glob("*.scenario.yaml"))
    return {file.name.removesuffix(".scenario.yaml"): file for file in files if not WAITS.search(file.read_text())}


SPEC = found("spec")
ALL = [*SPEC.values(), *found("own").values()]


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker that hears nothing else."""
    kind = getattr(request, "param", "mosquitto")
    skip_without(kind)
    made = BrokerProcess(kind, tmp_path_factory.mktemp(kind))
    made.start()
    yield made
    made.kill()


def same_outcome(file: Path, broker: BrokerProcess, folder: Path) -> None:
    comparison = asyncio.run(LiveScenario(read_scenario(file), broker.url, folder).run())

    assert comparison.passed, f"{file.name}\n{comparison.table()}"


@pytest.mark.live
@pytest.mark.parametrize("name", DOZEN)
def test_a_scenario_has_the_same_outcome_on_a_real_broker(name: str, broker: BrokerProcess, tmp_path: Path):
    same_outcome(SPEC[name], broker, tmp_path)


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["mosquitto", "nats"], indirect=True)
@pytest.mark.parametrize("file", ALL, ids=lambda file: f"{file.parent.name}-{file.name.removesuffix('.scenario.yaml')}")
def test_every_scenario_has_the_same_outcome_on_every_broker(file: Path, broker: BrokerProcess, tmp_path: Path):
    same_outcome(file, broker, tmp_path)


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "was", "instead"),
    [
        ("retained-seeds", ", retain: true", ""),
        ("restart-held-firings", "at: 600, topic: t/slow", "at: 601, topic: t/slow"),
        ("need-sequence", "expect:\n", "expect:\n  - {at: 1, topic: t/never, payload: 1}\n"),
    ],
)
def test_the_stage_itself_can_fail(name: str, was: str, instead: str, broker: BrokerProcess, tmp_path: Path):
    text = SPEC[name].read_text()
    file = tmp_path / "wrong.scenario.yaml"
    file.write_text(text.replace(was, instead))
    assert file.read_text() != text

    assert not asyncio.run(LiveScenario(read_scenario(file), broker.url, tmp_path).run()).passed
