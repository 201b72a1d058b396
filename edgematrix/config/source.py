"""Sources of trigger groups, written in Python. They make the same definitions as a file does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, Literal, TypeVar, overload

from pydantic import BaseModel, PydanticUserError, TypeAdapter

from edgematrix.agents.spec import PortSpec
from edgematrix.errors import UsageError
from edgematrix.protocol.fields import read_duration
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.schema import SHORT_NAMES
from edgematrix.triggers.spec import Aggregate, Changes, Count, Role, SourceSpec, Window

__all__ = [
    "Level",
    "Source",
    "Value",
    "absent",
    "at",
    "cron",
    "during",
    "every",
    "every_message",
    "level",
    "port_of",
    "ref",
    "schema_of",
    "sun",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=BaseModel)
Scalar = str | bool | int | float
ValuePath = str | list[str | int]
Duration = str | float


class Source(Generic[T_co]):
    """Something that can make a group ready, and gives a T. Each method returns a new source; `origin` stays.

    Args:
        name: how conditions call it; a group makes it unique.
        spec: the definition.
        kind: the type T at run time.
    """

    def __init__(self, name: str, spec: SourceSpec, kind: Any, origin: object | None = None) -> None:
        self._name = name
        self._spec = spec
        self._kind = kind
        self._origin = self if origin is None else origin

    @property
    def name(self) -> str:
        """How conditions call it."""
        return self._name

    @property
    def spec(self) -> SourceSpec:
        """The definition that it stands for."""
        return self._spec

    @property
    def origin(self) -> object:
        """What it was derived from; `firing[source]` goes by it."""
        return self._origin

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Reads a value as T."""
        return TypeAdapter(self._kind)

    def __type_of__(self) -> T_co:
        """Ties T to the object for type checkers.

        Raises:
            TypeError: always; nobody calls it.
        """
        raise TypeError("only type checkers read this")

    def named(self, name: str) -> Source[T_co]:
        """Under another name."""
        return Source(name, self._spec, self._kind, self._origin)

    def where(self, condition: str) -> Source[T_co]:
        """Only messages for which this CEL condition holds. The fields of T are names in it, beside `value`, `prev` and others."""
        return self._with(where=condition)

    def role(self, role: Role, *, required: bool = False) -> Source[T_co]:
        """In another role than `regular`."""
        return self._with(role=role, required=required)

    def changes(
        self, *, from_: Scalar | list[Scalar] | None = None, to: Scalar | list[Scalar] | None = None, by: float | None = None
    ) -> Source[T_co]:
        """A token only when the value changes: at all, from or to something, or by at least `by`."""
        plain = from_ is None and to is None and by is None
        kind: dict[str, Any] = {"from": from_, "to": to, "by": by}
        return self._with(changes=True if plain else Changes(**kind))

    def is_(self, *values: Scalar) -> Source[T_co]:
        """A token at each message whose value is one of these."""
        return self._with(is_=values[0] if len(values) == 1 else list(values))

    def count(self, at_least: int, within: Duration | None = None) -> Source[T_co]:
        """A token when so many messages came within the time."""
        return self._with(count=Count(at_least=at_least, within=_duration(within)))

    def aggregate(
        self, fn: Literal["mean", "min", "max", "sum", "count", "last", "stddev"], over: Duration, min_samples: int = 1
    ) -> Source[T_co]:
        """The value of a sliding window in place of the value."""
        return self._with(aggregate=Aggregate(fn=fn, over=read_duration(over), min_samples=min_samples))

    def expires(self, after: Duration) -> Source[T_co]:
        """Unknown so long after its last message."""
        return self._with(expires=read_duration(after))

    def keep(self, which: Literal["latest", "first", "all"], at_most: int = 100) -> Source[T_co]:
        """Which tokens are kept until the group fires."""
        return self._with(keep=which, keep_max=at_most)

    def retained(self, policy: Literal["seed", "fire", "ignore", "changed"]) -> Source[T_co]:
        """What a retained message does."""
        return self._with(retained=policy)

    def _with(self, **changed: Any) -> Source[T_co]:
        return Source(self._name, altered(self._spec, **changed), self._kind, self._origin)

    def __repr__(self) -> str:
        return f"<source {self._name}>"


class Level(Source[T_co]):
    """A source that is ON or OFF."""

    def for_(self, duration: Duration, *, unknown: Literal["keep", "break"] = "keep") -> Level[T_co]:
        """Ready only after it has been ON for so long without a break."""
        return Level(self._name, altered(self._spec, for_=duration, unknown=unknown), self._kind, self._origin)


