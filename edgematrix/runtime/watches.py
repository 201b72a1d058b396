"""Who watches which part of the tree, and until when."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from edgematrix.errors import CodecError, QueueFullError
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath, check_name, is_below, parse_path

__all__ = ["LEASE_S", "NEWEST_MAX", "Watch", "Watcher", "Watches", "covers", "read_watch"]

LEASE_S = 60.0
"""How long a watch lasts unless it is renewed (docs/spec/topics.md)."""
NEWEST_MAX = 1_000
"""How many kept observations one answer may hold."""


_RUNID_LENGTH_MAX = 200
_RUNIDS_MAX = 100


class Watch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a watch asks for: the `data` of an event on `{root}/op/{user}/watch/{path}`, all of it optional.

    `session` is where an answer goes, `{root}/reply/{host}/{user}/{session}`; without it there is none. `newest` is how many kept
    observations the answer holds. `follow` asks for traces from now on, for the time of a lease; false ends that. `group` asks
    about the trigger groups of that name alone.

    `runs` asks for the newest runs instead, as many, and `run` for what is known of one, by its id or the beginning of it; of several
    where it is a list of ids.
    """

    session: str = ""
    newest: Annotated[int, msgspec.Meta(ge=0, le=NEWEST_MAX)] = 0
    follow: bool = True
    group: str = ""
    runs: Annotated[int, msgspec.Meta(ge=0, le=NEWEST_MAX)] = 0
    run: Annotated[str, msgspec.Meta(max_length=_RUNID_LENGTH_MAX)] | Annotated[list[str], msgspec.Meta(max_length=_RUNIDS_MAX)] = ""

    @property
    def asks(self) -> bool:
        """Whether it wants an answer, and says where to."""
        return bool(self.session and (self.newest or self.runs or self.run))


class Watcher(NamedTuple):
    """Whoever watches."""

    user: str
    session: str
    path: AgentPath


def read_watch(message: Message, head: str) -> tuple[Watcher, Watch]:
    """Read what an operator asks for.

    Args:
        message: an event, or nothing at all, on `{head}{user}/watch/{path}`.
        head: what stands before the user.

    Raises:
        PathError: the path, or the session, breaks the grammar.
        CodecError: it is retained, or asks for what there is not.
    """
    user, _, rest = message.topic.removeprefix(head).partition("/")
    if not user:
        raise CodecError("no watch: its topic does not say who asks")
    path = parse_path(rest.partition("/")[2])
    if message.retained:
        raise CodecError("a watch is not retained: it would begin anew whenever the host connects")
    asked = {} if message.value in (None, "") else message.value
    try:
        watch = msgspec.convert(asked, Watch)
    except msgspec.ValidationError as error:
        raise CodecError(f"no watch: {error}") from None
    if watch.session:
        check_name(watch.session, "session")
    return Watcher(user, watch.session, path), watch


class Watches:
    """The leases of those who follow. Their time is real time, in seconds: people watch, however fast a host's own time runs.

    Args:
        watchers_max: how many there may be at once.
    """

    def __init__(self, watchers_max: int) -> None:
        self._watchers_max = watchers_max
        self._until_s: dict[Watcher, float] = {}
        self._covered: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._until_s)

    def __contains__(self, watcher: Watcher) -> bool:
        return watcher in self._until_s

    def renew(self, watcher: Watcher, now_s: float) -> None:
        """Begin a lease, or go on with it.

        Raises:
            QueueFullError: there are too many watchers.
        """
        if watcher not in self._until_s and len(self._until_s) >= self._watchers_max:
            raise QueueFullError(f"watches_max, {self._watchers_max}, watch this host already")
        self._until_s[watcher] = now_s + LEASE_S
        self._covered.clear()

    def end(self, watcher: Watcher) -> None:
        """Forget a watcher; one that is not known needs no forgetting."""
        if self._until_s.pop(watcher, None) is not None:
            self._covered.clear()

    def expire(self, now_s: float) -> None:
        """Forget whoever has not renewed its lease."""
        for watcher in [watcher for watcher, until_s in self._until_s.items() if until_s <= now_s]:
            self.end(watcher)

    def cover(self, path: str) -> bool:
        """Whether somebody watches this agent, or what it is in."""
        covered = self._covered.get(path)
        if covered is None:
            covered = self._covered[path] = any(covers(watcher.path, path) for watcher in self._until_s)
        return covered


def covers(part: str, path: str) -> bool:
    """Whether an agent is that part of the tree, or below it."""
    return path == part or is_below(path, part)
