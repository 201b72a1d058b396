"""An agent that lives on an ESPHome device: its part of the device's YAML (docs/firmware.md, "ESPHome").

The *package* is EdgeMatrix's: MQTT with birth, will and shutdown message, a script for each port. It is made again whenever the
definition changes. The *device file* (`esphome_device`) is the user's: the board, the network, the sensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgematrix.errors import UsageError
from edgematrix.protocol.agent_state import agent_state

__all__ = [
    "ESPHOME_SINCE", "HEADER", "NUMBERS", "SCRIPT_TYPES", "EsphomeBoard", "EsphomeBroker", "EsphomeInput", "EsphomeOutput", "c_name",
    "device_name", "package", "secret_name", "secrets",
]  # fmt: skip

ESPHOME_SINCE = "2026.10"
"""The oldest version that these files were tried with."""
HEADER = "edgematrix.h"
"""Reads commands; it lies beside the package."""
_NAME_LENGTH_MAX = 31
"""Characters of a device's name that ESPHome takes: it is a host name."""
_HASH_LENGTH = 6
SCRIPT_TYPES = {"bool": "bool", "number": "float", "whole": "int", "text": "string", "object": "string", "list": "string", "any": "string"}
"""Types of ports as parameters of ESPHome's scripts."""
NUMBERS = ("number", "whole")
"""Types of ports that are numbers."""
_C_DEFAULTS = {"bool": "bool value = false;", "float": "float value = NAN;", "int": "int value = 0;", "string": "std::string value;"}


@dataclass(frozen=True, slots=True)
class EsphomeInput:
    """An input port: its type, and the bounds of a number."""

    kind: str = "any"
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class EsphomeOutput:
    """An output port: its type, and how it is published."""

    kind: str = "any"
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class EsphomeBoard:
    """An agent as its ports are declared. Types are the short names of ports: bool, number, whole, text, object, list, any."""

    path: str
    root: str = "em"
    inputs: Mapping[str, EsphomeInput] = field(default_factory=dict)
    outputs: Mapping[str, EsphomeOutput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EsphomeBroker:
    """Where the device connects, and with what it proves who it is. Files of certificates are given as their text, PEM."""

    host: str
    port: int = 1883
    tls: bool = False
    client_id: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)


def device_name(path: str) -> str:
    """The name of the device in its network: the path with `-`, at most 31 characters; a longer one keeps its end, and gets a hash.

    A matrix's name is left out where there is more, as all devices of a network have it.
    """
    short = path.partition("/")[2] or path
    name = short.replace("/", "-").replace("_", "-").strip("-")
    if len(name) <= _NAME_LENGTH_MAX:
        return name
    mark = hashlib.sha256(path.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[-(_NAME_LENGTH_MAX - _HASH_LENGTH - 1) :].strip('-')}-{mark}"


def secret_name(path: str, what: str) -> str:
    """By which a secret of a device stands in `secrets.yaml`, which all devices of a folder share."""
    return f"{device_name(path).replace('-', '_')}_{what}"


def secrets(board: EsphomeBoard, broker: EsphomeBroker) -> dict[str, str]:
    """What the package refers to with `!secret`, by its name there."""
    found = {
        "mqtt_username": broker.username,
        "mqtt_password": broker.password,
        "mqtt_ca": broker.ca if broker.tls else None,
        "mqtt_certificate": broker.cert,
        "mqtt_key": broker.key,
    }
    return {secret_name(board.path, what): value for what, value in found.items() if value is not None}


