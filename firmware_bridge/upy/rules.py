"""Trigger groups that a board judges itself, by a table that the host made (docs/spec/triggers.md, "Pushed down").

No I/O and no clock: moments are whole milliseconds of a timeline that only goes forward, handed in by whoever has a clock.
"""

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SAMPLES_MAX", "VERSION", "Rules", "RulesError"]

VERSION = 1
SAMPLES_MAX = 32
"""Samples of one window, and moments of one count."""
_RULES_MAX = 32
_SOURCES_MAX = 8
_FIRED_MAX = 64
_HOUR_MS = 3_600_000
_STEPS_MAX = 64
"""Timers of one moment; more of them wait for the next call."""

_ANY = -1
_REGULAR, _CONDITION = 0, 3
_COOLDOWN, _LIMIT, _LIMIT_MS, _THROTTLE, _DEBOUNCE, _STAGES = range(6)
_RANGE, _MEMBER, _PLAIN, _LIVE, _IS, _CHANGES, _CHANGES_BY, _COUNT = range(8)
_NUMBER, _BREAKS = 1, 2
_MEAN, _MIN, _MAX, _SUM, _SAMPLES = range(5)
_UNKNOWN = ("", "unknown", "unavailable", b"")
_NEARLY = 1e-9 if 1.0 + 1e-9 != 1.0 else 1.2e-6
"""Numbers so close, as a part of the larger one, are the same decimals: those of some boards have 22 bits."""


class RulesError(ValueError):
    """A table that is of no use here; the text says why."""


class Rules:
    """The rules of one table. `fired` are firings that wait to be taken out: `[rule, moment, readings]`.

    A reading is None where the source took no part, else `[value, moment]`, and the whole payload where the value is a part of it.

    Raises:
        RulesError: the table is malformed, or of another version.
    """

    def __init__(self, table: "Any") -> None:
        self.fired: "list[list[Any]]" = []
        self.now = 0
        try:
            version, self.id, quiet, forms = table
            if version != VERSION:
                raise RulesError("the table is of version %s, known is %d" % (version, VERSION))
            if len(forms) > _RULES_MAX or len(quiet) > _RULES_MAX:
                raise RulesError("%d rules for %d ports, at most %d fit" % (len(forms), len(quiet), _RULES_MAX))
            self._sieves = {port: _Sieve(wanted) for port, wanted in quiet}
            self.rules = [_Rule(form) for form in forms]
        except (TypeError, AttributeError, IndexError, KeyError):
            raise RulesError("the table is malformed") from None
        except ValueError as error:
            raise error if isinstance(error, RulesError) else RulesError("the table is malformed") from None

    def feed(self, port: str, payload: "Any", now: int) -> None:
        """Take a value that the board puts out on a port; what is due comes first.

        Raises:
            RulesError: a window or a count holds more than `SAMPLES_MAX`: the rules cannot be judged here.
        """
        self.advance(now)
        for rule in self.rules:
            rule.feed(port, payload, now, self.fired)

    def wants(self, port: str, payload: "Any", now: int) -> int:
        """Whether a value is to be published: 0 if not, 1 if somebody wants all of this port, 2 if this value makes a difference."""
        if port not in self._sieves:
            return 1
        return 2 if self._sieves[port].lets_through(payload, now) else 0

    def unsent(self, port: str) -> None:
        """A value that was to be published was lost: the next one is to be."""
        if port in self._sieves:
            self._sieves[port].begin()

    def advance(self, now: int) -> None:
        """Do what is due, oldest first, ties in written order."""
        self.now = now
        for _ in range(_STEPS_MAX):
            first = None
            for rule in self.rules:
                due = rule.due()
                if due is not None and due[0] <= now and (first is None or due[0] < first[0][0]):
                    first = (due, rule)
            if first is None:
                return
            first[1].tick(first[0][1], now, self.fired)

    def due(self) -> int | None:
        """When `advance` has something to do next; None for never."""
        moments = [due[0] for due in [rule.due() for rule in self.rules] if due is not None]
        return min(moments) if moments else None

    def dump(self) -> "list[Any]":
        """What is remembered, as JSON knows it: the moment, and by the names of rules what each knows."""
        return [self.now, {rule.id: rule.dump() for rule in self.rules}]

    def load(self, state: "list[Any]") -> None:
        """Go on from what `dump` gave, at its moment; rules that it does not name begin afresh."""
        self.now = state[0]
        for rule in self.rules:
            if rule.id in state[1]:
                rule.load(state[1][rule.id])

    def sides(self) -> "list[Any]":
        """The sides of all levels: what should outlive a reset."""
        return [source.side for rule in self.rules for source in rule.sources]


