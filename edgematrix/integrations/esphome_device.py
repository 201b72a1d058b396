"""A device file for ESPHome to begin with: the board, the network, and the plainest hardware for each port (`esphome` has the rest)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent

from edgematrix.errors import UsageError
from edgematrix.integrations.esphome import NUMBERS, SCRIPT_TYPES, EsphomeBoard, EsphomeInput, EsphomeOutput, c_name, device_name

__all__ = ["CHIPS", "device_file", "inlined"]

CHIPS: Mapping[str, str] = {"esp32": "esp32dev", "esp8266": "nodemcuv2"}
"""Each family of chips with the board that a new device file names."""

_DIGITAL = {
    "esp32": ("GPIO16", "GPIO17", "GPIO18", "GPIO19", "GPIO21", "GPIO22", "GPIO23", "GPIO25", "GPIO26", "GPIO27"),
    "esp8266": ("GPIO4", "GPIO5", "GPIO12", "GPIO13", "GPIO14"),
}
_ANALOGUE = {"esp32": ("GPIO32", "GPIO33", "GPIO34", "GPIO35", "GPIO36", "GPIO39"), "esp8266": ("A0",)}
"""Pins that nothing else uses on the boards of `CHIPS`."""


def device_file(board: EsphomeBoard, package_file: str, chip: str = "esp32") -> str:
    """A device file to begin with: board, network, and for each port the plainest hardware of its type, on pins that are to be named.

    Args:
        package_file: the name of the package's file, beside this one.
        chip: one of `CHIPS`.

    Raises:
        UsageError: there is no such chip.
    """
    if chip not in CHIPS:
        raise UsageError(f"there is no chip {chip[:40]!r}", where="--chip", remedy=f"there are {', '.join(CHIPS)}")
    pins = _pins(board, chip)
    lines = [
        f"# {board.path}: this file is yours. It says what the device is made of; what it says to whom stands in {package_file}.",
        "substitutions:",
        f"  board: {CHIPS[chip]}",
        *(f"  {c_name(port)}_pin: {pin}" for port, pin in pins.items()),
        "",
        "packages:",
        f"  edgematrix: !include {package_file}",
        "",
        "esphome:",
        f"  name: {device_name(board.path)}",
        "",
        f"{chip}:",
        "  board: ${board}",
        *(["  framework:", "    type: esp-idf"] if chip == "esp32" else []),
        "",
        "logger:",
        "",
        "wifi:",
        "  ssid: !secret wifi_ssid",
        "  password: !secret wifi_password",
        "",
        "ota:",
        "  - platform: esphome",
        "    password: !secret ota_password",
        *_hardware(board, chip, pins),
    ]
    return "\n".join(lines) + "\n"


def inlined(device: str, package_file: str, text: str) -> str:
    """The device file with its package in it, for whoever wants a single one."""
    reference = f"  edgematrix: !include {package_file}\n"
    return device.replace(reference, f"  edgematrix:\n{indent(text, '    ')}").replace(f"stands in {package_file}", "stands in its package")


def _pins(board: EsphomeBoard, chip: str) -> dict[str, str]:
    """A pin for each port that can have one, by the port's name in ESPHome; a board may have fewer than there are ports."""
    digital, analogue = iter(_DIGITAL[chip]), iter(_ANALOGUE[chip])
    wanted = [(port, analogue if output.kind in NUMBERS else digital, output.kind) for port, output in board.outputs.items()]
    wanted += [(port, digital, given.kind) for port, given in board.inputs.items()]
    found = {port: next(pins, "") for port, pins, kind in wanted if kind == "bool" or kind in NUMBERS}
    return {port: pin for port, pin in found.items() if pin}


def _hardware(board: EsphomeBoard, chip: str, pins: Mapping[str, str]) -> Iterator[str]:
    """Sections of ESPHome components. Each calls the package's `emit_PORT`, or is called by `on_PORT`."""
    sections: dict[str, list[str]] = {}
    bare = []
    for port, output in board.outputs.items():
        if port in pins:
            _sensor(sections, c_name(port), output)
        else:
            bare.append(port)
    for port, given in board.inputs.items():
        _actuator(sections, port, given, chip, has_pin=port in pins)
    for section, lines in sections.items():
        yield ""
        yield f"{section}:"
        yield from lines
    for port in bare:
        yield ""
        yield f"# {port}, from wherever it comes: script.execute: {{id: emit_{c_name(port)}, value: !lambda 'return …;'}}"


def _sensor(sections: dict[str, list[str]], name: str, output: EsphomeOutput) -> None:
    """The plainest one of its type; any other platform of ESPHome does it as well."""
    emit = f"      - script.execute: {{id: emit_{name}, value: !lambda 'return x;'}}"
    if output.kind == "bool":
        lines = ["  - platform: gpio", f"    id: {name}_sensor", f"    pin: ${{{name}_pin}}", "    on_state:", emit]
        sections.setdefault("binary_sensor", []).extend(lines)
        return
    lines = ["  - platform: adc", f"    id: {name}_sensor", f"    pin: ${{{name}_pin}}", "    update_interval: 10s", "    on_value:", emit]
    sections.setdefault("sensor", []).extend(lines)


def _actuator(sections: dict[str, list[str]], port: str, given: EsphomeInput, chip: str, *, has_pin: bool) -> None:
    name, kind = c_name(port), SCRIPT_TYPES[given.kind]
    steps = [f"      - logger.log: {{format: '{port} is %s', args: ['edgematrix::payload(value).c_str()']}}"]
    if has_pin and given.kind == "bool":
        lines = ["  - platform: gpio", f"    id: {name}_switch", f"    pin: ${{{name}_pin}}", "    restore_mode: ALWAYS_OFF"]
        sections.setdefault("switch", []).extend(lines)
        steps = [
            "      - if:",
            "          condition: {lambda: 'return value;'}",
            f"          then: [switch.turn_on: {name}_switch]",
            f"          else: [switch.turn_off: {name}_switch]",
        ]
    elif has_pin:
        platform = "ledc" if chip == "esp32" else "esp8266_pwm"
        least, most = given.least or 0.0, 100.0 if given.most is None else given.most
        sections.setdefault("output", []).extend([f"  - platform: {platform}", f"    id: {name}_output", f"    pin: ${{{name}_pin}}"])
        level = f"return (value - {float(least)!r}f) / {max(float(most - least), 1e-6)!r}f;"
        steps = [f"      - output.set_level: {{id: {name}_output, level: !lambda '{level}'}}"]
    lines = [f"  - id: on_{name}", "    mode: parallel", f"    parameters: {{value: {kind}}}", "    then:", *steps]
    sections.setdefault("script", []).extend(lines)
