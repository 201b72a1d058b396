"""Trigger groups, written in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypedDict, Unpack

import msgspec

from edgematrix.config.spec import TriggerSpec
from edgematrix.protocol.fields import read_duration
from edgematrix.triggers.spec import Limit, SourceSpec

__all__ = ["Group", "GroupOptions", "Member", "all_of", "any_of", "at_least", "sequence"]

Duration = str | float


class Member(Protocol):
    """What may be a member of a group: a source, or an agent, whose output is one."""

    @property
    def name(self) -> str:
        """How conditions call it."""

    @property
    def spec(self) -> SourceSpec:
        """Its definition."""

    @property
    def origin(self) -> object:
        """What `firing[…]` goes by."""


class GroupOptions(TypedDict, total=False):
    """What a group may say beside its sources; the terms are those of docs/spec/triggers.md."""

    by: str
    within: Duration
    if_: str
    if_false: Literal["consume", "keep"]
    timeout: Duration
    on_timeout: Literal["fire", "drop"]
    cooldown: Duration
    limit: tuple[int, Duration]
    throttle: Duration
    debounce: Duration
    mode: Literal["single", "restart", "queued", "parallel"]
    max: int
    overflow: Literal["drop_new", "drop_old", "dead_letter"]
    durable: bool


class Group(msgspec.Struct, frozen=True):
    """A group's definition, and which source is meant by which object."""

    spec: TriggerSpec
    names: dict[int, str]
    """The name of each source, by the id of its origin."""
    members: tuple[Member, ...]
    """Kept, so that an id stays that of its object."""


def all_of(*members: Member, **options: Unpack[GroupOptions]) -> Group:
    """Fires when every source has a token or is ready."""
    return make_group(members, "all", options)


def any_of(*members: Member, **options: Unpack[GroupOptions]) -> Group:
    """Fires at each edge of any source."""
    return make_group(members, "any", options)


def at_least(number: int, *members: Member, **options: Unpack[GroupOptions]) -> Group:
    """Fires when so many of the sources have a token or are ready."""
    return make_group(members, number, options)


def sequence(*members: Member, **options: Unpack[GroupOptions]) -> Group:
    """Fires when the sources became ready in this order."""
    return make_group(members, "sequence", options)


def make_group(members: Sequence[Member], need: Literal["all", "any", "sequence"] | int, options: GroupOptions) -> Group:
    """The definition of a group; sources of one name are numbered from the second on."""
    sources: dict[str, SourceSpec] = {}
    names: dict[int, str] = {}
    for member in members:
        name = member.name
        count = 1
        while name in sources:
            count += 1
            name = f"{member.name}_{count}"
        sources[name] = member.spec
        names[id(member.origin)] = name
    return Group(TriggerSpec(on=sources, need=need, **_plain(options)), names, tuple(members))


_DURATIONS = ("within", "timeout", "cooldown", "throttle", "debounce")


def _plain(options: GroupOptions) -> dict[str, Any]:
    plain: dict[str, Any] = dict(options)
    for name in _DURATIONS:
        if name in plain:
            plain[name] = read_duration(plain[name])
    if "limit" in options:
        count, per = options["limit"]
        plain["limit"] = Limit(count=count, per=read_duration(per))
    return plain
