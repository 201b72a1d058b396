"""An ONNX model that is loaded. Runs in a model's process; imports onnxruntime.

Shapes: the window is (1, rows, columns), (1, columns, rows) or (1, rows * columns); the label's tensor (1, classes), a score's one
value, an embedding's any number. A dimension that the model leaves open fits.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from edgematrix.models.onnx_wire import Scored, Signature, WindowAsked

__all__ = ["OnnxSession"]

_FLOATS: Final = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_EMBEDDING_MAX: Final = 8_192
_MILLION: Final = 1e6


class OnnxSession:
    """A session of onnxruntime on the processor.

    Raises:
        ValueError: the file is no model, or one with other inputs or outputs than `signature` says; so is a trial with zeros.
    """

    def __init__(self, file: Path, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = signature.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - it raises classes of its own, which say nothing
            raise ValueError(f"{file.name} is no model that onnxruntime can load: {_first_line(error)}") from None
        self._signature = signature
        self._input, self._kind = self._checked_input()
        self._wanted = self._checked_outputs()
        self._window: Any = np.zeros(_shape(signature), self._kind)
        """Each window in its turn: what is made anew for each is found in no cache of the processor."""
        self._given = {self._input: self._window}
        is_as_said = self._kind is np.float32 and signature.layout != "columns"
        self._memory = memoryview(self._window.data).cast("B") if is_as_said else None
        self._bytes = 4 * signature.rows * signature.columns
        self._binding, self._found = self._bound()
        trial = WindowAsked(bytes(self._bytes))
        try:
            self.answer(trial, None, is_trial=True)
        except ValueError:
            if self._binding is None:
                raise
            self._binding = None  # the sizes of its outputs may be others than it says
            self.answer(trial, None, is_trial=True)

    def answer(self, question: WindowAsked, _asking: object, *, is_trial: bool = False) -> Scored:
        """What the model makes of a window.

        Raises:
            ValueError: the window has another size, the model fails, or puts out what is no number.
        """
        values = question.values
        if len(values) != self._bytes:
            signature = self._signature
            raise ValueError(f"the window has {len(values) // 4} values, expected {signature.rows} by {signature.columns}")
        if self._memory is not None:
            self._memory[:] = values
        else:
            self._fill(values)
        try:
            if self._binding is not None:
                self._session.run_with_iobinding(self._binding)
                found = self._found
            else:
                found = dict(zip(self._wanted, self._session.run(self._wanted, self._given), strict=True))
        except Exception as error:  # noqa: BLE001 - as above
            raise ValueError(f"the model failed: {_first_line(error)}") from None
        return self._scored(found, is_trial=is_trial)

    def _fill(self, values: bytes) -> None:
        """Write a window as the model wants it."""
        signature = self._signature
        rows = np.frombuffer(values, np.float32).reshape(signature.rows, signature.columns)
        self._window[...] = (rows.T if signature.layout == "columns" else rows).reshape(self._window.shape)

    def _scored(self, found: dict[str, Any], *, is_trial: bool) -> Scored:
        signature = self._signature
        place, score = -1, 0.0
        if signature.label:
            value = found[signature.label]
            if value.size != signature.classes:
                raise ValueError(f"the output {signature.label!r} has {value.size} values, and the card names {signature.classes} classes")
            likely = _numbers(signature.label, value, is_trial=is_trial)
            if signature.softmax:
                raised = np.exp(value - value.max())
                likely = (raised / raised.sum()).ravel().tolist()
            place = likely.index(max(likely))
            score = likely[place if signature.score_of < 0 else signature.score_of]
        if signature.score:
            value = found[signature.score]
            if value.size != 1:
                raise ValueError(f"the output {signature.score!r} has {value.size} values, expected one for the score")
            (score,) = _numbers(signature.score, value, is_trial=is_trial)
        embedding: list[float] = []
        if signature.embedding:
            value = found[signature.embedding]
            if value.size > _EMBEDDING_MAX:
                raise ValueError(f"the output {signature.embedding!r} has {value.size} values, at most {_EMBEDDING_MAX} are taken")
            rounded = np.multiply(value, _MILLION, dtype=np.float64)  # as `np.round` does, which takes three times as long about it
            np.divide(np.rint(rounded, out=rounded), _MILLION, out=rounded)
            embedding = _numbers(signature.embedding, rounded, is_trial=is_trial)
        return Scored(place, float(f"{score:.7g}"), embedding)  # 4-byte floats have no more digits

    def _bound(self) -> tuple[Any, dict[str, Any]]:
        """Memory that the model reads its window from and writes to, and what is in it; None where the size of an output is not fixed."""
        kinds = {told.name: (told.type, told.shape) for told in self._session.get_outputs() if told.name in self._wanted}
        if any(kind not in _FLOATS or not all(isinstance(size, int) for size in shape) for kind, shape in kinds.values()):
            return None, {}
        binding = self._session.io_binding()
        binding.bind_input(self._input, "cpu", 0, self._kind, self._window.shape, self._window.ctypes.data)
        found = {name: np.zeros(shape, _FLOATS[kind]) for name, (kind, shape) in kinds.items()}
        for name, value in found.items():
            binding.bind_output(name, "cpu", 0, value.dtype.type, value.shape, value.ctypes.data)
        return binding, found

    def _checked_input(self) -> tuple[str, Any]:
        known = {given.name: given for given in self._session.get_inputs()}
        signature = self._signature
        name = signature.input or (next(iter(known)) if len(known) == 1 else "")
        if name not in known or len(known) > 1:
            said = f"the card says {signature.input!r}" if signature.input else "the card says one window"
            raise ValueError(f"the model's inputs are {', '.join(known) or 'none'}, and {said}")
        given = known[name]
        if given.type not in _FLOATS:
            raise ValueError(f"the model's input {name!r} is {given.type}, expected floats")
        wanted = _shape(signature)
        fits = len(given.shape) == len(wanted) and all(
            not isinstance(has, int) or has == want for has, want in zip(given.shape, wanted, strict=True)
        )
        if not fits:
            raise ValueError(f"the model's input {name!r} has the shape {_told(given.shape)}, the card's window has {_told(wanted)}")
        return name, _FLOATS[given.type]

    def _checked_outputs(self) -> list[str]:
        known = [given.name for given in self._session.get_outputs()]
        signature = self._signature
        wanted = list(dict.fromkeys(name for name in (signature.label, signature.score, signature.embedding) if name))
        for name in wanted:
            if name not in known:
                raise ValueError(f"the model has no output {name!r}, which the card names; its outputs are {', '.join(known)}")
        return wanted


def _shape(signature: Signature) -> tuple[int, ...]:
    rows, columns = signature.rows, signature.columns
    return {"rows": (1, rows, columns), "columns": (1, columns, rows), "flat": (1, rows * columns)}[signature.layout]


def _numbers(name: str, value: Any, *, is_trial: bool) -> list[float]:
    """The values of an output. Those of a trial may be what they like: zeros are no measurement.

    Raises:
        ValueError: one is not finite. Their sum says so at once, unless they are huge.
    """
    found: list[float] = value.ravel().tolist()
    if not is_trial and not isfinite(sum(found)) and not all(map(isfinite, found)):
        raise ValueError(f"the model puts out on {name!r} what is no finite number")
    return found


def _told(shape: Any) -> str:
    return f"({', '.join('?' if not isinstance(size, int) else str(size) for size in shape)})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
