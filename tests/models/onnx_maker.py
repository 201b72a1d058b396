"""Small ONNX models that do what a test wants, and their cards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CARD = """\
model: {name}
about: A toy.
licence: Apache-2.0
files:
  float: {{file: {name}.onnx, sha256: {sha256}}}
inputs:
  - {{name: x, unit: °C}}
  - {{name: y}}
window: {{count: 3, step: 1}}
outputs:
  label: {{tensor: out, classes: [low, high]}}
  score: {{of: high}}
"""


def model(
    file: Path,
    *,
    shape: tuple[int | str, ...] = (1, 3, 2),
    divides: bool = False,
    kind: int = TensorProto.FLOAT,
    told: tuple[int | str, ...] = (1, 2),
) -> Path:
    """`out` is [1 - mean of x, mean of x]; where it `divides`, [1, 1 / mean of x]. `told` is the shape that it says `out` has."""
    last = "share" if not divides else "inverse"
    nodes = [
        helper.make_node("ReduceMean", ["window"], ["means"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["means", "pick"], ["share"]),
        helper.make_node("Reciprocal", ["share"], ["inverse"]),
        helper.make_node("Sub", ["one", last], ["rest"]),
        helper.make_node("Concat", ["rest", last], ["out"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([[1], [0]], np.float32), "pick"),
        numpy_helper.from_array(np.array([[1]], np.float32), "one"),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("window", kind, list(shape))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, list(told))],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, file)
    return file


def card(folder: Path, name: str = "toy", text: str = CARD) -> Path:
    """The card of a model in the folder `models` below `folder`, for the file that is there."""
    file = folder / "models" / f"{name}.onnx"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    place = folder / "models" / f"{name}.card.yaml"
    place.write_text(text.format(name=name, sha256=sha256), encoding="utf-8")
    return place


def toy(folder: Path, name: str = "toy", text: str = CARD, **how: object) -> Path:
    """A model and its card in the folder `models` below `folder`."""
    (folder / "models").mkdir(exist_ok=True)
    model(folder / "models" / f"{name}.onnx", **how)  # type: ignore[arg-type]
    return card(folder, name, text)
