"""The matrix as data: what YAML and Python both make, and what travels as `spec` (docs/spec/matrix.md). Read-only once made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, Strict, WithJsonSchema
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema

from edgematrix.access.spec import AccessSpec
from edgematrix.agents.onnx_spec import OnnxSpec
from edgematrix.agents.spec import ActionSpec, DeviceSpec, PortSpec, SentencesSpec
from edgematrix.agents.voice_spec import VoiceSpec
from edgematrix.composition.llm_spec import LlmSpec
from edgematrix.composition.spec import ChatSpec, EscalateSpec, FlowSpec, HumanSpec, PoolSpec, RetrySpec, SwitchSpec
from edgematrix.errors import UsageError
from edgematrix.hosting.spec import Failover, NeedsSpec
from edgematrix.protocol.fields import CLOSED, PART, Duration, Flag, Name, Number
from edgematrix.protocol.limits import DEPTH_BOUND, Limits
from edgematrix.protocol.schema import SHORT_NAMES
from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.triggers.spec import GroupSpec

__all__ = ["EMBEDDED_BROKERS", "PORT_TYPES", "AgentSpec", "DefaultsSpec", "LocationSpec", "MatrixSpec", "TriggerSpec"]

PORT_TYPES = tuple(SHORT_NAMES)
"""Short names for the type of a port."""

EMBEDDED_BROKERS = ("embedded", "mosquitto", "nats")
"""Brokers that a host starts for itself: whichever is installed, or one by its profile in `brokers/`."""

_MODULE_NAME = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_<][\w.<>]*$"
_ROOT = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}$"
_LIMITS = tuple(field.name for field in fields(Limits))
_PORT_KEYS = frozenset({"type", "schema", "retain", "initial", "qos", "from", "untrusted"})


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        folded = {zone.lower(): zone for zone in available_timezones()}
        near = get_close_matches(name.lower(), folded, n=1)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        raise ValueError(f"expected a time zone such as Europe/Berlin, found {name[:80]!r}{hint}") from None
    return name


def _broker(text: str) -> str:
    if "${secret:" in text:
        from edgematrix.config.broker_address import check_address  # noqa: PLC0415 - it needs ssl, which few definitions do

        check_address(text)
        return text
    if text.startswith("@"):
        return text  # it stands in a file, which need not be on this machine
    if "://" not in text:
        if text not in EMBEDDED_BROKERS:
            near = get_close_matches(text, EMBEDDED_BROKERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"expected {', '.join(EMBEDDED_BROKERS)}, mqtt://host or mqtts://host, found {text[:80]!r}{hint}")
        return text
    scheme = text.partition("://")[0]
    if scheme not in ("mqtt", "mqtts"):
        raise ValueError(f"expected a broker's address with mqtt:// or mqtts://, found {scheme[:20]}://")
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - it needs ssl, which few definitions do

    try:
        Endpoint.parse(text)
    except UsageError as error:
        raise ValueError(error.what) from None
    return text


def _limit(name: str) -> str:
    if name not in _LIMITS:
        near = get_close_matches(name, _LIMITS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_LIMITS)}"
        raise ValueError(f"there is no limit {name[:80]!r}; {hint}")
    return name


def _limits(limits: dict[str, int]) -> dict[str, int]:
    if limits.get("depth_max", 1) > DEPTH_BOUND:
        raise ValueError(f"depth_max is at most {DEPTH_BOUND}, found {limits['depth_max']}")
    return limits


def _port(value: object) -> object:
    """A port in one of its short forms, as the mapping that `PortSpec` reads.

    A text is a short name of a type. A mapping with a key that ports do not have, or whose `type` is one of JSON Schema's
    alone, is a JSON Schema.
    """
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        return value
    kind = value.get("type")
    if kind in PORT_TYPES or kind is None:
        foreign = [key for key in value if key not in _PORT_KEYS]
        return {"schema": dict(value)} if foreign and _is_schema(value) else value
    if isinstance(kind, str) and len(value) == 1 and kind not in _SCHEMA_TYPES:
        near = get_close_matches(kind, PORT_TYPES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"expected a port type, one of {', '.join(PORT_TYPES)}, or a JSON Schema, found {kind[:80]!r}{hint}")
    mixed = sorted(str(key) for key in value if key in _PORT_KEYS - {"type"})
    if mixed:
        raise ValueError(f"a JSON Schema beside {', '.join(mixed)} stands under `schema:`; `type:` is one of {', '.join(PORT_TYPES)}")
    return {"schema": dict(value)}


_SCHEMA_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SCHEMA_KEYS = frozenset(
    {
        "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const", "contains", "description", "enum", "exclusiveMaximum",
        "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "multipleOf",
        "not", "oneOf", "pattern", "prefixItems", "properties", "required", "title", "uniqueItems",
    }
)  # fmt: skip


def _is_schema(value: Mapping[str, object]) -> bool:
    return all(key == "type" or key in _SCHEMA_KEYS for key in value)


class _ShortForms:
    """Tells editors the short forms of a port."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The forms that `_port` reads."""
        schema_form = {"type": "object", "description": "A JSON Schema of the values.", "required": ["type"]}
        return {"anyOf": [{"enum": list(PORT_TYPES)}, handler(schema), schema_form]}


