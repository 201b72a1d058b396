"""What ESPHome calls entities, as ports: what each tells is an output, what can be asked of it an input, `set_` and its name.

Entities and states are told by the names of their classes in `aioesphomeapi`, so that nothing is loaded here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgematrix.protocol.path import NAME_LENGTH_MAX

__all__ = ["Command", "command_for", "input_port", "output_port", "value_of"]

_BARE = {
    "SensorState": "sensor",
    "BinarySensorState": "binary_sensor",
    "TextSensorState": "text_sensor",
    "SwitchState": "switch",
    "NumberState": "number",
    "SelectState": "select",
    "TextState": "text",
}
"""States that are one value, in the field `state`."""
_FIELDS = {
    "LightState": ("state", "brightness", "color_temperature", "red", "green", "blue", "effect"),
    "FanState": ("state", "speed_level", "oscillating", "preset_mode"),
    "CoverState": ("position", "tilt"),
}
"""States of several values, which make an object."""
_TOLD = frozenset(
    {
        "SensorInfo",
        "BinarySensorInfo",
        "TextSensorInfo",
        "SwitchInfo",
        "NumberInfo",
        "SelectInfo",
        "TextInfo",
        "LightInfo",
        "FanInfo",
        "CoverInfo",
    }
)
_ASKED = frozenset({"SwitchInfo", "NumberInfo", "SelectInfo", "TextInfo", "ButtonInfo", "LightInfo", "FanInfo", "CoverInfo"})
_OBJECTS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "LightInfo": {
        "state": bool, "brightness": (int, float), "color_temperature": (int, float), "rgb": list, "transition_length": (int, float),
        "effect": str,
    },
    "FanInfo": {"state": bool, "speed_level": int, "oscillating": bool, "preset_mode": str},
    "CoverInfo": {"position": (int, float), "tilt": (int, float), "stop": bool},
}  # fmt: skip
"""What an object may ask of an entity, by the parameters of the client's methods."""
_SET = "set_"


@dataclass(frozen=True, slots=True)
class Command:
    """A method of `aioesphomeapi`'s client, without the key of the entity."""

    method: str
    arguments: Mapping[str, Any]


def output_port(info: Any) -> str | None:
    """The port on which an entity tells its state; None if it tells none."""
    return _name(info) if type(info).__name__ in _TOLD else None


def input_port(info: Any) -> str | None:
    """The port on which something is asked of an entity; None if nothing can be."""
    return f"{_SET}{_name(info)}"[:NAME_LENGTH_MAX] if type(info).__name__ in _ASKED else None


def value_of(state: Any) -> object:
    """What a state says, as a JSON value; null is unknown. Other kinds of states give no port, and so never come here."""
    kind = type(state).__name__
    if kind in _BARE:
        return None if getattr(state, "missing_state", False) else _finite(state.state)
    return {name: _finite(getattr(state, name)) for name in _FIELDS.get(kind, ()) if hasattr(state, name)}


def command_for(info: Any, value: object) -> Command:
    """What is asked of an entity by a value on its input.

    Raises:
        ValueError: the value is none that it takes, in words.
    """
    kind = type(info).__name__
    if kind == "ButtonInfo":
        return Command("button_command", {})
    if kind == "SwitchInfo":
        return Command("switch_command", {"state": _flag(value)})
    if kind == "NumberInfo":
        return Command("number_command", {"state": _number(value, info.min_value, info.max_value)})
    if kind == "SelectInfo":
        if value not in info.options:
            raise ValueError(f"expected one of {', '.join(info.options)[:200]}")
        return Command("select_command", {"state": value})
    if kind == "TextInfo":
        if not isinstance(value, str) or not info.min_length <= len(value) <= info.max_length:
            raise ValueError(f"expected a text of {info.min_length} to {info.max_length} characters")
        return Command("text_command", {"state": value})
    return _by_fields(kind, value)


def _by_fields(kind: str, value: object) -> Command:
    known = _OBJECTS[kind]
    method = f"{kind.removesuffix('Info').lower()}_command"
    if isinstance(value, bool) and "state" in known:
        return Command(method, {"state": value})
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected an object of {', '.join(known)}")
    for name, part in value.items():
        wanted = known.get(name)
        if wanted is None or not isinstance(part, wanted) or isinstance(part, bool) != (wanted is bool):
            raise ValueError(f"{str(name)[:40]} is none of {', '.join(known)}, or has another type")
    return Command(method, {name: _part(name, part) for name, part in value.items()})


def _part(name: str, part: Any) -> Any:
    """One value of an object, which has the right type."""
    if name == "rgb":
        if len(part) != 3 or not all(_is_share(one) for one in part):  # noqa: PLR2004 - red, green, blue
            raise ValueError("expected three numbers from 0 to 1 for rgb")
        return tuple(part)
    if name in ("brightness", "position", "tilt") and not _is_share(part):
        raise ValueError(f"expected a number from 0 to 1 for {name}")
    return part


def _is_share(part: object) -> bool:
    return isinstance(part, int | float) and not isinstance(part, bool) and 0 <= part <= 1


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _number(value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")
    if not least <= value <= most:
        raise ValueError(f"expected a number from {least:g} to {most:g}")
    return float(value)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(info: Any) -> str:
    """The entity's object id as a port's name."""
    name = re.sub(r"[^a-z0-9_-]", "_", str(info.object_id).lower()).lstrip("_-")
    return name[: NAME_LENGTH_MAX - len(_SET)] or "entity"