class Value:
    """A value on a topic, of which a detector makes a level."""

    def __init__(self, name: str, spec: SourceSpec) -> None:
        self._name = name
        self._spec = spec

    def above(self, threshold: float, hysteresis: float | None = None) -> Level[float]:
        """ON above the threshold, OFF at or below it less the hysteresis."""
        return self._level(float, above=threshold, hysteresis=hysteresis)

    def below(self, threshold: float, hysteresis: float | None = None) -> Level[float]:
        """ON below the threshold, OFF at or above it plus the hysteresis."""
        return self._level(float, below=threshold, hysteresis=hysteresis)

    def between(self, above: float, below: float, hysteresis: float | None = None) -> Level[float]:
        """ON inside the open range."""
        return self._level(float, above=above, below=below, hysteresis=hysteresis)

    def equals(self, value: T, *others: T) -> Level[T]:
        """ON while the value is one of these."""
        return self._level(type(value), equals=[value, *others] if others else value)

    def is_not(self, value: T, *others: T) -> Level[T]:
        """ON while the value is none of these."""
        return self._level(type(value), not_=[value, *others] if others else value)

    def _level(self, kind: type[T], **detector: Any) -> Level[T]:
        return Level(self._name, altered(self._spec, **detector), kind)


@overload
def every_message(
    topic: str, kind: type[M], *, value: ValuePath | Mapping[str, ValuePath] | None = None, name: str | None = None
) -> Source[M]: ...
@overload
def every_message(topic: str, kind: type[T], *, value: ValuePath | None = None, name: str | None = None) -> Source[T]: ...
def every_message(
    topic: str, kind: Any, *, value: ValuePath | Mapping[str, ValuePath] | None = None, name: str | None = None
) -> Source[Any]:
    """Each message on a topic, read as `kind`.

    Args:
        topic: an MQTT filter; `{name}` captures one level.
        kind: a pydantic model, or a plain type such as float.
        value: where in the payload the value is; for a model a mapping from its fields to places.
        name: how conditions call it; by default after the topic's last fixed level.
    """
    where = dict(value) if isinstance(value, Mapping) else value
    spec = SourceSpec(topic=topic, value=where, schema=schema_of(kind))
    return Source(name or _name_of(topic, None), spec, kind)


def level(topic: str, value: ValuePath | None = None, *, name: str | None = None) -> Value:
    """A value on a topic; its methods say when it is ON."""
    return Value(name or _name_of(topic, value), SourceSpec(topic=topic, value=value))


def absent(topic: str, duration: Duration, *, name: str | None = None) -> Source[Any]:
    """A token when no message has come for so long; its value is the last known one."""
    return Source(name or _name_of(topic, None), SourceSpec(topic=topic, absent=read_duration(duration)), object)


def ref(agent: str, kind: type[T]) -> Source[T]:
    """The output of an agent that is defined later: a neighbour's name, `name.port`, or an absolute `/path.port`."""
    return Source(_identifier(agent.partition(".")[0].rpartition("/")[2]), altered(SourceSpec(schema=schema_of(kind)), from_=agent), kind)


def every(duration: Duration) -> Source[None]:
    """A token each time so long has passed, from the start."""
    return Source("tick", SourceSpec(every=read_duration(duration)), type(None))


def cron(expression: str) -> Source[None]:
    """A token at the times of a POSIX cron line, in the matrix's time zone."""
    return Source("cron", SourceSpec(cron=expression), type(None))


def at(time: str) -> Source[None]:
    """A token at `HH:MM[:SS]` each day, or once at a date and time."""
    return Source("at", SourceSpec(at=time), type(None))


def sun(event: str) -> Source[None]:
    """A token at a sun event with an offset, such as `sunset-15m`; the matrix needs a location."""
    return Source("sun", SourceSpec(sun=event), type(None))


def during(window: str | Window) -> Level[None]:
    """ON inside a stretch of the day, such as `22:00-06:00`."""
    return Level("during", SourceSpec(during=window), type(None))


def altered(spec: SourceSpec, **changed: Any) -> SourceSpec:
    """The definition with other values of some of its fields, read as those of a file are."""
    return replace(spec, **changed)


def schema_of(kind: Any, mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any] | None:
    """The JSON Schema of a type's values: of those that it is read from, or of those that it is written as.

    None where any value will do.

    Raises:
        UsageError: its values have no form in JSON.
    """
    if kind is object or kind is Any or kind is type(None):
        return None
    try:
        return TypeAdapter(kind).json_schema(mode=mode)
    except PydanticUserError as error:
        raise UsageError(f"values of {getattr(kind, '__name__', kind)} have no form in JSON: {error.message}") from None


def port_of(kind: Any, mode: Literal["validation", "serialization"] = "validation") -> PortSpec:
    """A port for a type's values, with a short name where there is one.

    Raises:
        UsageError: its values have no form in JSON.
    """
    schema = schema_of(kind, mode)
    short = "any" if schema is None else next((name for name, known in SHORT_NAMES.items() if known == schema), None)
    return PortSpec(schema=schema) if short is None else PortSpec(type=short)


def _duration(value: Duration | None) -> int | None:
    return None if value is None else read_duration(value)


def _name_of(topic: str, value: ValuePath | None) -> str:
    if value:
        return _identifier(str(value.rpartition(".")[2] if isinstance(value, str) else value[-1]))
    levels = [part for part in TopicFilter.parse(topic).subscription.split("/") if part not in ("+", "#")]
    return _identifier(levels[-1] if levels else "message")


def _identifier(text: str) -> str:
    name = re.sub(r"[^a-z0-9_]", "_", text.lower())
    return name if re.match(r"[a-z_]", name) else f"_{name}"
