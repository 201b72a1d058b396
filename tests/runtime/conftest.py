"""A matrix in virtual time, for tests of what a host does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import KINDS, Bus, OnBus, open_bus

from edgematrix.config.opening import open_matrix
from edgematrix.protocol.duration import parse_duration
from edgematrix.runtime.observation import Observation
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Restart, Simulation

Told = list[tuple[float, str, object]]


class Played:
    """What came of it."""

    def __init__(self, told: Told, observations: list[Observation]) -> None:
        self.told = told
        self.observations = observations

    def on(self, topic: str) -> list[object]:
        return [payload for _, seen, payload in self.told if seen == topic]

    def of(self, kind: type[Any]) -> list[Any]:
        return [found for found in self.observations if isinstance(found, kind)]


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Play inputs `(at, topic, payload)` to a matrix given as YAML; modules by name and text. A fourth part is the retain flag."""

    def run(
        matrix: str,
        inputs: Sequence[tuple[Any, ...]] = (),
        until: float | str = 60,
        *,
        modules: dict[str, str] | None = None,
        restarts: Sequence[Restart] = (),
        watch: Sequence[str] = ("#",),
    ) -> Played:
        for name, text in (modules or {}).items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "matrix.yaml").write_text(matrix)
        opened = open_matrix(tmp_path / "matrix.yaml")
        observations: list[Observation] = []
        simulation = Simulation(opened.spec, loader=opened.loader, watch=watch, observer=observations.append)
        recorded = [Recorded(parse_duration(at), topic, payload, *retained) for at, topic, payload, *retained in inputs]
        seen = simulation.play(recorded, parse_duration(until), restarts)
        return Played([(item.at_us / 1e6, item.topic, item.payload) for item in seen], observations)

    return run


@pytest.fixture(params=KINDS)
def on_bus(request: pytest.FixtureRequest, tmp_path: Path) -> OnBus:
    """Run a test on each kind of bus."""

    def run(test: Callable[[Bus], Awaitable[None]]) -> None:
        async def main() -> None:
            async with open_bus(request.param, tmp_path) as bus:
                await test(bus)

        asyncio.run(main())

    return run
