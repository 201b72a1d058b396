"""What a host tells whoever watches it: one small record for each hop of a message.

Log, trace topic, live view and metrics are listeners of these; nothing in a host depends on them.
`at_us` is the host's timeline, `path` the agent's.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from edgematrix.triggers import Firing, Trace

__all__ = [
    "DeadLettered",
    "Dropped",
    "Emitted",
    "Fired",
    "NotFired",
    "Noted",
    "Observation",
    "Observer",
    "Outcome",
    "Published",
    "Received",
    "Ring",
    "RunEnded",
    "Stalled",
    "StepBegan",
    "StepEnded",
]


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


class Received(msgspec.Struct, gc=False):
    """A message that at least one source listens to."""

    at_us: int
    topic: str
    value: object
    retained: bool


class Fired(msgspec.Struct, gc=False):
    """A group fired and its run was admitted."""

    at_us: int
    path: str
    group: str
    run: int
    firing: Firing
    runid: str = ""
    """The id of the run, where it has one from its beginning."""


class NotFired(msgspec.Struct, gc=False):
    """A message took part and led to no run."""

    at_us: int
    path: str
    trace: Trace


class RunEnded(msgspec.Struct, gc=False):
    """A run is over."""

    at_us: int
    path: str
    group: str
    run: int
    outcome: Outcome
    reason: str = ""
    runid: str = ""


class StepBegan(msgspec.Struct, gc=False):
    """A composite lets a member work: the `step`th of its run `runid`, which is the run `called` of `member`.

    `after` are the steps whose outputs led here, 0 the request where it is beside them, `inputs` the values by input port.
    """

    at_us: int
    path: str
    runid: str
    step: int
    member: str
    called: str
    inputs: tuple[tuple[str, object], ...]
    after: tuple[int, ...] = ()


class StepEnded(msgspec.Struct, gc=False):
    """A step is over: by its outputs (none: it returned nothing), or by a failure."""

    at_us: int
    path: str
    runid: str
    step: int
    outcome: Outcome
    outputs: Mapping[str, object]
    reason: str = ""


class Noted(msgspec.Struct, gc=False):
    """Something that a composite did with a run besides, such as what a join waits for."""

    at_us: int
    path: str
    runid: str
    what: Trace | str


class Emitted(msgspec.Struct, gc=False):
    """A run that no call began put something out on its agent's own port. Told to tracers alone: observers are told `Published`."""

    at_us: int
    path: str
    runid: str
    port: str
    value: object


class Published(msgspec.Struct, gc=False):
    """An agent put something out, on its own port or on a foreign topic."""

    at_us: int
    path: str
    topic: str
    value: object


class DeadLettered(msgspec.Struct, gc=False):
    """A message could not be handled."""

    at_us: int
    path: str
    topic: str
    reason: str


class Dropped(msgspec.Struct, gc=False):
    """Something was given up for want of room or time."""

    at_us: int
    path: str
    topic: str
    reason: str


class Stalled(msgspec.Struct, gc=False):
    """An agent's code kept the event loop from turning."""

    at_us: int
    path: str
    stall_ms: int


Observation = (
    Received | Fired | NotFired | RunEnded | StepBegan | StepEnded | Noted | Emitted | Published | DeadLettered | Dropped | Stalled
)
Observer = Callable[[Observation], None]


class Ring:
    """The newest observations, for whoever asks later, and a count of each kind.

    Args:
        size_max: how many are kept.
    """

    def __init__(self, size_max: int) -> None:
        self.newest: deque[Observation] = deque(maxlen=size_max)
        self.counts: Counter[str] = Counter()

    def __call__(self, observation: Observation) -> None:
        """Keep one."""
        self.newest.append(observation)
        self.counts[type(observation).__name__] += 1
