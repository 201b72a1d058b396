"""How quick, how large and how good a model over windows is, measured in its own process as a host would run it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.config.model_card import ModelCard
from edgematrix.models.card import Precision
from edgematrix.models.onnx_model import OnnxModel, need_onnxruntime
from edgematrix.testing.labelled_windows import Labelled

__all__ = ["Bench", "bench"]

_TIMED_MIN: Final = 200
"""Windows are given again until so many were timed."""
_WARM: Final = 20
_ANSWER_S_MAX: Final = 30.0


class Bench(msgspec.Struct, frozen=True):
    """What was measured. `accuracy` is the share of labels that are right, None where none is known; `labels` are those it gave.

    `best_us` is the time that the quickest twentieth takes, over the pipe and back; `rss_mb` None where the system does not tell it.
    """

    precision: Precision
    file_bytes: int
    windows: int
    accuracy: float | None
    labels: tuple[int, ...]
    best_us: float
    median_us: float
    slow_us: float
    rss_mb: float | None


def bench(card: ModelCard, precision: Precision, data: Sequence[Labelled], file: Path | None = None) -> Bench:
    """Measure one file of a model, that of its card or another.

    Args:
        data: windows; without any, zeros are scored, and nothing is known of the accuracy.

    Raises:
        ModelError: the model is missing, or fails.
    """
    need_onnxruntime(card.spec.model)
    chosen = file or card.file(precision)
    signature = card.signature()
    given = data or [Labelled(bytes(4 * signature.rows * signature.columns), -1)]
    model = OnnxModel(card.spec.model, chosen, signature)
    try:
        found = [model.score(window.values, _ANSWER_S_MAX).label for window in given]
        took_ns: list[int] = []
        for number in range(max(_TIMED_MIN, min(len(given), 1_000)) + _WARM):
            values = given[number % len(given)].values
            began_ns = time.perf_counter_ns()
            model.score(values, _ANSWER_S_MAX)
            took_ns.append(time.perf_counter_ns() - began_ns)
        rss_mb = _rss_mb(model.process.pid)
    finally:
        model.close()
    took_ns = sorted(took_ns[_WARM:])
    known = [(label, window.label) for label, window in zip(found, given, strict=True) if window.label >= 0]
    accuracy = sum(label == wanted for label, wanted in known) / len(known) if known else None
    best, median, slow = (took_ns[int(len(took_ns) * share)] / 1_000 for share in (0.05, 0.5, 0.99))
    return Bench(precision, chosen.stat().st_size, len(data), accuracy, tuple(found), best, median, slow, rss_mb)


def _rss_mb(pid: int | None) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1_024 for line in lines if line.startswith("VmRSS:")), None)
