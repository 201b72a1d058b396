"""What every kind of composite is to its host: a definition that begins courses, and a course as a pure step machine.

A course is the work of a composite on one run. It is told what happened, and says what is to be done; it has no I/O, no clock, no
task. Whoever drives it makes calls of its `Invoke`s, and tells it how each ended. After `Finish` or `Fail` it is told nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from edgematrix.models.talk import Turn
from edgematrix.triggers import Trace

__all__ = [
    "Answered",
    "Ask",
    "Cancel",
    "Choose",
    "Chosen",
    "Composition",
    "Course",
    "Done",
    "Effect",
    "Emit",
    "Event",
    "Fail",
    "Failed",
    "Finish",
    "Go",
    "Invoke",
    "Note",
    "Placing",
    "Saying",
    "Send",
    "Standing",
    "Streaming",
    "Think",
    "Thought",
    "Tick",
    "Wake",
]


# What a course is told


class Done(NamedTuple):
    """A step is over. `outputs` has what the member put out, by port; empty, it returned nothing."""

    step: int
    outputs: Mapping[str, object]


class Failed(NamedTuple):
    """A step is over by an error. `gone` tells that the member is not there (any more), not that its work is wrong."""

    step: int
    reason: str
    gone: bool = False


class Chosen(NamedTuple):
    """The answer to `Choose`: one of its choices."""

    step: int
    choice: str


class Answered(NamedTuple):
    """A person's answer, and who gave it."""

    value: object
    by: str


class Thought(NamedTuple):
    """What a language model has said: a text, or the tools that it wants used, each as `(id, name, arguments)`.

    It took so many tokens, and so much time. `is_cut` tells that it came to the most tokens that it may say. `note` is for people.
    `confidence` is how sure it is, from 0 to 1; None where it does not tell.
    """

    step: int
    text: str
    calls: Sequence[tuple[str, str, Mapping[str, object]]]
    tokens: int
    took_us: int
    is_cut: bool = False
    note: str = ""
    confidence: float | None = None


class Tick(NamedTuple):
    """Time alone: the course's deadline has come."""


class Go(NamedTuple):
    """What a course waited for outside itself has come, such as room in a pool."""


Event: TypeAlias = Done | Failed | Chosen | Answered | Tick | Go | Thought


# What a course says


class Invoke(NamedTuple):
    """Let a member work. `step` numbers the steps of the course from 1.

    `inputs` are values by input port (empty text: the member's own default input). The step is over once all ports of `wanted`
    have a value, or the member's work has ended. `after` are the steps whose outputs led here, for whoever draws the run.
    `origins` are the steps, 0 for the request, of which values are among the inputs: taint goes where values go. None: all so far.
    """

    step: int
    member: str
    inputs: tuple[tuple[str, object], ...]
    wanted: frozenset[str]
    after: tuple[int, ...] = ()
    origins: tuple[int, ...] | None = None


class Send(NamedTuple):
    """Let an input port of another agent have a value, over a wire that the composite has. Nobody waits for what becomes of it."""

    path: str
    port: str
    value: object


class Cancel(NamedTuple):
    """Stop a step's work. Nothing more is heard of it."""

    step: int


class Choose(NamedTuple):
    """Let the chat's model pick one of `choices`. A `Failed` or a `Chosen` of this step follows."""

    step: int
    question: str
    choices: tuple[str, ...]


class Think(NamedTuple):
    """Let the agent's language model go on with a talk, within so many tokens and so much time. A `Failed` or a `Thought` follows.

    `tools` are the names of those that it may use; None for all that it has.
    """

    step: int
    turns: tuple[Turn, ...]
    tokens_max: int
    time_us_max: int
    tools: tuple[str, ...] | None = None


class Ask(NamedTuple):
    """Ask a person. `until_us` is when nobody waits for the answer any more, `action` the command that is to be approved, if it is one."""

    question: str
    choices: tuple[str, ...]
    until_us: int
    action: Mapping[str, object] | None = None


class Emit(NamedTuple):
    """Put a value out on the composite's own port. `cleared` tells that a person has seen what was tainted.

    `origins` are the steps, 0 for the request, that the value is of; None: all so far.
    """

    port: str
    value: object
    cleared: bool = False
    origins: tuple[int, ...] | None = None


class Note(NamedTuple):
    """Something that whoever watches should know, such as why a join waits."""

    what: Trace | str


class Wake(NamedTuple):
    """Tell `Go` to the courses of these runs, in this order. They are of the same composition; one that is over needs no telling."""

    runids: tuple[str, ...]


class Finish(NamedTuple):
    """The course is over and all went well. What is still under way is cancelled."""


class Fail(NamedTuple):
    """The course is over by an error. What is still under way is cancelled."""

    reason: str
    member: str = ""


Effect: TypeAlias = Invoke | Send | Cancel | Choose | Think | Ask | Emit | Note | Wake | Finish | Fail


class Course(Protocol):
    """The work of a composite on one run."""

    @property
    def deadline_us(self) -> int | None:
        """When it is to be told `Tick`; None for never. It may change with each event."""

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:
        """Start with the values of the composite's input ports."""

    def take(self, event: Event, now_us: int) -> list[Effect]:
        """Take one event. Events of steps that were cancelled, or are over, do nothing."""

    def waits_for(self) -> str:
        """What it waits for, in one line for people."""

    def close(self) -> tuple[str, ...]:
        """Forget what is kept of it outside itself; the run is over, however it ended. The runs whose courses are to be told `Go`."""


@runtime_checkable
class Standing(Course, Protocol):
    """A course that shares something with others: what it was told does not say where it is, so that is kept itself."""

    def standing(self) -> tuple[object, ...]:
        """Where it is, as plain values."""

    def stand(self, inputs: Mapping[str, object], standing: Sequence[object]) -> dict[int, str]:
        """Begin where another one was, in place of `begin`; the members of the steps under way.

        Raises:
            StateError: what it is to stand on is damaged.
        """


class Composition(Protocol):
    """A compiled composite, shared by its courses."""

    def course(self, runid: str) -> Course:
        """A course for the run of this id."""


@runtime_checkable
class Streaming(Composition, Protocol):
    """A composition whose own output is a member's, so that what the member streams can be streamed on."""

    def streamed(self, member: str, port: str) -> str:
        """The composition's own port for what a member streams on `port`; empty if that is no output of it."""


@runtime_checkable
class Saying(Composition, Protocol):
    """A composition that is a language model."""

    @property
    def says_pieces(self) -> bool:
        """Whether what the model says may be put out piece by piece: as a text it is the answer, whatever it says."""


@runtime_checkable
class Placing(Composition, Protocol):
    """A composition that gives the same work to one member or another, and must know which of them are there."""

    def gone(self, member: str) -> tuple[str, ...]:
        """A member is not there any more; the runs whose courses are to be told `Go`."""

    def back(self, member: str) -> tuple[str, ...]:
        """A member is there again; the runs whose courses are to be told `Go`."""

    def level(self) -> tuple[str, ...]:
        """Give places that are free to runs that wait for them, after a restart; the runs whose courses are to be told `Go`."""
