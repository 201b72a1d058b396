"""What this machine can do for agents, as far as it can be seen without loading any of it."""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from edgematrix.hosting.capability import Capability

__all__ = ["capability_here", "load_here"]

_MODULES_MAX = 1_000


def capability_here(*, labels: Collection[str], devices: Collection[str], allowed: Collection[str], code: Path | None) -> Capability:
    """What it can do.

    Args:
        labels: what its operator calls it.
        devices: what its operator has plugged in.
        allowed: names of installed modules with agents' code.
        code: the folder with modules of agents; None where there is none.
    """
    return Capability(
        labels=tuple(labels),
        memory_mb=_memory_mb(),
        devices=tuple(devices),
        packages=tuple(_packages()),
        modules=(*allowed, *(() if code is None else _modules(code))),
    )


def load_here() -> float:
    """The work that waits for each processor, over the last minute; 0 where the system does not tell."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def _memory_mb() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (ValueError, OSError, AttributeError):
        return 0


def _packages() -> Iterator[str]:
    """What is installed, by the names of folders and files: nothing is imported, and no list of distributions is read."""
    places = [place for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    return (found.name for found in pkgutil.iter_modules(places) if found.name.isidentifier() and not found.name.startswith("_"))


def _modules(code: Path) -> Iterator[str]:
    """The modules of a folder, as a definition names them."""
    for count, file in enumerate(sorted(code.rglob("*.py"))):
        if count >= _MODULES_MAX:
            return
        yield ".".join(file.relative_to(code).with_suffix("").parts)
