"""A second reading of docs/spec/triggers.md: slow, plain, second by second, for one key. Only the tests know it.

It is written from the text, not from the engine: every second it asks each source and each stage whether its time has come.
Definitions are the same mappings as in a file; durations are whole seconds.
"""

# ruff: noqa: PLR0911, PLR0912 - each rule is one branch, as it stands in the text

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = {None, "", "unknown", "unavailable"}
LEVEL_KEYS = ("above", "below", "equals", "not")


@dataclass
class Token:
    value: Any
    at: int


@dataclass
class Input:
    """One source and all that was ever said by it."""

    name: str
    spec: dict[str, Any]
    side: bool | None = None
    on_since: int | None = None  # by an edge; a seeded ON has none
    ready: bool = False
    newest: Any = None
    known: bool = False
    base: Any = None
    samples: list[tuple[int, Any]] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    heard: int | None = None  # the last message that ends a silence
    silent_told: bool = False
    lapse: int | None = None
    tokens: list[Token] = field(default_factory=list)

    @property
    def is_level(self) -> bool:
        return any(key in self.spec for key in LEVEL_KEYS)

    @property
    def role(self) -> str:
        return self.spec.get("role", "regular")

    def detect(self, v: Any) -> bool:
        spec, h = self.spec, self.spec.get("hysteresis", 0)
        if "equals" in spec:
            return v == spec["equals"]
        if "not" in spec:
            return v != spec["not"]
        low, high = spec.get("above"), spec.get("below")
        inside = (low is None or v > low) and (high is None or v < high)
        outside = (low is not None and v <= low - h) or (high is not None and v >= high + h)
        return True if inside else False if outside else bool(self.side)