class _Source:
    """One source of a rule, and its memory: `newest` and `token` are `[value, moment]`, and the payload where that is more."""

    def __init__(self, form: "list[Any]") -> None:
        self.port, self.path, self.role, self.kind, self.asked, self.for_ms, self.flags, self.fold = form
        self.is_level = self.kind in (_RANGE, _MEMBER)
        self.ready = False
        self.side: bool | None = None
        self.newest: "list[Any] | None" = None
        self.token: "list[Any] | None" = None
        self.due: int | None = None
        self.memory: "Any" = None
        self.samples: "list[Any]" = []

    def take(self, payload: "Any", now: int) -> "list[Any] | None":
        """The token that a payload gives, or that of a level that becomes ready."""
        value = _value_at(payload, self.path)
        if self.flags & _NUMBER and (isinstance(value, bool) or not isinstance(value, (int, float))):
            value = None
        if value is not None and self.fold:
            value = self._folded(value, now)
        if value is None:
            if self.flags & _BREAKS and self.side:
                self._turn(False, now)
            return None
        token = [value, now, payload] if self.path or self.fold else [value, now]
        if self.is_level:
            before = self.side
            side = self._side(value)
            self.newest = token
            if side == bool(before):
                self.side = side
                return None
            self._turn(side, now)
            return token if self.ready else None
        if self.kind == _PLAIN or self._detects(value, now):
            return token
        if self.kind == _LIVE:
            self.newest = token
        return None

    def _side(self, value: "Any") -> bool:
        asked = self.asked
        if self.kind == _MEMBER:
            return _among(value, asked[1]) == bool(asked[0])
        return _inside(value, asked[0], asked[2]) or (self.side is True and _inside(value, asked[1], asked[3]))

    def _turn(self, side: bool, now: int) -> None:
        self.side = side
        self.ready = side and not self.for_ms
        self.due = now + self.for_ms if side and self.for_ms else None

    def _detects(self, value: "Any", now: int) -> bool:
        kind, asked = self.kind, self.asked
        if kind == _IS:
            return _among(value, asked)
        if kind == _CHANGES:
            before, self.newest = self.newest, [value, now]
            if before is None or (asked[0] is not None and not _among(before[0], asked[0])):
                return False
            return (asked[1] is None or _among(value, asked[1])) and not _same(before[0], value)
        if kind == _CHANGES_BY:
            if self.memory is not None and not _far(value, self.memory, asked):
                return False
            first, self.memory = self.memory is None, value
            return not first
        return kind == _COUNT and self._counted(now)

    def _counted(self, now: int) -> bool:
        least, within = self.asked
        if within is None:
            self.memory = (self.memory or 0) + 1
            enough = self.memory >= least
        else:
            moments = self.memory = [moment for moment in self.memory or [] if now - moment <= within]
            moments.append(now)
            enough = len(moments) >= least
        if enough:
            self.memory = None
        return bool(enough)

    def _folded(self, value: "Any", now: int) -> "Any":
        """The figure of the window in place of the value; None with too few samples."""
        figure, over, least = self.fold
        samples = self.samples = [sample for sample in self.samples if now - sample[0] <= over]
        if len(samples) >= SAMPLES_MAX:
            raise RulesError("over %d samples in a window of %s" % (SAMPLES_MAX, self.port))
        samples.append([now, value])
        if len(samples) < least:
            return None
        values = [sample[1] for sample in samples]
        if figure == _MIN:
            return min(values)
        if figure == _MAX:
            return max(values)
        if figure == _SAMPLES:
            return len(values)
        if figure in (_SUM, _MEAN):
            return _sum(values) if figure == _SUM else _sum(values) / len(values)
        return value

    def dump(self) -> "list[Any]":
        return [self.ready, self.side, self.newest, self.token, self.due, self.memory, self.samples]

    def load(self, state: "list[Any]") -> None:
        self.ready, self.side, self.newest, self.token, self.due, self.memory, self.samples = state


