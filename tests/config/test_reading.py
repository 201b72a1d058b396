"""Reading large files: time and memory stay in proportion."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix, read_matrix

RULE = (
    "      r{i}: {{on: {{t: {{topic: t/{i}, value: temperature, above: 20, hysteresis: 0.5}}}}, "
    'do: [{{publish: {{topic: o/{i}, payload: "${{t.value}}"}}}}]}}\n'
)
RULES = 2_000


def rules() -> str:
    return "matrix: home\nagents:\n  rule:\n    triggers:\n" + "".join(RULE.format(i=i) for i in range(RULES))


def test_reading_costs_little_above_its_result(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(rules())
    read_matrix(path)
    tracemalloc.start()
    try:
        reading = read_matrix(path)
        gc.collect()
        result_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reading.spec.agents["rule"].triggers) == RULES
    assert result_bytes < RULES * 2_000
    assert peak_bytes < result_bytes * 2


def test_groups_made_at_once_are_those_that_would_be_made_at_the_end(tmp_path: Path) -> None:
    agents = "a: &a {triggers: {g: {on: {t: {topic: x}}, do: [{emit: {out: 1}}]}}}", "b: *a", "c: {<<: *a, host: pi}"
    text = f"{rules()}  other:\n    agents:\n" + "".join(f"      {agent}\n" for agent in agents)
    path = tmp_path / "m.yaml"
    path.write_text(text)
    assert read_matrix(path).spec == parse_matrix(parse_document(text, "m.yaml")).spec
