"""An ONNX model in a process of its own."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Final

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.onnx_wire import Scored, Signature, WindowAsked
from edgematrix.models.process import ModelProcess

__all__ = ["EXTRA", "OnnxModel", "need_onnxruntime"]

EXTRA: Final = "pip install 'edgematrix[onnx]'"
_LOAD_S_MAX: Final = 60.0
_SPARE_BYTES: Final = 1 << 30
"""Address space besides the model's file: Python, numpy, onnxruntime. Measured: 0.35 GB."""


class OnnxModel:
    """Scores windows. Its process starts with the first one, and lives until `close`.

    Args:
        name: for errors.
        file: an ONNX file.
        signature: what the file has to be like.
        memory_bytes_max: of address space; by default the size of the file and 1 GiB.
    """

    def __init__(self, name: str, file: Path, signature: Signature, *, memory_bytes_max: int | None = None) -> None:
        bytes_max = memory_bytes_max if memory_bytes_max is not None else 3 * file.stat().st_size + _SPARE_BYTES
        said = msgspec.json.encode(signature).decode()
        words = [sys.executable, "-P", "-m", "edgematrix.models.onnx_worker", str(file), said, str(bytes_max), str(_LOAD_S_MAX)]
        self.process = ModelProcess(name, words, load_s_max=_LOAD_S_MAX)
        self._classes = signature.classes

    def score(self, values: bytes, timeout_s: float) -> Scored:
        """What the model makes of a window: 4-byte floats, row by row.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        return self.process.ask(WindowAsked(values), Scored, timeout_s, fits=self._fits)

    def begin(self, values: bytes, timeout_s: float) -> int | None:
        """Say a window without waiting; the pipe on which the answer comes, None if it has to be asked."""
        return self.process.begin(WindowAsked(values), timeout_s)

    def hear(self) -> Scored | None:
        """The answer; None if there is more to come.

        Raises:
            ModelError: as `score`.
        """
        return self.process.hear(Scored, fits=self._fits)

    def give_up(self, reason: str) -> ModelError:
        """Wait no longer for the answer to what was begun."""
        return self.process.give_up(reason)

    def close(self) -> None:
        """End the process."""
        self.process.close()

    def _fits(self, scored: Scored) -> bool:
        return (0 <= scored.label < self._classes) if self._classes else scored.label == -1


def need_onnxruntime(name: str) -> None:
    """Say what is missing, without loading anything.

    Raises:
        ModelError: onnxruntime is not installed.
    """
    if util.find_spec("onnxruntime") is None:
        raise ModelError(f"the model {name} needs onnxruntime, which is not installed", remedy=EXTRA)
