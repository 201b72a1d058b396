"""What a value in one unit is in another: a few units that sensors have, and no guesses."""

from __future__ import annotations

from typing import Final

from edgematrix.errors import ModelError

__all__ = ["conversion"]

_G: Final = 9.80665
"""Standard gravity in m/s², exact by definition (CGPM 1901)."""
_DEGREE: Final = 0.017453292519943295
"""Radians."""

_UNITS: Final[dict[str, tuple[str, float, float]]] = {
    "°C": ("temperature", 1.0, 0.0),
    "°F": ("temperature", 5 / 9, -160 / 9),
    "K": ("temperature", 1.0, -273.15),
    "m/s²": ("acceleration", 1.0, 0.0),
    "g": ("acceleration", _G, 0.0),
    "mg": ("acceleration", _G / 1_000, 0.0),
    "rad/s": ("rotation", 1.0, 0.0),
    "°/s": ("rotation", _DEGREE, 0.0),
    "lx": ("illuminance", 1.0, 0.0),
    "klx": ("illuminance", 1_000.0, 0.0),
    "%": ("share", 1.0, 0.0),
    "1": ("share", 100.0, 0.0),
    "ppm": ("concentration", 1.0, 0.0),
    "ppb": ("concentration", 0.001, 0.0),
    "Pa": ("pressure", 1.0, 0.0),
    "hPa": ("pressure", 100.0, 0.0),
    "kPa": ("pressure", 1_000.0, 0.0),
    "W": ("power", 1.0, 0.0),
    "kW": ("power", 1_000.0, 0.0),
    "V": ("voltage", 1.0, 0.0),
    "mV": ("voltage", 0.001, 0.0),
    "A": ("current", 1.0, 0.0),
    "mA": ("current", 0.001, 0.0),
}
"""By unit: what it measures, and how a value becomes one in the first unit of that: value * factor + offset."""
_ALIASES: Final = {
    "C": "°C",
    "F": "°F",
    "m/s2": "m/s²",
    "m/s^2": "m/s²",
    "deg/s": "°/s",
    "dps": "°/s",
    "lux": "lx",
    "percent": "%",
    "mbar": "hPa",
}


def conversion(given: str, wanted: str) -> tuple[float, float]:
    """Factor and offset: a value in `given` is `value * factor + offset` in `wanted`.

    Raises:
        ModelError: one of them is not known and they differ, or they measure different things.
    """
    one, other = _ALIASES.get(given, given), _ALIASES.get(wanted, wanted)
    if one == other:
        return 1.0, 0.0
    first, last = _UNITS.get(one), _UNITS.get(other)
    if first is None or last is None:
        unknown = given if first is None else wanted
        raise ModelError(
            f"nobody knows how {given!r} becomes {wanted!r}: {unknown!r} is no unit that is known", remedy=f"known are {', '.join(_UNITS)}"
        )
    if first[0] != last[0]:
        raise ModelError(f"{given!r} is a unit of {first[0]}, and {wanted!r} one of {last[0]}")
    return first[1] / last[1], (first[2] - last[2]) / last[1]
