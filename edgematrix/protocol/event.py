"""Events: CloudEvents 1.0 in the JSON format, structured mode (docs/spec/topics.md, "Messages")."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import structs

__all__ = ["NUMBER_MAX", "TAINT_LENGTH_MAX", "Event", "Trail", "merged", "tainted"]

NUMBER_MAX = 2**53 - 1
"""The largest epoch and sequence: what every reader of JSON holds exactly."""

TAINT_LENGTH_MAX = 2_000
"""Characters of the origins that a message names; those beyond are told as `others`."""
_OTHERS = "others"

_Epoch = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Sequence = Annotated[int, msgspec.Meta(ge=1, le=NUMBER_MAX)]


class Trail(msgspec.Struct, frozen=True, gc=False):
    """How a message came about; copied into everything that it leads to.

    `hops` counts the messages that led here. `taint` names the origins of untrusted text, separated by spaces.
    `expiry_us` is the moment (microseconds since the epoch) from which on the message is worth nothing; None: never.
    """

    id: str = ""
    runid: str = ""
    hops: int = 0
    taint: str = ""
    traceparent: str = ""
    expiry_us: int | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One CloudEvents 1.0 event with the extensions of the bus.

    `source` is `/` and the path; `type` is `em.`, the kind, `.` and the port; `time` and `expirytime` are RFC 3339 text.
    On durable edges `sequence` counts from 1 within `edgeepoch`; `edgebase` is there when events are sent again to a receiver that
    knows nothing of the edge: all before it were acknowledged by whoever had the agent then. An agent that may move has an
    `edgeepoch`, that of its lease, on all that it sends. Work that somebody on another host calls for has `callinputs`, how many
    input ports are given a value, and `callwants`, the output ports that are waited for, separated by spaces. Who waits for it no
    longer says so on one of these inputs, after what it gave there: with `callcancel`, and how many inputs were given after all.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data: object = msgspec.UNSET
    data_base64: str | None = None
    runid: str = ""
    causeid: str = ""
    hops: int = 0
    expirytime: str | None = None
    traceparent: str = ""
    taint: str = ""
    edgeepoch: _Epoch | None = None
    sequence: _Sequence | None = None
    edgebase: _Sequence | None = None
    callinputs: int | None = None
    callwants: str = ""
    callcancel: bool = False


def tainted(trail: Trail, taint: str) -> Trail:
    """The trail with these origins of untrusted text beside its own."""
    if not taint or taint == trail.taint:
        return trail
    found = merged(trail.taint, taint)
    return trail if found == trail.taint else structs.replace(trail, taint=found)


def merged(*taints: str) -> str:
    """All these origins of untrusted text, each once."""
    found = " ".join(dict.fromkeys(" ".join(taints).split()))
    if len(found) <= TAINT_LENGTH_MAX:
        return found
    return f"{found[: TAINT_LENGTH_MAX - len(_OTHERS) - 1].rpartition(' ')[0]} {_OTHERS}".strip()
