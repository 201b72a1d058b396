"""Definitions of what an agent does (docs/spec/matrix.md, docs/spec/triggers.md "Actions"). Read-only once made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import PART, Duration, Flag, Microseconds, Name, Number, Whole

__all__ = [
    "ActionSpec",
    "Availability",
    "CallSpec",
    "CriticalSpec",
    "DeviceSpec",
    "NearSpec",
    "PortSpec",
    "PublishSpec",
    "Rate",
    "ReadSpec",
    "SendSpec",
    "SentencesSpec",
    "WriteSpec",
]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class PublishSpec:
    """`publish:` a bare payload on any topic outside the root."""

    topic: str
    payload: Any = None
    qos: Literal[0, 1] = 0
    retain: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SendSpec:
    """`send:` an event to another agent's input port; this line is the wire that allows it."""

    to: str
    payload: Any = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CallSpec:
    """`call:` an agent and wait for its answer, which later actions read as `result`."""

    agent: str
    payload: Any = None
    timeout: Duration = Microseconds(30_000_000)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ActionSpec:
    """One step of `do:`: exactly one of the actions, with an optional `when`."""

    publish: PublishSpec | None = None
    emit: dict[Name, Any] | None = None
    send: SendSpec | None = None
    call: CallSpec | None = None
    delay: Duration | None = None
    stop: str | Flag | None = None
    when: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ReadSpec:
    """A value that a device reports on a foreign topic; it becomes an output port of the device's agent."""

    topic: str
    value: str | list[str | Whole] | dict[str, str | list[str | Whole]] | None = None
    unit: str | None = None
    as_: Literal["number", "bool"] | None = Field(default=None, alias="as")
    schema: dict[str, Any] | None = None
    retained: Literal["seed", "fire", "ignore", "changed"] | None = None
    qos: Literal[0, 1] = 0
    untrusted: Flag = False
    """Whether texts from outside are in it: what follows from them is tainted."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Rate:
    """At most `count` in any stretch of `per`."""

    count: Whole = Field(ge=1, le=10_000)
    per: Duration


Range = Annotated[list[Number], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CriticalSpec:
    """How a person is asked about a command that follows from untrusted text.

    `ask` is text with `${…}` over the payload's fields, and `value`, the whole of it; the command itself is always shown with it.
    `notify` is a foreign topic that gets each question, `answers` one on which answers may come. After `timeout` it is refused.
    """

    ask: str | None = None
    notify: str | None = None
    answers: str | None = None
    timeout: Duration = Microseconds(300_000_000)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class WriteSpec:
    """A capability of a device: an input port whose commands are checked here, whoever asks, before they reach the device.

    `range` is `[least, most]` of the payload's fields, or of the payload itself under the name `value`.
    `dwell` is the least time between two commands; the newest that came too early is held until it is over.
    """

    topic: str
    schema: dict[str, Any] | None = None
    range: dict[str, Range] | None = None
    rate: Rate | None = None
    dwell: Duration | None = None
    critical: Flag | CriticalSpec = False
    """Whether what follows from untrusted text waits for a person's approval."""
    qos: Literal[0, 1] = 1
    retain: Flag = False

    @property
    def approval(self) -> CriticalSpec | None:
        """How a person is asked; None where nobody is."""
        if isinstance(self.critical, CriticalSpec):
            return self.critical
        return CriticalSpec() if self.critical else None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class Availability:
    """Where a device says that it is there. While it is not, its values are unknown."""

    topic: str
    value: str | list[str | Whole] | None = None
    online: Any = "online"


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class DeviceSpec:
    """A device on foreign topics."""

    reads: dict[Name, ReadSpec] = Field(default_factory=dict)
    writes: dict[Name, WriteSpec] = Field(default_factory=dict)
    availability: Availability | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SentenceRule:
    """One command and the sentences that ask for it.

    `send` (its `to` too) and `answer` hold templates over the slots; a slot that was not said is null. What stands in
    `to` must be said in each of the sentences. `examples` are patterns of other sentences that ask for it: not heard as they stand,
    but what is near them is.
    """

    say: Annotated[list[str], Field(min_length=1)]
    examples: list[str] = Field(default_factory=list)
    send: SendSpec | None = None
    also: Annotated[list[SendSpec], Field(max_length=100)] = Field(default_factory=list)
    """What is sent besides."""
    answer: str = ""


Bounds = Annotated[list[Number], Field(min_length=2, max_length=3)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class NearSpec:
    """`near:` what no rule knows is compared with what the rules know, by their words; from `sure` on it is carried out.

    `alike` are words that mean the same in this house, by what they are taken for: `{study: office}`. `model` is `wordllama`, or the path
    of a safetensors file with one matrix, beside which its vocabulary is, as `NAME.tokenizer.json`; or the path of an encoder of texts,
    `*.onnx`, whose `tokenizer` is a file in the form of Hugging Face's, by default `tokenizer.json` beside it, and whose tokens' vectors
    are pooled as `pooling` says, or as their mean.
    """

    model: Annotated[str, Field(min_length=1, max_length=500)] = "wordllama"
    sure: Annotated[Number, Field(ge=0, le=1)] = 0.6
    alike: Annotated[dict[str, str], Field(max_length=1_000)] = Field(default_factory=dict)
    timeout: Duration = Microseconds(5_000_000)
    memory_mb: Annotated[Whole, Field(ge=64, le=100_000)] | None = None
    tokenizer: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    pooling: Literal["mean", "first"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SentencesSpec:
    """Exact rules from a sentence to a command, the first stage of an intent agent.

    `say` holds patterns: words, `[optional]` words, `(this|that)` choices, and `{slot}` for a name from `slots`, which
    stands for its value, or for a number in digits, `[least, most]`, from `numbers`: a whole one, or with `[least, most, step]` a
    multiple of the step. Input port `say`; a sentence that nobody understands leaves on `unknown`, what was done on `out`.
    """

    rules: Annotated[list[SentenceRule], Field(min_length=1)]
    slots: dict[str, dict[str, Any]] = Field(default_factory=dict)
    numbers: dict[str, Bounds] = Field(default_factory=dict)
    near: NearSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class PortSpec:
    """An output port as declared: its type, whether its last value is retained, and its first value."""

    type: str | None = None
    schema: dict[str, Any] | None = None
    retain: Flag = False
    initial: Any = None
    qos: Literal[0, 1] = 0
    from_: str | None = Field(default=None, alias="from")
    untrusted: Flag = False
    """Whether texts from outside are in it: what follows from them is tainted."""
