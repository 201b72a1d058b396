"""`onnx:` of an agent: a model over a window of values (docs/models.md). Read-only once made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import PART, Duration, Flag, Microseconds, Name, Whole

__all__ = ["ONNX_OUTPUTS", "OnnxSource", "OnnxSpec"]

ONNX_OUTPUTS = ("label", "score", "embedding")
"""The output ports that a model may feed, as its card says."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class OnnxSource:
    """Where the values of one of the model's inputs come from: a foreign topic, or a port of another agent.

    A list of numbers is so many samples, the last of them of the moment itself. `time` is where in the payload the moment stands,
    as seconds since the epoch; without it a sample is of the moment at which it comes. `unit` is that of the source; a device's
    `unit` is known without it.
    """

    topic: Annotated[str, Field(max_length=1_000)] | None = None
    from_: Annotated[str, Field(max_length=1_000)] | None = Field(default=None, alias="from")
    value: str | list[str | Whole] | None = None
    unit: Annotated[str, Field(max_length=40)] | None = None
    time: str | list[str | Whole] | None = None
    qos: Literal[0, 1] | None = None
    untrusted: Flag = False
    """Whether texts from outside are in it: what follows from them is tainted, whoever reads the topic."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class OnnxSpec:
    """A model over a window. Without `on`, what comes on the input `in` is a window."""

    model: Annotated[str, Field(min_length=1, max_length=500, examples=["activity", "models/mine.card.yaml"])]
    """The name of a card in `models/` beside the matrix, or of a model that is shipped; or the path of a card."""
    precision: Literal["float", "int8"] | None = None
    """Which of the model's files is used; by default the float one."""
    on: dict[Name, OnnxSource] = Field(default_factory=dict)
    """By the model's input, what feeds it."""
    step: Annotated[Whole, Field(ge=1, le=10_000)] | Annotated[str, Field(max_length=40)] | None = None
    """How much later the next window begins, where it is not as the card says: a number of rows, or a time."""
    wait: Duration | None = None
    """How late samples may come, where it is not as the card says: as long as a watch, say, gathers what it sends at once."""
    threads: Annotated[Whole, Field(ge=1, le=16)] = 1
    timeout: Duration = Microseconds(5_000_000)
    """How long the model may take for one window."""
    memory_mb: Annotated[Whole, Field(ge=64, le=1_000_000)] | None = None
    """Address space that its process may have; by default 1 GiB and the size of the file."""
