"""Writes the card of a model that a script has trained, with the figures that it measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime

TARGET = Path(__file__).parent.parent.parent / "edgematrix" / "models" / "shipped"


def accuracy(file: Path, windows: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of windows that a model labels right, and its labels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    found = np.array([session.run(["probabilities"], {"window": window[None]})[0].argmax() for window in windows])
    return float((found == labels).mean()), found


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def files(name: str, of_float: float, of_int8: float) -> str:
    """The part of a card that names the files."""
    lines = ["files:"]
    for precision, suffix, right in (("float", ".onnx", of_float), ("int8", ".int8.onnx", of_int8)):
        file = TARGET / f"{name}{suffix}"
        lines.append(f'  {precision}: {{file: {file.name}, sha256: "{sha256(file)}", accuracy: {right:.3f}}}')
    return "\n".join(lines)