def package(board: EsphomeBoard, broker: EsphomeBroker) -> str:
    """The part of the device's YAML that is EdgeMatrix's.

    Raises:
        UsageError: two ports have one name in C++, or a client certificate comes without its key.
    """
    _check(board, broker)
    lines = [
        f"# {board.path}, for ESPHome {ESPHOME_SINCE} or newer. `edgematrix firmware esphome {board.path}` writes it anew each time.",
        "esphome:",
        "  includes:",
        f"    - {HEADER}",
        "",
        *_mqtt(board, broker),
        "",
        *_kept(board),
        "script:",
        *_publish(),
        *(line for port, output in board.outputs.items() for line in _emit(board, port, output)),
        *(line for port, given in board.inputs.items() for line in _take(board, port, given)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _check(board: EsphomeBoard, broker: EsphomeBroker) -> None:
    if (broker.cert is None) != (broker.key is None):
        raise UsageError("a certificate and its key belong together", where=board.path, remedy="edgematrix provision MATRIX --out DIR")
    seen: dict[str, str] = {}
    for port in (*board.inputs, *board.outputs):
        other = seen.setdefault(c_name(port), port)
        if other != port:
            raise UsageError(f"the ports {other} and {port} have one name in ESPHome", where=board.path, remedy="rename one of them")


def _mqtt(board: EsphomeBoard, broker: EsphomeBroker) -> Iterator[str]:
    yield "mqtt:"
    yield "  id: em_mqtt"
    yield f"  broker: {_text(broker.host)}"
    yield f"  port: {broker.port}"
    for key, what, value in (
        ("username", "mqtt_username", broker.username),
        ("password", "mqtt_password", broker.password),
        ("certificate_authority", "mqtt_ca", broker.ca if broker.tls else None),
        ("client_certificate", "mqtt_certificate", broker.cert),
        ("client_certificate_key", "mqtt_key", broker.key),
    ):
        if value is not None:
            yield f"  {key}: !secret {secret_name(board.path, what)}"
    yield f"  client_id: {_text(broker.client_id or _host_name(board.path))}"
    yield "  discovery: false"
    yield "  discover_ip: false"
    yield "  topic_prefix: null  # components publish nothing by themselves"
    yield "  log_topic: null"
    yield "  clean_session: true  # no command waits for a device that cannot tell how old it is"
    yield "  reboot_timeout: 0s  # what the device does by itself goes on without a broker"
    for key, status in (("birth_message", "ready"), ("will_message", "offline"), ("shutdown_message", "offline")):
        yield f"  {key}:"
        yield f"    topic: {_text(f'{board.root}/state/{board.path}')}"
        yield f"    payload: {_text(_state(board, status))}"
        yield "    qos: 1"
        yield "    retain: true"
    kept = [port for port, output in board.outputs.items() if output.retain]
    if kept:
        yield "  on_connect:"
        yield "    - lambda: |-"
        for port in kept:
            yield f"        if (!id(em_kept_{c_name(port)}).empty())"
            yield f"          {_published(board, port, board.outputs[port])}"
    if board.inputs:
        yield "  on_message:"
    for port in board.inputs:
        yield f"    - topic: {_text(f'{board.root}/in/{board.path}/{port}')}"
        yield "      qos: 1"
        yield "      then:"
        yield f"        - script.execute: {{id: em_in_{c_name(port)}, payload: !lambda 'return x;'}}"


def _kept(board: EsphomeBoard) -> Iterator[str]:
    """The last value of each port that retains: it goes out at every connection."""
    kept = [port for port, output in board.outputs.items() if output.retain]
    if kept:
        yield "globals:"
        for port in kept:
            yield f"  - {{id: em_kept_{c_name(port)}, type: std::string}}"
        yield ""


def _publish() -> Iterator[str]:
    yield "  - id: em_publish"
    yield "    mode: parallel"
    yield "    parameters: {topic: string, payload: string, qos: int, retain: bool}"
    yield "    then:"
    yield "      - mqtt.publish:"
    yield "          topic: !lambda 'return topic;'"
    yield "          payload: !lambda 'return payload;'"
    yield "          qos: !lambda 'return qos;'"
    yield "          retain: !lambda 'return retain;'"


def _emit(board: EsphomeBoard, port: str, output: EsphomeOutput) -> Iterator[str]:
    """`script.execute: {id: emit_PORT, value: …}`."""
    name, kind = c_name(port), SCRIPT_TYPES[output.kind]
    payload = "value" if output.kind in ("object", "list", "any") else "edgematrix::payload(value)"
    yield f"  - id: emit_{name}"
    yield "    mode: parallel"
    yield f"    parameters: {{value: {kind}}}"
    yield "    then:"
    yield "      - lambda: |-"
    if output.retain:
        yield f"          id(em_kept_{name}) = {payload};"
        yield f"          {_published(board, port, output)}"
    else:
        yield f"          {_published(board, port, output, payload)}"


def _published(board: EsphomeBoard, port: str, output: EsphomeOutput, payload: str = "") -> str:
    topic = json.dumps(f"{board.root}/out/{board.path}/{port}")
    value = payload or f"id(em_kept_{c_name(port)})"
    return f"id(em_publish)->execute({topic}, {value}, {output.qos}, {'true' if output.retain else 'false'});"


def _take(board: EsphomeBoard, port: str, given: EsphomeInput) -> Iterator[str]:
    """Judges a command on a port, hands its value to the script `on_PORT`, and acknowledges it."""
    name, kind = c_name(port), SCRIPT_TYPES[given.kind]
    ack = json.dumps(f"{board.root}/ack/{board.path}")
    checks = ["command.error.empty()"]
    if given.kind in ("object", "list", "any"):
        checks.append(_shape(given.kind))
    else:
        checks.append("command.read(&value)")
    if given.least is not None or given.most is not None:
        least = "-INFINITY" if given.least is None else repr(given.least)
        most = "INFINITY" if given.most is None else repr(given.most)
        checks.append(f"command.within(value, {least}, {most})")
    yield f"  - id: em_in_{name}"
    yield "    mode: parallel"
    yield "    parameters: {payload: string}"
    yield "    then:"
    yield "      - lambda: |-"
    body = [
        "edgematrix::Command command(payload);",
        _C_DEFAULTS[kind],
        "if (edgematrix::done().has(command.id)) {",
        f'  ESP_LOGD("edgematrix", "{port}: a command came again");',
        f"}} else if ({' && '.join(check for check in checks if check)}) {{",
        *(["  value = command.text();"] if given.kind in ("object", "list", "any") else []),
        f"  id(on_{name})->execute(value);",
        "  edgematrix::done().add(command.id);",
        "} else {",
        f'  ESP_LOGW("edgematrix", "{port}: a command is refused: %s", command.error.c_str());',
        "}",
        "if (!command.id.empty())",
        f"  id(em_publish)->execute({ack}, command.answer(), 0, false);",
    ]
    yield from (f"          {line}" for line in body)


def _shape(kind: str) -> str:
    return {"object": "command.is_object()", "list": "command.is_list()"}.get(kind, "")


def _state(board: EsphomeBoard, status: str) -> str:
    """ESPHome's messages are fixed when it is built: the session is the device's for good, and nobody knows since when."""
    session = hashlib.sha256(f"esphome {board.path}".encode()).hexdigest()[:16]
    return json.dumps(agent_state(status, _host_name(board.path), session, None), separators=(",", ":"))


def c_name(port: str) -> str:
    """A port's name as a part of ESPHome's ids."""
    return port.replace("-", "_")


def _host_name(path: str) -> str:
    return path.replace("/", ":")


def _text(value: str) -> str:
    """A YAML text: JSON's form is one, and ESPHome's `$` for substitutions is doubled nowhere else."""
    return json.dumps(value, ensure_ascii=False)
