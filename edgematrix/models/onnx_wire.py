"""What a host and the process of an ONNX model say to each other (`wire`), and what the process is told of the model at its start."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Scored", "Signature", "WindowAsked"]


class Signature(msgspec.Struct, frozen=True):
    """What the model has to be like, as its card says. `label` and `score` name tensors; empty: there is none.

    `classes` is how many values the label's tensor has, `score_of` the class whose value is the score: -1 for that of the label.
    """

    rows: int
    columns: int
    layout: Literal["rows", "columns", "flat"] = "rows"
    input: str = ""
    label: str = ""
    classes: int = 0
    softmax: bool = False
    score: str = ""
    score_of: int = -1
    embedding: str = ""
    threads: int = 1


class WindowAsked(msgspec.Struct, frozen=True, array_like=True):
    """A window: 4-byte floats of this machine, row by row."""

    values: bytes


class Scored(msgspec.Struct, frozen=True, array_like=True):
    """What the model makes of it: the place of the label (-1: none), the score, and the embedding."""

    label: int = -1
    score: float = 0.0
    embedding: list[float] = []