Port = Annotated[PortSpec, BeforeValidator(_port), _ShortForms()]
Ports = dict[Name, Port]
LimitValues = Annotated[
    dict[Annotated[str, AfterValidator(_limit)], Annotated[int, Strict(), Field(ge=1)]],
    AfterValidator(_limits),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                key: {"type": "integer", "minimum": 1} | ({"maximum": DEPTH_BOUND} if key == "depth_max" else {}) for key in _LIMITS
            },
            "additionalProperties": False,
        }
    ),
]
Delivery = Literal["best_effort", "durable"]
ForeignFilter = Annotated[str, Field(min_length=1, max_length=1_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class TriggerSpec(GroupSpec):
    """A trigger group and what it does. Without `do`, the agent's code gets the firing."""

    do: list[ActionSpec] = Field(default_factory=list, max_length=1_000)


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class DefaultsSpec:
    """What holds for every agent below that does not say otherwise; the nearest one counts."""

    durable: Flag | None = None
    qos: Literal[0, 1] | None = None
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class LocationSpec:
    """Where the matrix stands, in degrees; sun events need it."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]


_NONE: dict[str, Any] = {}
_NOTHING: list[str] = []


def _none() -> dict[str, Any]:
    """The one empty mapping of all agents that have none: definitions are read-only, and those of 10,000 rules take 3 MB less."""
    return _NONE


def _nothing() -> list[str]:
    return _NOTHING


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class AgentSpec:
    """One agent: a device, code, rules, sentences, a person, a model, or (with `agents`) a composite of one kind or none."""

    agents: dict[Name, AgentSpec] = Field(default_factory=_none)
    device: DeviceSpec | None = None
    triggers: dict[Name, TriggerSpec] = Field(default_factory=_none)
    python: Annotated[str, Field(pattern=_MODULE_NAME, max_length=500, examples=["package.module:name"])] | None = None
    """`module:name`; a host loads only modules that its own configuration allows."""
    sentences: SentencesSpec | None = None
    onnx: OnnxSpec | None = None
    voice: VoiceSpec | None = None
    flow: FlowSpec | None = None
    chat: ChatSpec | None = None
    switch: SwitchSpec | None = None
    pool: PoolSpec | None = None
    human: HumanSpec | None = None
    llm: LlmSpec | None = None
    tools: Annotated[list[str], Field(max_length=100)] = Field(default_factory=_nothing)
    """Input ports that its model may call, and no others; each is a wire."""
    escalate: EscalateSpec | None = None
    """Who is asked where it is not sure; a wire."""
    inputs: Ports = Field(default_factory=_none)
    outputs: Ports = Field(default_factory=_none)
    sends: Annotated[list[str], Field(max_length=1_000)] = Field(default_factory=_nothing)
    """Input ports elsewhere that its code may send to; each is a wire. Actions name theirs where they stand."""
    publishes: Annotated[list[ForeignFilter], Field(max_length=1_000)] | None = None
    """Topics of other systems that its code publishes on, as filters: it may publish on no others. Without it the host grants any, and
    the broker's access list none."""
    secrets: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=_nothing)
    """Secrets that its code may ask for; the host that it runs on has them."""
    host: Name | None = None
    """The host that it runs on; without it, the one that loads the matrix, or where there is room."""
    needs: NeedsSpec | None = None
    """What its host must have; it is placed by itself then, and not with the agent that it is in."""
    failover: Failover = None
    """Whether it moves to another host when its own is gone, with all that goes with it."""
    durable: Flag | None = None
    """Whether its state, and runs under way, outlive a restart."""
    deadline: Duration | None = None
    """How long one run may take; then it fails."""
    retry: RetrySpec | None = None
    """What is done when a run fails."""
    delivery: Delivery | None = None
    sign: Flag | None = None
    """Whether what it puts out, is sent and is told is signed, and that of all below it; without it, as what it is in."""
    defaults: DefaultsSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class MatrixSpec:
    """A whole matrix. `matrix` is its name and the first segment of every path in it."""

    matrix: Name
    root: Annotated[str, Field(pattern=_ROOT, max_length=200, examples=["em", "site-1/em"])] = DEFAULT_ROOT
    """What stands first in every topic of the bus."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    broker: Annotated[str, AfterValidator(_broker)] = "embedded"
    """`embedded`, `mqtt://…`, `mqtts://…`, `@FILE` for one that stands in a file, or one by its profile in `brokers/`.

    `${secret:name}` may stand in it."""
    defaults: DefaultsSpec | None = None
    location: LocationSpec | None = None
    access: AccessSpec | None = None
    """Who there is on the bus besides devices: hosts, operators, clients of other systems."""
    sign: Flag | None = None
    """Whether messages are signed (Ed25519), so that the broker need not be trusted; hosts need keys then."""
    limits: LimitValues = Field(default_factory=dict)
    """Bounds that differ from those of `edgematrix.protocol.limits.Limits`, by their names there."""
    agents: dict[Name, AgentSpec] = Field(default_factory=dict)
