"""What came of sentences, counted: by kind, by stage, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgematrix.testing.sentence_eval import Heard
from edgematrix.testing.sentence_set import DOING, KINDS

__all__ = ["NOBODY", "Row", "Score", "score"]

NOBODY = "nobody"
"""In the place of a stage where none decided."""


class Row(msgspec.Struct, frozen=True):
    """Some sentences, counted by what came of them.

    `wrong` are those after which something was carried out that was not wanted. `asked` were answered and `nothing` were not, and nothing
    was carried out: which is right where nothing is wanted. Times are of the middle one and of the 95th of 100; `processor_s` is of all.
    """

    name: str
    count: int
    right: int
    wrong: int
    asked: int
    nothing: int
    failed: int
    median_ms: float
    slow_ms: float
    processor_s: float


class Score(msgspec.Struct, frozen=True):
    """All rows, and who is wrong. `plain` and `idle` are those that ask for something, and those after which nothing may be done."""

    kinds: tuple[Row, ...]
    stages: tuple[Row, ...]
    plain: Row
    idle: Row
    total: Row
    wrong: tuple[Heard, ...]


def score(heard: Sequence[Heard]) -> Score:
    """Count."""
    kinds = [(kind, [one for one in heard if one.sentence.kind == kind]) for kind in KINDS]
    by_stage: dict[str, list[Heard]] = {}
    for one in heard:
        by_stage.setdefault(one.stage if one.decided and one.stage else NOBODY, []).append(one)
    by_stage |= {NOBODY: by_stage.pop(NOBODY)} if NOBODY in by_stage else {}  # it comes last
    return Score(
        tuple(_row(kind, found) for kind, found in kinds if found),
        tuple(_row(stage, found) for stage, found in by_stage.items()),
        _row("plain", [one for one in heard if one.sentence.kind in DOING]),
        _row("idle", [one for one in heard if one.sentence.kind not in DOING]),
        _row("all", heard),
        tuple(one for one in heard if one.verdict == "wrong"),
    )


def _row(name: str, heard: Sequence[Heard]) -> Row:
    took_ms = sorted(one.took_s * 1_000 for one in heard)
    verdicts = [one.verdict for one in heard]
    idle = [one for one in heard if not one.did]
    return Row(
        name,
        len(heard),
        verdicts.count("right"),
        verdicts.count("wrong"),
        sum(bool(one.answer) for one in idle),
        sum(not one.answer for one in idle),
        sum(bool(one.failed) for one in heard),
        _share(took_ms, 0.5),
        _share(took_ms, 0.95),
        sum(one.processor_s for one in heard),
    )


def _share(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
