"""An ONNX model that is loaded. Runs in a model's process; imports onnxruntime.

Shapes: the window is (1, rows, columns), (1, columns, rows) or (1, rows * columns); the label's tensor (1, classes), a score's one
value, an embedding's any number. A dimension that the model leaves open fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from edgematrix.models.onnx_wire import Scored, Signature, WindowAsked

__all__ = ["OnnxSession"]

_FLOATS: Final = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_EMBEDDING_MAX: Final = 8_192


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
        self._shape = _shape(signature)
        self.answer(WindowAsked(bytes(4 * signature.rows * signature.columns)), None, is_trial=True)

    def answer(self, question: WindowAsked, _asking: object, *, is_trial: bool = False) -> Scored:
        """What the model makes of a window.

        Raises:
            ValueError: the window has another size, the model fails, or puts out what is no number.
        """
        signature = self._signature
        values = np.frombuffer(question.values, np.float32)
        if values.size != signature.rows * signature.columns:
            raise ValueError(f"the window has {values.size} values, expected {signature.rows} by {signature.columns}")
        if signature.layout == "columns":
            values = np.ascontiguousarray(values.reshape(signature.rows, signature.columns).T)
        values = values.reshape(self._shape)
        if self._kind is not np.float32:
            values = values.astype(self._kind)
        try:
            found = dict(zip(self._wanted, self._session.run(self._wanted, {self._input: values}), strict=True))
        except Exception as error:  # noqa: BLE001 - as above
            raise ValueError(f"the model failed: {_first_line(error)}") from None
        return self._scored(found, is_trial=is_trial)

    def _scored(self, found: dict[str, Any], *, is_trial: bool) -> Scored:
        signature = self._signature
        if not is_trial:  # zeros are no measurement: of these a model may make what it likes
            for name, value in found.items():
                if not np.isfinite(value).all():
                    raise ValueError(f"the model puts out on {name!r} what is no finite number")
        place, score = -1, 0.0
        if signature.label:
            likely = found[signature.label].reshape(-1)
            if likely.size != signature.classes:
                raise ValueError(f"the output {signature.label!r} has {likely.size} values, and the card names {signature.classes} classes")
            if signature.softmax:
                raised = np.exp(likely - likely.max())
                likely = raised / raised.sum()
            place = int(likely.argmax())
            score = float(likely[place if signature.score_of < 0 else signature.score_of])
        if signature.score:
            value = found[signature.score].reshape(-1)
            if value.size != 1:
                raise ValueError(f"the output {signature.score!r} has {value.size} values, expected one for the score")
            score = float(value[0])
        embedding: list[float] = []
        if signature.embedding:
            value = found[signature.embedding].reshape(-1)
            if value.size > _EMBEDDING_MAX:
                raise ValueError(f"the output {signature.embedding!r} has {value.size} values, at most {_EMBEDDING_MAX} are taken")
            embedding = np.round(value.astype(np.float64), 6).tolist()
        return Scored(place, float(f"{score:.7g}"), embedding)  # 4-byte floats have no more digits

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


def _told(shape: Any) -> str:
    return f"({', '.join('?' if not isinstance(size, int) else str(size) for size in shape)})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
