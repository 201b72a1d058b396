"""Takes agents out of a running engine, with all that listens, waits or works for them."""

from __future__ import annotations

from collections.abc import Collection

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.call import Call, Holder
from edgematrix.runtime.engine import Engine

__all__ = ["Removal"]


class Removal:
    """Some agents on their way out. From its making on nothing reaches them; `finish` ends what they had under way.

    In between whatever takes their place may be put in: who waited for them is told last, and may then turn to that.

    Args:
        paths: exactly these; those below one stay if they are not named.
        moved: those of them that run elsewhere from now on: who sends to them still may.
    """

    def __init__(self, engine: Engine, paths: Collection[AgentPath], moved: Collection[AgentPath] = ()) -> None:
        self._engine = engine
        self._moved = moved
        found = engine.unlisten(lambda listener: listener.agent in paths) if paths else []
        self.subscriptions = {subscription for subscription, _ in found}
        """What they were subscribed to."""
        self.retained: list[str] = []
        """Their outputs that a broker keeps."""
        self._paths = paths
        outer_first = sorted(paths, key=lambda path: path.count("/"))
        self._holders: list[Holder] = [holder for path in outer_first for holder in engine.holders.pop(path, ())]
        self._calls: list[Call] = [
            call for call in engine.calls.open.values() if call.receiver in paths and not engine.calls.is_reopened(call)
        ]
        if paths:
            gone = {id(listener) for _, listener in found} | {id(holder) for holder in self._holders}
            engine.unschedule(lambda timer: id(timer) in gone)
            engine.touched[:] = [keeper for keeper in engine.touched if id(keeper) not in gone]
            self._forget(paths)

    def finish(self, now_us: int) -> None:
        """Tell whoever waits for them, and end their runs: those that called others of them first, and with them their calls."""
        for call in self._calls:
            if call.caller not in self._paths:
                became = "moved to another host" if call.receiver in self._moved else "was taken out"
                self._engine.calls.fail(call.runid, f"{call.receiver} {became}", now_us, gone=True)
        for holder in self._holders:
            holder.retire(now_us)

    def _forget(self, paths: Collection[AgentPath]) -> None:
        engine = self._engine
        taken_out = frozenset(paths).difference(self._moved)
        self.retained = [topic for topic, (_, retain) in engine.deliveries.items() if retain and self._owner(topic) in taken_out]
        for by_topic in (engine.deliveries, engine.checks):
            for topic in [topic for topic in by_topic if self._owner(topic) in paths]:
                del by_topic[topic]
        for path in paths:
            engine.publishable.pop(path, None)
            engine.calls.wanted.pop(path, None)
        engine.wires = {wire for wire in engine.wires if wire[0] not in paths and wire[1] not in taken_out}
        engine.inner.difference_update(paths)
        engine.durable.difference_update(paths)
        for topic, agents in list(engine.guarded.items()):
            kept = tuple(agent for agent in agents if agent not in paths)
            if kept:
                engine.guarded[topic] = kept
            else:
                del engine.guarded[topic]

    def _owner(self, topic: str) -> str:
        """Whose port a topic of the bus's own is."""
        return topic.removeprefix(f"{self._engine.root}/").partition("/")[2].rpartition("/")[0]
