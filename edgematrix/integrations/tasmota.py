"""Tasmota devices: the commands that set one up, and how a matrix describes it (docs/firmware.md, "Tasmota").

Tasmota speaks topics of its own, `cmnd`, `stat` and `tele`, whose last level it chooses itself (`POWER`, `SENSOR`), and it reads plain
payloads, no events. So it is a `device:` on foreign topics, and not an agent of its own; the levels between can be the agent's path.
Commands and options: https://tasmota.github.io/docs/Commands/, MQTT and Management; `SetOption59` has each change told on `tele`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgematrix.errors import UsageError

__all__ = ["PASSWORD", "TasmotaBroker", "TasmotaDevice", "backlog", "definition", "full_topic_of", "usual_full_topic"]

PREFIXES = ("cmnd", "stat", "tele")
PASSWORD = "PASSWORD"  # noqa: S105 - it stands where one belongs
"""What is printed in the place of a password."""
_TOPIC_LENGTH_MAX = 32
_FULL_TOPIC_LENGTH_MAX = 100
_RELAYS_MAX = 28
_MARK = "%prefix%"


@dataclass(frozen=True, slots=True)
class TasmotaBroker:
    """Where the device connects, and as whom."""

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class TasmotaDevice:
    """A device: its agent's path, its FullTopic with `%prefix%` alone (`%prefix%/home/shed/lamp/`), its relays and sensors.

    A sensor is named as `tele/…/SENSOR` has it, with its field: `AM2301.Temperature`.
    """

    path: str
    full_topic: str
    relays: int = 1
    sensors: tuple[str, ...] = ()

    def topic(self, prefix: str, name: str) -> str:
        """One of its topics."""
        return f"{self.full_topic.replace(_MARK, prefix)}{name}"


def usual_full_topic(path: str) -> str:
    """The FullTopic on an agent's path: the kind of message first, as on the bus itself."""
    return f"{_MARK}/{path}/"


def full_topic_of(topics: Iterable[str], path: str) -> str:
    """The FullTopic of a device that a matrix describes already: all its topics have to be of one.

    Raises:
        UsageError: a topic is none of Tasmota's, or two are of different devices.
    """
    found: dict[str, str] = {}
    for topic in topics:
        levels = topic.split("/")[:-1]
        places = [place for place, level in enumerate(levels) if level in PREFIXES]
        if len(places) != 1:
            remedy = "cmnd, stat or tele is one of its levels: cmnd/home/shed/lamp/POWER"
            raise UsageError(f"{topic!r} is no topic of Tasmota's", where=path, remedy=remedy)
        levels[places[0]] = _MARK
        found.setdefault("/".join(levels) + "/", topic)
    if not found:
        raise UsageError("the device has no topics", where=path, remedy="give it `reads` or `writes`")
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise UsageError(f"{one!r} and {other!r} are topics of two devices", where=path, remedy="one agent for each device")
    return next(iter(found))


def backlog(device: TasmotaDevice, broker: TasmotaBroker) -> str:
    """The line for the device's console.

    Raises:
        UsageError: something of it is too long for Tasmota, or cannot stand in a Backlog.
    """
    full, topic = _topics(device)
    steps = [
        ("SetOption3", "1"),
        ("SetOption103", "1" if broker.tls else "0"),
        ("MqttHost", broker.host),
        ("MqttPort", str(broker.port)),
        ("MqttUser", broker.username or "0"),
        ("MqttPassword", broker.password or "0"),
        ("MqttClient", broker.client_id or device.path.replace("/", "-")[-_TOPIC_LENGTH_MAX:]),
        *((f"Prefix{number}", prefix) for number, prefix in enumerate(PREFIXES, 1)),
        ("Topic", topic),
        ("FullTopic", full),
        ("SetOption4", "0"),
        ("SetOption19", "1"),
        ("SetOption26", "0"),
        ("SetOption59", "1"),
        ("TelePeriod", "60"),
        ("PowerRetain", "0"),
        ("SensorRetain", "0"),
        ("StateRetain", "1"),
    ]
    for name, value in steps:
        if ";" in value or any(letter.isspace() for letter in value) or not value.isprintable():
            raise UsageError(f"the value of {name} holds a space or a semicolon, which ends a command", where=device.path)
    return "Backlog " + "; ".join(f"{name} {value}" for name, value in steps)


def definition(device: TasmotaDevice) -> str:
    """The agent as YAML, to be pasted below `agents:`.

    Raises:
        UsageError: the number of relays is not from 0 to 28, or a sensor's name has no field.
    """
    return "\n".join(_definition(device)) + "\n"


def _definition(device: TasmotaDevice) -> Iterator[str]:
    if not 0 <= device.relays <= _RELAYS_MAX:
        raise UsageError(f"a Tasmota device has 0 to {_RELAYS_MAX} relays, not {device.relays}", where="--relays")
    yield f"{device.path.rpartition('/')[2]}:"
    yield "  device:"
    yield f"    availability: {{topic: {device.topic('tele', 'LWT')}, online: Online}}"
    relays = [("", "")] if device.relays == 1 else [(str(number), str(number)) for number in range(1, device.relays + 1)]
    if relays or device.sensors:
        yield "    reads:"
    for name, number in relays:
        yield f"      power{name}: {{topic: {device.topic('tele', 'STATE')}, value: POWER{number}, as: bool}}"
    for sensor in device.sensors:
        head, _, rest = sensor.partition(".")
        if not head or not rest:
            raise UsageError(f"{sensor[:80]!r} is no sensor with its field", where="--sensor", remedy="--sensor AM2301.Temperature")
        name = sensor.replace(".", "_").replace("-", "_").lower()
        yield f"      {name}: {{topic: {device.topic('tele', 'SENSOR')}, value: {sensor}, as: number}}"
    if relays:
        yield "    writes:"
    for name, number in relays:
        yield f'      set{name}: {{topic: {device.topic("cmnd", f"POWER{number}")}, schema: {{enum: ["ON", "OFF"]}}}}'


def _topics(device: TasmotaDevice) -> tuple[str, str]:
    """FullTopic and Topic, as Tasmota keeps them: the last level that is not the prefix is the Topic."""
    levels = device.full_topic.rstrip("/").split("/")
    place = max((number for number, level in enumerate(levels) if level != _MARK), default=-1)
    if place < 0:
        raise UsageError("its topics name no device", where=device.path, remedy="cmnd/home/shed/lamp/POWER")
    topic, levels[place] = levels[place], "%topic%"
    full = "/".join(levels) + "/"
    if len(topic) > _TOPIC_LENGTH_MAX or len(full) > _FULL_TOPIC_LENGTH_MAX:
        what = f"the topic is too long for Tasmota: {_TOPIC_LENGTH_MAX} characters of {topic!r}, {_FULL_TOPIC_LENGTH_MAX} of {full!r}"
        raise UsageError(what, where=device.path, remedy="a shorter path")
    return full, topic
