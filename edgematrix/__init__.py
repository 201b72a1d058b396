"""EdgeMatrix: a tree of cooperating agents over MQTT.

The names below are the public ones; each is loaded when it is first asked for, so that importing the package costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgematrix.config.agent import Agent
    from edgematrix.config.composite import Chat, Composite, Flow
    from edgematrix.config.group import Group, all_of, any_of, at_least, sequence
    from edgematrix.config.matrix import Matrix
    from edgematrix.config.retry import Retry
    from edgematrix.config.source import Level, Source, absent, at, cron, during, every, every_message, level, ref, sun
    from edgematrix.errors import EdgeMatrixError
    from edgematrix.runtime.context import Context
    from edgematrix.runtime.firing import Firing
    from edgematrix.runtime.part import Part

__all__ = [
    "Agent",
    "Chat",
    "Composite",
    "Context",
    "EdgeMatrixError",
    "Firing",
    "Flow",
    "Group",
    "Level",
    "Matrix",
    "Part",
    "Retry",
    "Source",
    "absent",
    "all_of",
    "any_of",
    "at",
    "at_least",
    "cron",
    "during",
    "every",
    "every_message",
    "level",
    "ref",
    "sequence",
    "sun",
]

_HOMES = {
    "edgematrix.config.agent": ("Agent",),
    "edgematrix.config.group": ("Group", "all_of", "any_of", "at_least", "sequence"),
    "edgematrix.config.composite": ("Chat", "Composite", "Flow"),
    "edgematrix.config.matrix": ("Matrix",),
    "edgematrix.config.retry": ("Retry",),
    "edgematrix.config.source": ("Level", "Source", "absent", "at", "cron", "during", "every", "every_message", "level", "ref", "sun"),
    "edgematrix.errors": ("EdgeMatrixError",),
    "edgematrix.runtime.context": ("Context",),
    "edgematrix.runtime.firing": ("Firing",),
    "edgematrix.runtime.part": ("Part",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
