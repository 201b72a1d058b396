"""Keeps what happened of late, and puts it on the bus while somebody watches (docs/spec/topics.md, `trace` and `op`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial

from edgematrix.errors import EdgeMatrixError, PathError, QueueFullError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.event import Trail
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.account import Account, account_of, group_of, key_of
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.history import History
from edgematrix.runtime.matches import Match, Matches
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Emitted,
    Fired,
    Observation,
)
from edgematrix.runtime.order import Order
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.run_teller import RunTeller
from edgematrix.runtime.watches import Watch, Watcher, Watches, covers, read_watch

__all__ = ["Tracer"]

_SETTLE_S = 0.1
"""How long a partial match may go on changing before it is told."""
_TICK_S = 1.0
"""How often leases are looked at, and what runs down by time alone is told."""
_ANSWERS_MAX = 20
"""Answers within a second."""
_ANSWER_BYTES_MAX = 100_000
"""An answer that is longer comes in parts."""


class Tracer:
    """The newest observations of a host, and whoever watches them.

    It observes the engine and listens for watches. Messages that are received and published are not kept: they are on the bus, or
    were.

    Args:
        groups: the trigger groups of the host.
        agents: the paths of its agents.
        clock: the host's time. Leases, and how often something is told, go by the event loop's.
        host: its name, from which its answers come.
        front: where orders come in and answers go out; None makes one without a log.
        is_linked: whether the broker is there. Traces that wait for it would push other messages out of the queue.
    """

    def __init__(
        self,
        engine: Engine,
        groups: Sequence[GroupRunner],
        agents: Iterable[AgentPath],
        clock: Clock,
        *,
        host: str,
        is_linked: Callable[[], bool],
        front: FrontDesk | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._groups = groups
        self.agent = engine.matrix
        self._agents = (engine.matrix, *agents)
        self._front = FrontDesk(engine, host) if front is None else front
        self._is_linked = is_linked
        self._head = f"{engine.root}/{Kind.OP}/"
        self._own = f"{engine.root}/{Kind.TRACE}/"
        self._history = History(engine.limits.observations_max, len(self._agents))
        self._run_teller = RunTeller(engine, self._history, _ANSWER_BYTES_MAX)
        self._watches = Watches(engine.limits.watches_max)
        self._matches = Matches(groups)
        self._watched = False
        self._timer: asyncio.TimerHandle | None = None
        self._tick_s = 0.0
        self._second_max = engine.limits.traces_per_second_max
        self._second_count = 0
        self._left_out: Counter[str] = Counter()
        self._answers_from_s = 0.0
        self._answers_count = 0
        self.filter = f"{self._head}+/watch/{engine.matrix}/#"
        """What a host subscribes to; `#` takes the level before it in (MQTT 3.1.1, 4.7.1.2), which is the matrix as a whole."""
        self.published_count = 0
        self.left_out_count = 0
        engine.listen(TopicFilter.parse(self.filter), self)
        engine.tracers.append(self.observe)
        engine.watched = self._watches.cover

    def follow(self, agents: Iterable[AgentPath], removed: Collection[AgentPath]) -> None:
        """Take note that other agents live here now. What those that are gone did is forgotten but for whole runs."""
        self._agents = (self._engine.matrix, *agents)
        self._history.share(len(self._agents))
        self._history.forget(removed)
        self._matches.refresh()

    # What the engine tells

    def observe(self, seen: Observation) -> None:
        """Keep an observation, and publish it if somebody watches its agent."""
        kind = type(seen)
        if (kind is Dropped or kind is DeadLettered) and seen.topic.startswith(self._own):  # type: ignore[union-attr]
            return  # a trace about a trace that was given up would be given up too
        self._history.keep(seen)
        if self._watched and kind is not Emitted:
            self._tell(seen)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take a watch."""
        try:
            watcher, watch = read_watch(message, self._head)
        except EdgeMatrixError as error:
            self._front.unread(message, error, now_us)
            return
        order = Order("watch", watcher.path, watch, watcher.user, message.trail, message.topic, message.value)
        if not watch.asks and watch.follow and watcher in self._watches:
            self._watch(order, watcher, watch, now_us, is_new=False)  # it goes on: it was let in, and logged, when it began
        else:
            self._front.admit(order, lambda now_us: self._watch(order, watcher, watch, now_us), now_us, changes=False)

    # Time

    def look(self, now_s: float) -> None:
        """Tell what has changed; once a second look at the leases, and at what time alone changes.

        Args:
            now_s: the event loop's time.
        """
        now_us = self._clock.now_us()
        if now_s >= self._tick_s:
            self._watches.expire(now_s)
            self._begin_or_end(now_s)
            self._second_count = 0
            self._tell_left_out(now_us)
            self._tell_matches(self._matches.run_down(now_us, self._moment(now_us)), now_us)
            self._tick_s = now_s + _TICK_S
        self._tell_matches(self._matches.changed(now_us, self._moment(now_us)), now_us)
        if self._watched:
            self._wake(self._tick_s)
        self._engine.settled()

    def close(self) -> None:
        """Look at nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, due_s: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due_s, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.look(asyncio.get_running_loop().time())

    # Traces

    def _tell(self, seen: Observation) -> None:
        path = seen.path  # type: ignore[union-attr]  # all but those received have a path
        if not self._watches.cover(path):
            return
        group = group_of(seen)
        if group is not None:
            self._matches.touch(path, group, key_of(seen))
            self._wake(asyncio.get_running_loop().time() + _SETTLE_S)
        cause = seen.firing.trail if isinstance(seen, Fired) else NO_TRAIL
        self._publish(path, account_of(seen, self._engine.skew_us), cause, seen.at_us)

    def _tell_matches(self, changed: Iterator[tuple[Match, Account]], now_us: int) -> None:
        for match, account in changed:
            self._publish(match.path, account, NO_TRAIL, now_us)

    def _tell_left_out(self, now_us: int) -> None:
        for path, number in self._left_out.most_common(self._second_max):
            del self._left_out[path]
            text = f"{number} traces were left out: traces_per_second_max is {self._second_max}"
            self._publish(path, {"kind": "left_out", "at": self._moment(now_us), "count": number, "text": text}, NO_TRAIL, now_us)

    def _publish(self, path: str, account: Account, cause: Trail, now_us: int) -> None:
        if not self._is_linked():
            return
        if self._second_count >= self._second_max:
            self._left_out[path] += 1
            self.left_out_count += 1
            return
        self._second_count += 1
        self.published_count += 1
        engine = self._engine
        trail = engine.next_trail(cause, now_us)
        topic = topic_for(engine.root, Kind.TRACE, path)
        engine.outbox.append(Outbound(topic, account, path, now_us, type="em.trace", trail=trail, cause=cause.id))

    # Answers

    def _watch(self, order: Order, watcher: Watcher, watch: Watch, now_us: int, *, is_new: bool = True) -> None:
        """Begin, go on with, or end a watch, and answer."""
        now_s = asyncio.get_running_loop().time()
        answers: Iterator[Account] = iter(())
        try:
            self._check(watcher.path, watch.group)
            if watch.asks:
                self._check_pace(now_s)
                answers = self._about_runs(watcher, watch) or self._kept(watcher, watch, now_us)
            if watch.follow:
                self._watches.renew(watcher, now_s)
            else:
                self._watches.end(watcher)
        except EdgeMatrixError as error:
            if order.session:  # else whoever refuses tells it so
                self._engine.dead_letter(self._engine.matrix, order.topic, order.value, error.what, now_us)
            self._front.refused(order, error, now_us, {"last": True})
            return
        if is_new:
            told = list(answers)
            self._front.done(order, [{**about, "last": number == len(told)} for number, about in enumerate(told, 1)], now_us)
        self._begin_or_end(now_s)

    def _kept(self, watcher: Watcher, watch: Watch, now_us: int) -> Iterator[Account]:
        """What has been kept of that part of the tree, oldest first, then how far its groups are from firing."""
        group, skew_us = watch.group, self._engine.skew_us
        found = self._history.newest(watcher.path, group, watch.newest)
        accounts: list[Account] = [{"path": _path_of(seen), **account_of(seen, skew_us)} for seen in found]
        heard_of = (Match(_path_of(seen), group_of(seen) or "", key_of(seen)) for seen in found)
        at = self._moment(now_us)
        matches, left_out = self._matches.begin(
            lambda runner: covers(watcher.path, runner.agent) and group in ("", runner.group.name), heard_of, now_us, at
        )
        accounts += matches
        if left_out:
            text = f"what {left_out} more groups wait for is left out: ask about a part of {watcher.path}"
            accounts.append({"path": watcher.path, "kind": "left_out", "at": at, "count": left_out, "text": text})
        part: list[Account] = []
        size_bytes = 0
        for account in accounts:
            account_bytes = len(encode_value(account))
            if part and size_bytes + account_bytes > _ANSWER_BYTES_MAX:
                yield {"observations": part}
                part, size_bytes = [], 0
            part.append(account)
            size_bytes += account_bytes
        yield {"observations": part}

    def _about_runs(self, watcher: Watcher, watch: Watch) -> Iterator[Account] | None:
        """The answer to a question about runs; None if it is about something else."""
        if isinstance(watch.run, list):
            return self._run_teller.several(watch.run, partial(covers, watcher.path))
        if watch.run:
            return self._run_teller.one(watch.run, partial(covers, watcher.path))
        return self._run_teller.newest(watch.runs, partial(covers, watcher.path)) if watch.runs else None

    # Leases

    def _check(self, path: AgentPath, group: str) -> None:
        """Refuse what is not here, with the nearest that is."""
        if not any(covers(path, agent) for agent in self._agents):
            near = get_close_matches(path, self._agents, n=1, cutoff=0.5)
            raise PathError(f"no agent {path} is here", remedy=f"did you mean {near[0]}?" if near else "")
        names = {runner.group.name for runner in self._groups if covers(path, runner.agent)} if group else {group}
        if group not in names:
            near = get_close_matches(group, names, n=1, cutoff=0.5)
            known = f"its groups are {', '.join(sorted(names)[:20])}" if names else "it has no trigger groups"
            raise PathError(f"{path} has no trigger group {group[:80]!r}", remedy=f"did you mean {near[0]}?" if near else known)

    def _check_pace(self, now_s: float) -> None:
        if now_s - self._answers_from_s >= 1:
            self._answers_from_s, self._answers_count = now_s, 0
        self._answers_count += 1
        if self._answers_count > _ANSWERS_MAX:
            raise QueueFullError(f"more than {_ANSWERS_MAX} questions within a second")

    def _begin_or_end(self, now_s: float) -> None:
        """Follow what is watched, and nothing else."""
        was, self._watched = self._watched, len(self._watches) > 0
        if not self._watched:
            self._matches.forget()
            self._left_out.clear()
            return
        self._matches.keep(self._watches.cover)
        if not was:
            self._tick_s = now_s + _TICK_S
            self._wake(self._tick_s)

    def _moment(self, now_us: int) -> str:
        return format_moment(now_us + self._engine.skew_us)


def _path_of(seen: Observation) -> AgentPath:
    return AgentPath(seen.path)  # type: ignore[union-attr]  # all that are kept have one
