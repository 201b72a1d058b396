"""A rule whose condition comes in the same message as what it is a condition of, as motion sensors have it."""

from __future__ import annotations

import pytest

from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix

OCCUPIED = "occupied: {topic: z/motion, value: occupancy}"
LUX = "lux: {topic: z/motion, value: illuminance}"
MATRIX = """\
matrix: home
agents:
  motion: {{device: {{reads: {{{reads}}}}}}}
  rule:
    triggers:
      g: {{on: {{m: {{from: motion.occupied, equals: true{more}}}, l: {{{lux}}}}}, do: [{{publish: {{topic: lamp, payload: 1}}}}]}}
"""
CONDITION = "from: motion.lux, below: 30, role: condition"


def warned(reads: str, lux: str = CONDITION, more: str = "") -> list[str]:
    found = parse_matrix(parse_document(MATRIX.format(reads=reads, lux=lux, more=more), "m.yaml", {}))
    return [f"{issue.line}: {issue.what} → {issue.remedy}" for issue in found.warnings]


@pytest.mark.parametrize("lux", [CONDITION, "from: motion.lux, role: live", "from: motion.lux, role: optional"])
def test_what_is_looked_at_before_it_is_there_is_told(lux: str) -> None:
    (told,) = warned(f"{OCCUPIED}, {LUX}", lux)

    assert told.startswith("6: `l` comes in the same message as `m`, but after it")
    assert "above" in told


@pytest.mark.parametrize(
    ("reads", "lux", "more"),
    [
        (f"{LUX}, {OCCUPIED}", CONDITION, ""),
        (f"{OCCUPIED}, lux: {{topic: z/lux}}", CONDITION, ""),
        (f"{OCCUPIED}, {LUX}", CONDITION, ", for: 2s"),
        (f"{OCCUPIED}, {LUX}", "from: motion.lux, below: 30", ""),
        (f"{OCCUPIED}, {LUX}", "topic: z/motion, value: illuminance, below: 30, role: condition", ""),
    ],
    ids=["above", "another message", "later", "regular", "itself"],
)
def test_what_is_there_is_not(reads: str, lux: str, more: str) -> None:
    assert warned(reads, lux, more) == []
