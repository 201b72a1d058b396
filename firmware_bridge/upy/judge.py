"""The rules of a board at work: it judges what it puts out, acts, and tells what fired (docs/spec/triggers.md, "Pushed down").

    agent = Agent("home/greenhouse/board", "192.168.1.10")
    agent.use(Judge(FileKeep("rules.dat")))

Readings that rules alone want stay on the board. What fires is told on `em/out/{path}/_rules` with QoS 1, once there is a
connection; the table comes on `em/in/{path}/_rules`, and the last good one is kept.
"""

import gc
import json
import time

from .rules import Rules, RulesError
from .ticks import now_s, seconds_of, ticks_diff, ticks_ms
from .value import decode, encode

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .agent import Agent, Keep

__all__ = ["Judge"]

_PORT = "_rules"
_RING_MAX = 16
"""Values that one value may lead to by way of rules that act."""
_YEAR_SET = 2025
_ASLEEP_S_MAX = 30 * 86_400


class Judge:
    """Rules on an agent.

    `keep` holds the table through a reset. `table` is one that the board was provisioned with; it counts until another comes.
    At most `reports_max` firings wait for a connection; beyond it the oldest goes, and is counted in `lost`. `slept_ms` is how long
    the board was away before it began, where no clock says so.
    """

    def __init__(self, keep: "Keep | None" = None, table: "Any" = None, *, reports_max: int = 16, slept_ms: int = 0) -> None:
        if reports_max < 1:
            raise ValueError("reports_max starts at 1")
        self.lost = 0
        """Firings that were dropped before they could be told."""
        self._keep = keep
        self._given = table
        self._reports_max = reports_max
        self._slept_ms = slept_ms
        self._agent: "Any" = None
        self._boot = ""
        self._rules: Rules | None = None
        self._refused: "dict[str, str]" = {}
        self._reports: "list[list[Any]]" = []
        self._number = 0
        self._heard: "list[Any]" = []
        self._busy = False
        self._sides: "list[Any]" = []
        self._moment = 0
        self._ticks = ticks_ms()

    @property
    def waiting(self) -> int:
        """How many firings are to be told."""
        return len(self._reports)

    @property
    def table(self) -> str:
        """The name of the table in force; empty for none."""
        return "" if self._rules is None else self._rules.id

    def bind(self, agent: "Agent", session: str, tell_state: "Callable[[], None]", log: "Callable[[str], object]") -> None:
        """Work for this agent; `Agent.use` calls it."""
        self._agent = agent
        self._boot = session[:8]
        self._tell_state = tell_state
        self._log = log
        agent.take(_PORT, self._take_table)
        agent.when_ready(self.flush)
        self._begin()

    def about(self) -> "dict[str, Any]":
        """What the agent's state says of the rules."""
        about = {"table": self.table, "bytes_max": self._agent.payload_bytes_max}
        if self._refused:
            about["refused"] = self._refused
        return about

    def hears(self, port: str, value: object, payload: bytes) -> int:
        """Judge a value that is put out. Whether it is to be published: 0 if not, 1 if it is, 2 if it must not be lost."""
        rules = self._rules
        if rules is None:
            return 1
        plain = value if isinstance(value, (bool, int)) else decode(payload)  # what a host would read
        self._heard.append((port, plain))
        self._work()
        judging = self._rules  # it may be none by now
        return 1 if judging is None else judging.wants(port, plain, self._now())

    def unsent(self, port: str) -> None:
        """A value of a port was lost for want of a connection."""
        if self._rules is not None:
            self._rules.unsent(port)

    def step(self) -> None:
        """Do what is due, and tell what waits."""
        if self._rules is not None and self._rest_ms() <= 0:
            self._work()
        if self._reports:
            self.flush()

    def rest_ms(self, longest_ms: int) -> int:
        """How long nothing is due, at most `longest_ms`."""
        return longest_ms if self._rules is None else max(0, min(longest_ms, self._rest_ms()))

    def flush(self) -> None:
        """Tell what waits, as far as the broker takes it."""
        now = self._now()
        while self._reports and self._agent.online:
            boot, number, rule, at, done, readings = self._reports[0]
            report = [1, boot, number, rule, now - at, _wall(now - at), done, readings, self.lost]
            try:
                if not self._agent.tell("out", _PORT, encode(report), 1):
                    return
            except ValueError:  # a payload that does not fit
                self.lost += 1
            self._reports.pop(0)

    def drop(self) -> bool:
        """Give up the oldest firing that is to be told, for want of room; False if there is none."""
        if not self._reports:
            return False
        self._reports.pop(0)
        self.lost += 1
        return True

    def dump(self) -> "list[Any]":
        """What outlives a reset, as JSON knows it."""
        rules = [] if self._rules is None else self._rules.dump()
        return [now_s(), self._now(), self.lost, self._reports, rules]

    # Judging

    def _work(self) -> None:
        """Judge what was put out, and what is due; what rules that act put out comes after."""
        rules = self._rules
        if self._busy or rules is None:
            return
        self._busy = True
        try:
            rules.advance(self._now())
            self._act(rules)
            for _ in range(_RING_MAX):
                if not self._heard:
                    break
                port, value = self._heard.pop(0)
                rules.feed(port, value, self._now())
                self._act(rules)
            if self._heard:
                raise RulesError("its rules set one another off without end")
        except (RulesError, MemoryError) as error:
            self._give_up(str(error))
        finally:
            self._busy = False
            self._heard.clear()
        self._keep_sides()

    def _act(self, rules: Rules) -> None:
        while rules.fired:
            rule, at, readings = rules.fired.pop(0)
            done = []
            for place, port, how, payload in rule.acts:
                if not self._agent.act(port, payload if not how else readings[payload][0]):
                    break
                done.append(place)
            told = [None if one is None else [one[0], at - one[1]] + one[2:] for one in readings]
            self._number += 1
            self._reports.append([self._boot, self._number, rule.id, at, done, told])
            if len(self._reports) > self._reports_max:
                self.drop()

    def _keep_sides(self) -> None:
        """Keep what is known once a level has turned: after a reset it is no edge again."""
        sides = [] if self._rules is None else self._rules.sides()
        if sides != self._sides:
            self._sides = sides
            try:
                self._agent.store()
            except (OSError, ValueError, MemoryError) as error:
                self._log("nothing can be kept: %s" % error)

    def _rest_ms(self) -> int:
        due = None if self._rules is None else self._rules.due()
        return 1 << 29 if due is None else due - self._now()

    def _now(self) -> int:
        """Our own timeline in milliseconds: it does not wrap, and goes on where it was after a reset."""
        ticks = ticks_ms()
        self._moment += ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._moment

    # Tables

    def _take_table(self, payload: bytes, retained: bool) -> None:  # noqa: ARG002 - it is retained, but for a board that listens
        if not payload:
            return  # nobody hands any out
        table = decode(payload)
        name = table[1] if isinstance(table, list) and len(table) > 1 else ""
        if not isinstance(name, str) or not name:
            self._log("what came as rules is none")
            return
        if name in (self.table, self._refused.get("table")):
            return
        self._put_in_force(table, name)
        self._store_table(table)
        self._tell_state()

    def _put_in_force(self, table: "Any", name: str) -> None:
        """Judge by this table from now on, with what is known for rules that stay; by none if it is of no use."""
        self._refused = {}
        known = [0, {}] if self._rules is None else self._rules.dump()
        self._rules = None  # both at once may be too much
        gc.collect()
        try:
            rules = Rules(table)
            rules.load(known)
        except (RulesError, MemoryError) as error:
            self._refused = {"table": name, "reason": str(error) or "there is no memory for it"}
            return
        self._rules = rules

    def _give_up(self, reason: str) -> None:
        """What cannot be judged here is the host's again."""
        self._log("the rules are given up: %s" % reason)
        self._refused = {"table": self.table, "reason": reason[:120]}
        self._rules = None
        self._store_table(None)
        self._tell_state()

    def _store_table(self, table: "Any") -> None:
        if self._keep is None:
            return
        given = self._given[1] if self._given else ""
        try:
            self._keep.store(encode([given, self._refused, None if self._refused else table]))
        except (OSError, ValueError, MemoryError) as error:
            self._log("the rules cannot be kept: %s" % error)

    def _begin(self) -> None:
        """Take the kept table, or a newer one that the board was provisioned with, and go on from what is known."""
        table, given = self._given, self._given[1] if self._given else ""
        data = b"" if self._keep is None else self._keep.load()
        try:
            if data:
                before, refused, kept = json.loads(data)
                if before == given:
                    table, self._refused = kept, refused
            if table is not None:
                self._put_in_force(table, str(table[1]))
        except (ValueError, TypeError, IndexError) as error:
            self._log("the kept rules are damaged, and forgotten: %s" % error)
        self._resume(self._agent.memory.get(_PORT))

    def _resume(self, state: "Any") -> None:
        if not state:
            return
        try:
            stored_s, moment, lost, reports, known = state
            away_s = now_s() - stored_s if stored_s and now_s() else -1
            self._moment = moment + (away_s * 1_000 if 0 <= away_s <= _ASLEEP_S_MAX else self._slept_ms)
            if known and self._rules is not None:
                self._rules.load(known)
                self._sides = self._rules.sides()
            self.lost = lost
            self._reports = list(reports)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            self._log("what the rules knew is damaged, and forgotten: %s" % error)


def _wall(ago_ms: int) -> "list[int] | None":
    """The wall clock that long ago, in seconds since 1970 and milliseconds; None while it is not set."""
    now_ms = time.time_ns() // 1_000_000 if hasattr(time, "time_ns") else int(time.time()) * 1_000
    then = time.gmtime((now_ms - ago_ms) // 1_000)
    return [seconds_of(*then[:6]), (now_ms - ago_ms) % 1_000] if then[0] >= _YEAR_SET else None