class NaiveGroup:
    """Give it `message` and `second`; `fired` is told of each run that starts."""

    def __init__(
        self,
        spec: dict[str, Any],
        now: int,
        fired: Callable[[int, int, dict[str, Any], list[str]], None],
        ok: Callable[[dict[str, Any]], bool],
    ) -> None:
        self.spec = spec
        self.inputs = {name: Input(name, source) for name, source in spec["on"].items()}
        self.start = now
        self.fired = fired
        self.ok = ok
        self.steps: list[tuple[str, Token]] = []
        self.passed: int | None = None
        self.limited: list[int] = []
        self.throttled_at: int | None = None
        self.throttled: Any = None
        self.debounced: Any = None
        self.debounce_due = 0
        self.running: list[int] = []
        self.queue: list[Any] = []
        self.run = 0
        for one in self.inputs.values():
            one.heard = now

    # Time

    def second(self, now: int) -> None:
        """All timers of this second, in written order."""
        for one in self.inputs.values():
            spec = one.spec
            if one.is_level and one.on_since is not None and "for" in spec and not one.ready and now == one.on_since + spec["for"]:
                stood = self._complete(now)
                one.ready = True
                self._edge([(one, Token(one.newest, now))], now, stood)
            if "absent" in spec and not one.silent_told and one.heard is not None and now == one.heard + spec["absent"]:
                one.silent_told = True
                self._edge([(one, Token(one.newest, now))], now, self._complete(now))
            if "every" in spec and now > self.start and (now - self.start) % spec["every"] == 0:
                self._edge([(one, Token(None, now))], now, self._complete(now))
            if one.lapse == now:
                one.lapse = None
                one.side, one.ready, one.on_since = None, False, None
                if one.role == "live":
                    one.known, one.newest = False, None
        oldest = self._oldest()
        if self.spec.get("timeout") and oldest is not None and now >= oldest + self.spec["timeout"]:
            self._time_out(now)
        if self.throttled is not None and now >= self.throttled_at + self.spec["throttle"]:
            firing, self.throttled, self.throttled_at = self.throttled, None, now
            self._debounce(firing, now)
        if self.debounced is not None and now >= self.debounce_due:
            firing, self.debounced = self.debounced, None
            self._admit(firing, now)

    # Messages

    def message(self, names: list[str], value: Any, retained: bool, now: int) -> None:
        stood = self._complete(now)
        edges: list[tuple[Input, Token]] = []
        first = False
        for name in names:
            one = self.inputs[name]
            was_known = one.known
            token = self._hear(one, value, retained, now)
            if token is not None:
                edges.append((one, token))
            live = not retained or one.spec.get("retained") == "fire"
            if one.role == "live" and one.spec.get("required") and live and one.known and not was_known:
                first = True
        if edges or first:
            self._edge(edges, now, stood, first=first)

    def _hear(self, one: Input, value: Any, retained: bool, now: int) -> Token | None:
        spec = one.spec
        policy = spec.get("retained", "seed")
        if retained and policy == "ignore":
            return None
        seed = retained and policy != "fire"
        if "expires" in spec and (one.is_level or one.role == "live"):
            one.lapse = now + spec["expires"]
        if not seed:
            one.heard, one.silent_told = now, False
        numeric = "above" in spec or "below" in spec or "by" in (spec.get("changes") or {} if spec.get("changes") is not True else {})
        aggregate = spec.get("aggregate")
        if (aggregate and aggregate["fn"] not in ("count", "last")) or (numeric and not (aggregate and aggregate["fn"] == "count")):
            value = value if type(value) in (int, float) else None
        if value in UNKNOWN and type(value) is not bool:
            value = None
        if value is not None and aggregate:
            one.samples.append((now, value))
            within = [v for at, v in one.samples if now - at <= aggregate["over"]]
            value = figure(aggregate["fn"], within) if len(within) >= aggregate.get("min_samples", 1) else None
        if value is None:
            if spec.get("unknown") == "break" and one.is_level:
                one.side, one.ready, one.on_since = (False if one.side is not None else None), False, None
            return None
        return self._level(one, value, seed, policy, now) if one.is_level else self._event(one, value, seed, now)

    def _level(self, one: Input, value: Any, seed: bool, policy: str, now: int) -> Token | None:
        before = one.side
        one.side = one.detect(value)
        one.newest, one.known = value, True
        if not one.side:
            one.ready, one.on_since = False, None
            return None
        if before:
            return None
        if seed and not (policy == "changed" and before is False):
            one.ready = "for" not in one.spec
            return None
        if "for" in one.spec:
            one.on_since = now
            return None
        one.ready = True
        return Token(value, now)

    def _event(self, one: Input, value: Any, seed: bool, now: int) -> Token | None:
        spec = one.spec
        last, had = one.newest, one.known
        one.newest, one.known = value, True
        by = spec["changes"].get("by") if isinstance(spec.get("changes"), dict) else None
        if by is not None and one.base is None:
            one.base = value
            return None
        if seed or one.role == "live" or "absent" in spec:
            return None
        if "is" in spec and value != spec["is"]:
            return None
        if by is not None:
            if abs(value - one.base) < by:
                return None
            one.base = value
        elif "changes" in spec:
            asked = spec["changes"] if isinstance(spec["changes"], dict) else {}
            if not had or value == last or asked.get("from", last) != last or asked.get("to", value) != value:
                return None
        if "count" in spec:
            one.counted.append(now)
            within = spec["count"].get("within")
            if within is not None:
                one.counted = [at for at in one.counted if now - at <= within]
            if len(one.counted) < spec["count"]["at_least"]:
                return None
            one.counted = []
        return Token(value, now)

    # Judging

    def _of(self, *roles: str) -> list[Input]:
        return [one for one in self.inputs.values() if one.role in roles]

    def _is_there(self, one: Input) -> bool:
        return one.ready if one.is_level else bool(one.tokens)

    def _complete(self, now: int) -> bool:
        """Whether all regular sources are ready, leaving out what `within` would drop."""
        within = self.spec.get("within")
        need = self.spec.get("need", "all")
        if need == "sequence":
            fresh = within is None or all(token.at >= now - within for _, token in self.steps)
            return fresh and len(self.steps) == len(self._of("regular"))
        there = [
            one
            for one in self._of("regular")
            if (one.ready if one.is_level else any(within is None or t.at >= now - within for t in one.tokens))
        ]
        return len(there) >= {"all": len(self._of("regular")), "any": 1}.get(need, need)

    def _oldest(self) -> int | None:
        moments = [token.at for one in self._of("regular", "gate") for token in one.tokens] + [token.at for _, token in self.steps]
        return min(moments, default=None)

    def _edge(self, edges: list[tuple[Input, Token]], now: int, stood: bool, *, first: bool = False) -> None:
        if any(one.role == "reset" for one, _ in edges):
            self._clear()
            stood = self._complete(now)
        gate_speaks = any(one.role == "gate" and (stood or one.is_level) for one, _ in edges)
        judged = [(one, token) for one, token in edges if one.role == "regular"]
        if judged or gate_speaks or first:
            self._drop_old(now)
        if judged and not stood:
            for gate in self._of("gate"):
                gate.tokens.clear()
        sequence = self.spec.get("need") == "sequence"
        for one, token in edges:
            waits = one.role == "optional" or (one.role == "gate" and stood) or (one.role == "regular" and not sequence)
            if waits and not one.is_level:
                self._keep(one, token, now)
        if sequence and judged:
            self._step({one.name: token for one, token in judged})
        if self.spec.get("need") == "any" and (judged or gate_speaks):
            for one, _ in edges:
                if one.role == "regular" and (one.is_level or one.tokens):  # else the gate has let it take part
                    self._try([one], now)
                elif one.role == "gate" and (stood or one.is_level):
                    waiting = [other for other in self._of("regular") if self._is_there(other)]
                    if waiting:
                        self._try(waiting, now)
        elif (judged or gate_speaks or first) and self._complete(now):
            self._try([one for one in self._of("regular") if self._is_there(one) or sequence], now)

    def _drop_old(self, now: int) -> None:
        within = self.spec.get("within")
        if within is None:
            return
        for one in self.inputs.values():
            one.tokens = [token for token in one.tokens if token.at >= now - within]
        if any(token.at < now - within for _, token in self.steps):
            self.steps.clear()

    def _keep(self, one: Input, token: Token, now: int) -> None:
        keep = one.spec.get("keep", "latest")
        within = self.spec.get("within")
        if keep == "latest":
            one.tokens = [token]
        elif keep == "all":
            one.tokens = [*one.tokens, token][-one.spec.get("keep_max", 100) :]
        elif not one.tokens or (within is not None and one.tokens[0].at < now - within):
            one.tokens = [token]

    def _step(self, edges: dict[str, Token]) -> None:
        order = [one.name for one in self._of("regular")]
        done = len(self.steps)
        if done == len(order):
            if order[-1] in edges:
                self.steps[-1] = (order[-1], edges[order[-1]])
        elif order[done] in edges:
            self.steps.append((order[done], edges[order[done]]))
        elif done == 1 and order[0] in edges:
            self.steps = [(order[0], edges[order[0]])]

    def _try(self, parts: list[Input], now: int) -> None:
        if not all(self._is_there(gate) for gate in self._of("gate")) or self._lacks_required():
            return
        self._fire(parts, now, [])

    def _lacks_required(self) -> bool:
        return any(one.spec.get("required") and not one.known for one in self._of("live"))

    def _time_out(self, now: int) -> None:
        sequence = self.spec.get("need") == "sequence"
        done = [name for name, _ in self.steps]
        here = [one for one in self._of("regular") if (one.name in done if sequence else self._is_there(one))]
        missing = [
            one.name
            for one in self.inputs.values()
            if (one.role == "regular" and one not in here) or (one.role == "gate" and not self._is_there(one))
        ]
        if self.spec.get("on_timeout") == "fire" and not self._lacks_required():
            self._fire(here, now, missing, timed_out=True)
        self._clear()

    def _clear(self) -> None:
        for one in self.inputs.values():
            one.tokens.clear()
        self.steps.clear()

    def _fire(self, parts: list[Input], now: int, missing: list[str], *, timed_out: bool = False) -> None:
        parts = parts + [one for one in self._of("gate", "optional") if self._is_there(one)]
        values = {one.name: self._read(one, parts) for one in self.inputs.values()}
        closed = any(not one.ready for one in self._of("condition"))
        passes = not closed and self.ok(values)
        if passes or closed or timed_out or self.spec.get("if_false") != "keep":
            for one in parts:
                one.tokens = []
            if self.spec.get("need") == "sequence":
                self.steps.clear()
        if passes:
            self._cool((values, missing), now)

    def _read(self, one: Input, parts: list[Input]) -> Any:
        if one.role in ("live", "condition"):
            return one.newest if one.known else None
        if one not in parts:
            return None
        steps = dict(self.steps)
        if one.name in steps:
            value = steps[one.name].value
            return [value] if one.spec.get("keep") == "all" else value
        if one.is_level:
            return one.newest
        return [token.value for token in one.tokens] if one.spec.get("keep") == "all" else one.tokens[-1].value

    # Stages

    def _cool(self, firing: Any, now: int) -> None:
        cooldown, limit, throttle = self.spec.get("cooldown"), self.spec.get("limit"), self.spec.get("throttle")
        if cooldown and self.passed is not None and now - self.passed < cooldown:
            return
        self.passed = now
        if limit:
            self.limited = [at for at in self.limited if now - at < limit["per"]]
            if len(self.limited) >= limit["count"]:
                return
            self.limited.append(now)
        if throttle and (self.throttled is not None or (self.throttled_at is not None and now - self.throttled_at < throttle)):
            self.throttled = firing
            return
        self.throttled_at = now
        self._debounce(firing, now)

    def _debounce(self, firing: Any, now: int) -> None:
        if self.spec.get("debounce"):
            self.debounced, self.debounce_due = firing, now + self.spec["debounce"]
        else:
            self._admit(firing, now)

    def _admit(self, firing: Any, now: int) -> None:
        mode, most, overflow = self.spec.get("mode", "single"), self.spec.get("max", 10), self.spec.get("overflow", "drop_new")
        if not self.running:
            self._start(firing, now)
        elif mode == "restart":
            self.running.clear()
            self._start(firing, now)
        elif mode == "queued" and len(self.running) + len(self.queue) < most:
            self.queue.append(firing)
        elif mode == "queued" and overflow == "drop_old" and self.queue:
            self.queue = [*self.queue[1:], firing]
        elif mode == "parallel" and len(self.running) < most:
            self._start(firing, now)
        elif mode == "parallel" and overflow == "drop_old":
            del self.running[0]
            self._start(firing, now)

    def _start(self, firing: Any, now: int) -> None:
        self.run += 1
        self.running.append(self.run)
        self.fired(now, self.run, *firing)

    def ended(self, run: int, now: int) -> None:
        if run in self.running:
            self.running.remove(run)
            if self.queue and not self.running:
                self._start(self.queue.pop(0), now)


def figure(fn: str, values: list[Any]) -> Any:
    if fn == "mean":
        return statistics.mean(values)
    if fn == "stddev":
        return statistics.pstdev(values)
    return {"min": min, "max": max, "sum": sum, "count": len, "last": lambda given: given[-1]}[fn](values)
