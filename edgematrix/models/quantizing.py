"""Makes an int8 file of a float model, with onnxruntime's own tools. Imports onnx and onnxruntime; needed where models are made."""

from __future__ import annotations

import logging
import tempfile
from importlib import util
from pathlib import Path
from typing import Any

from edgematrix.errors import ModelError

__all__ = ["quantize"]

_TOOLS = "pip install 'edgematrix[onnx]' onnx"
_CALIBRATION_MAX = 300
"""Windows that the ranges of values are taken from."""


def quantize(source: Path, target: Path, windows: Any = None) -> str:
    """Write `target`, an int8 model made of the float model `source`.

    Without windows the weights alone are made int8, and values as they come (dynamic). With windows of shape (n, …), shaped as the
    model takes them, the ranges of all values are taken from them (static), which convolutions need.

    Returns:
        How it was made: `dynamic` or `static`.

    Raises:
        ModelError: the tools are missing, or the model cannot be made int8.
    """
    missing = [name for name in ("onnxruntime", "onnx") if util.find_spec(name) is None]
    if missing:
        raise ModelError(f"making a model int8 needs {' and '.join(missing)}, not installed here", remedy=_TOOLS)
    from onnxruntime import quantization as tools  # noqa: PLC0415 - half a second

    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))  # it warns by the root logger, of its own options
    try:
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder, "ready.onnx")
            tools.shape_inference.quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            if windows is None or len(windows) == 0:
                tools.quantize_dynamic(str(ready), str(target), op_types_to_quantize=["MatMul", "Gemm"], weight_type=tools.QuantType.QInt8)
                return "dynamic"
            reader = _calibration(tools, str(ready), windows)
            tools.quantize_static(
                str(ready),
                str(target),
                reader,
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                per_channel=True,
                activation_type=tools.QuantType.QInt8,
                weight_type=tools.QuantType.QInt8,
            )
            return "static"
    except Exception as error:  # noqa: BLE001 - whatever onnx and its tools raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{source.name} cannot be made int8: {first[:300]}") from None


def _calibration(tools: Any, model: str, windows: Any) -> Any:
    """Windows, one after the other, as the tools want them."""
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    name = onnx.load(model, load_external_data=False).graph.input[0].name
    step = max(1, len(windows) // _CALIBRATION_MAX)
    feeds = iter([{name: np.ascontiguousarray(window[None], np.float32)} for window in windows[::step][:_CALIBRATION_MAX]])

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc]  # it is of no known type
        def get_next(self) -> Any:
            return next(feeds, None)

    return Reader()