class _Sieve:
    """Lets through what makes a difference to sources that the host judges; and one value an hour, for who has come anew."""

    def __init__(self, wanted: "list[Any]") -> None:
        self._wanted = wanted
        self.begin()

    def begin(self) -> None:
        self._sources = [_Source(form) for form in self._wanted]
        self._last: int | None = None

    def lets_through(self, payload: "Any", now: int) -> bool:
        through = False
        for source in self._sources:
            before, first = source.side, source.newest is None and source.memory is None
            token = source.take(payload, now)
            if source.is_level:
                through = through or source.side is not before
            else:
                through = through or token is not None or (first and (source.newest is not None or source.memory is not None))
        if self._wanted and (through or self._last is None or now - self._last >= _HOUR_MS):
            self._last = now
            return True
        return False


class _Rule:
    """One trigger group: what `edgematrix.triggers` does, for the part that boards can."""

    def __init__(self, form: "list[Any]") -> None:
        self.id, self.need, sources, stages, self.acts = form
        if not 0 < len(sources) <= _SOURCES_MAX:
            raise RulesError("a rule of %d sources, at most %d fit" % (len(sources), _SOURCES_MAX))
        self.sources = [_Source(source) for source in sources]
        self._times = stages or [0, 0, 0, 0, 0]
        self.passed: int | None = None
        self.passes: "list[int]" = []
        self.throttled_at: int | None = None
        self.throttled: "list[Any] | None" = None
        self.debounced: "list[Any] | None" = None
        self.debounce_due = 0
        if len(self._times) != _STAGES:
            raise RulesError("a rule of %d stages" % len(self._times))

    def feed(self, port: str, payload: "Any", now: int, fired: "list[Any]") -> None:
        edges = []
        for source in self.sources:
            if source.port == port:
                token = source.take(payload, now)
                if token is not None:
                    edges.append((source, token))
        if edges:
            self._settle(edges, now, fired)

    def due(self) -> "tuple[int, int] | None":
        """The next timer and its place: a source, the throttle, the debounce, in this order at one moment."""
        ends = [(source.due, place) for place, source in enumerate(self.sources) if source.due is not None]
        if self.throttled is not None and self.throttled_at is not None:
            ends.append((self.throttled_at + self._times[_THROTTLE], _SOURCES_MAX))
        if self.debounced is not None:
            ends.append((self.debounce_due, _SOURCES_MAX + 1))
        return min(ends) if ends else None

    def tick(self, place: int, now: int, fired: "list[Any]") -> None:
        if place < _SOURCES_MAX:
            source = self.sources[place]
            source.due = None
            source.ready = True
            self._settle([(source, None)], now, fired)
        elif place == _SOURCES_MAX:
            firing, self.throttled = self.throttled, None
            self.throttled_at = now
            self._hold(firing, now, fired)
        else:
            firing, self.debounced = self.debounced, None
            self._out(firing, fired)

    def _settle(self, edges: "list[Any]", now: int, fired: "list[Any]") -> None:
        judged = [source for source, _ in edges if source.role == _REGULAR]
        for source, token in edges:
            if source.role == _REGULAR and not source.is_level:
                source.token = token
                source.ready = True
        if not judged:
            return
        if self.need == _ANY:
            for source in judged:
                self._fire([source], now, fired)
            return
        regular = [source for source in self.sources if source.role == _REGULAR]
        have = [source for source in regular if source.ready]
        if len(have) >= (self.need or len(regular)):
            self._fire(have, now, fired)

    def _fire(self, parts: "list[_Source]", now: int, fired: "list[Any]") -> None:
        firing = None
        if all(source.ready for source in self.sources if source.role == _CONDITION):
            firing = [now, [self._reading(source, source in parts) for source in self.sources]]
        for source in parts:
            if not source.is_level:
                source.token = None
                source.ready = False
        if firing is not None and self._passes(now):
            if self._times[_THROTTLE]:
                self._hold_back(firing, now, fired)
            else:
                self._hold(firing, now, fired)

    @staticmethod
    def _reading(source: _Source, is_part: bool) -> "list[Any] | None":
        if is_part and not source.is_level:
            return source.token
        return source.newest if is_part or source.role != _REGULAR else None

    def _passes(self, now: int) -> bool:
        if self._times[_COOLDOWN]:
            if self.passed is not None and now - self.passed < self._times[_COOLDOWN]:
                return False
            self.passed = now
        if self._times[_LIMIT]:
            self.passes = [moment for moment in self.passes if now - moment < self._times[_LIMIT_MS]]
            if len(self.passes) >= self._times[_LIMIT]:
                return False
            self.passes.append(now)
        return True

    def _hold_back(self, firing: "list[Any]", now: int, fired: "list[Any]") -> None:
        if self.throttled is None and (self.throttled_at is None or now - self.throttled_at >= self._times[_THROTTLE]):
            self.throttled_at = now
            self._hold(firing, now, fired)
        else:
            self.throttled = firing

    def _hold(self, firing: "Any", now: int, fired: "list[Any]") -> None:
        if self._times[_DEBOUNCE]:
            self.debounced = firing
            self.debounce_due = now + self._times[_DEBOUNCE]
        else:
            self._out(firing, fired)

    def _out(self, firing: "Any", fired: "list[Any]") -> None:
        if len(fired) >= _FIRED_MAX:
            raise RulesError("over %d firings at once" % _FIRED_MAX)
        fired.append([self, firing[0], firing[1]])

    def dump(self) -> "list[Any]":
        outlet = [self.passed, self.passes, self.throttled_at, self.throttled, self.debounced, self.debounce_due]
        return [outlet, [source.dump() for source in self.sources]]

    def load(self, state: "list[Any]") -> None:
        self.passed, self.passes, self.throttled_at, self.throttled, self.debounced, self.debounce_due = state[0]
        for source, its in zip(self.sources, state[1]):  # noqa: B905 - MicroPython's zip knows no `strict`
            source.load(its)


def _value_at(payload: "Any", path: "list[Any] | None") -> "Any":
    """The value at a path of keys and positions; None if it is unknown."""
    value = payload
    for step in path or ():
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and str(step).isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return None if isinstance(value, (str, bytes)) and value in _UNKNOWN else value


def _among(value: "Any", asked: "list[Any]") -> bool:
    return any(_same(value, one) for one in asked)


def _same(one: "Any", other: "Any") -> bool:
    """Equality of JSON values: numbers by value, but a flag is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(key in other and _same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(one[place], other[place]) for place in range(len(one)))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value > low) and (high is None or value < high)


def _far(value: float, base: float, by: float) -> bool:
    """Whether two numbers are at least `by` apart; 20.3 and 20.1 are 0.2 apart, whatever their last bits say."""
    distance = abs(value - base)
    return distance >= by or by - distance <= _NEARLY * max(abs(value), abs(base), by)


def _sum(values: "list[Any]") -> "Any":
    """A sum that keeps what rounding takes away (Neumaier, 1974); of whole numbers it is whole."""
    total = rest = 0
    for value in values:
        both = total + value
        rest += (total - both) + value if abs(total) >= abs(value) else (value - both) + total
        total = both
    return total + rest
