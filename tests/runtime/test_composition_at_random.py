"""Random agents of agents, in virtual time: whatever they do, nothing is left, nothing is told twice, and no two runs are mixed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from matrix_maker import REQUESTS_S, Maker, Outcomes, orders_of, world_of

from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.simulator import Restart

SEEDS = st.integers(0, 2**32 - 1)
BREADTHS = st.integers(1, 4)
DEPTHS = st.integers(1, 4)
QUIET = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))


def faults_of(seed: int, breadth: int, depth: int) -> list[str]:
    random = Random(seed)
    maker = Maker(random, breadth, depth)
    matrix = maker.matrix()
    said = world_of(random, matrix, maker.people)
    note(json.dumps(matrix))
    with tempfile.TemporaryDirectory() as folder:
        played = Outcomes(Path(folder), matrix, said)
        faults = [*played.left_over(), *played.run_faults(), *played.letter_faults()]
        if seed % 4 == 0 and Outcomes(Path(folder), matrix, said).bytes() != played.bytes():
            faults.append("the same seed gave other bytes")
        if seed % 4 == 1:
            kill = Restart(random.randrange(1, REQUESTS_S) * SECOND_US + random.choice([0, 1, 500_000]), random.choice([0, 5 * SECOND_US]))
            faults += [f"after a restart: {fault}" for fault in Outcomes(Path(folder), matrix, said, (kill,)).left_over()]
        if seed % 4 > 1:
            ordered = Outcomes(Path(folder), matrix, sorted([*said, *orders_of(random, played)], key=lambda recorded: recorded.at_us))
            found = [*ordered.left_over(), *ordered.run_faults(), *ordered.letter_faults()]
            faults += [f"after orders: {fault}" for fault in found]
    return faults


@settings(QUIET, max_examples=100)
@given(SEEDS, BREADTHS, DEPTHS)
def test_nothing_is_left(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) == []


@pytest.mark.slow
@settings(QUIET, max_examples=5_000)
@given(SEEDS, BREADTHS, DEPTHS)
def test_nothing_is_left_of_many(seed: int, breadth: int, depth: int) -> None:
    assert faults_of(seed, breadth, depth) == []
