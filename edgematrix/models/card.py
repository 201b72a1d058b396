"""The card of a model over windows, as it stands beside the model's file in `NAME.card.yaml` (docs/models.md, "The card")."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import CLOSED, PART, Duration, Flag, Name, Number, Whole

__all__ = [
    "CARD_SUFFIX",
    "PRECISIONS",
    "CardInput",
    "CardOutputs",
    "CardSpec",
    "CardWindow",
    "Embedding",
    "Label",
    "ModelFile",
    "Precision",
    "Score",
]

CARD_SUFFIX = ".card.yaml"
Precision = Literal["float", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float", "int8")
_TENSOR = Annotated[str, Field(min_length=1, max_length=200)]
_TEXT = Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CardInput:
    """One column of the window. What is measured, in `unit`, is given to the model as `value * scale + offset`."""

    name: Name
    unit: Annotated[str, Field(max_length=40)] | None = None
    scale: Number = 1.0
    offset: Number = 0.0
    about: _TEXT = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CardWindow:
    """How long a window is, and how its values come about.

    `count` rows, or `time` with `every`. `step` is how many rows, or how much time, the next window begins later; by default a
    whole window. `every` is the interval at which values are wanted, whatever that of the samples is; without it samples are taken as they
    come. `fill` says what a moment without a sample is worth, `gap` how far away the sample may be for that.
    """

    count: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    time: Duration | None = None
    every: Duration | None = None
    step: Annotated[Whole, Field(ge=1, le=10_000)] | Annotated[str, Field(max_length=40)] | None = None
    fill: Literal["none", "hold", "linear"] | None = None
    gap: Duration | None = None
    wait: Duration | None = None
    """How long a window waits after its last moment for samples that are under way."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Label:
    """Output port `label`: the class with the greatest value in a tensor of one value for each."""

    tensor: _TENSOR
    classes: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=2, max_length=10_000)]
    softmax: Flag = False
    """Whether the tensor holds logits, of which probabilities have to be made."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Score:
    """Output port `score`: the value of the label, or of one class (`of`), or the only value of a `tensor`."""

    of: Annotated[str, Field(max_length=100)] | None = None
    tensor: _TENSOR | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Embedding:
    """Output port `embedding`: all values of a tensor, in order."""

    tensor: _TENSOR


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CardOutputs:
    """The output ports that the model feeds."""

    label: Label | None = None
    score: Score | None = None
    embedding: Embedding | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name in ("label", "score", "embedding") if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ModelFile:
    """One file of the model, beside the card. `sha256` is that of the file as it was measured; `accuracy` of 1 is all right."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$", max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    accuracy: Annotated[Number, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ModelFiles:
    """The model in one precision, or in both."""

    float_: ModelFile | None = Field(default=None, alias="float")
    int8: ModelFile | None = None

    def of(self, precision: Precision) -> ModelFile | None:
        """The file of a precision."""
        return self.float_ if precision == "float" else self.int8


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class CardSpec:
    """What has to be known of a model to use it."""

    model: Name
    about: _TEXT
    licence: Annotated[str, Field(min_length=1, max_length=200)]
    source: _TEXT = ""
    """Where it comes from: a script, a paper, an address."""
    data: _TEXT = ""
    """What it was trained on, what was held out, and what it needs to be as good as the figures say."""
    files: ModelFiles
    tensor: _TENSOR | None = None
    """The model's input; needed where it has several, of which one is the window."""
    layout: Literal["rows", "columns", "flat"] = "rows"
    """`rows`: (1, rows, inputs); `columns`: (1, inputs, rows); `flat`: (1, rows * inputs), row by row."""
    inputs: Annotated[list[CardInput], Field(min_length=1, max_length=64)]
    window: CardWindow
    outputs: CardOutputs
    notes: Any = None
    """Whatever else people want to keep here."""
