"""Which bus a command speaks to: the one that is named, else that of the run which goes on here, else that of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgematrix.cli.run_file import RunFile, find_run, without_password
from edgematrix.errors import BusError, ConfigError
from edgematrix.protocol.topic import DEFAULT_ROOT

__all__ = ["BROKER_VARIABLE", "Target", "find_target", "named_by_environment"]

BROKER_VARIABLE = "EDGEMATRIX_BROKER"
"""Where hosts and whoever deploys to them look for the broker, too."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bus. `run` is what goes on here, None if the address was given by hand."""

    url: str
    root: str
    run: RunFile | None = None


def find_target(url: str | None, root: str | None) -> Target:
    """The bus at `url`, or that of the run in this folder, or that of the environment.

    A run comes first: whoever tries something in a folder must not reach the house that the environment names.

    Raises:
        BusError: nothing runs here and no broker is named, or the run's address has a password that is not known.
    """
    if url is not None:
        return Target(url, root or DEFAULT_ROOT)
    run = find_run()
    if run is None:
        named = named_by_environment()
        if named:
            return Target(named, root or DEFAULT_ROOT)
        remedy = f"start `edgematrix run MATRIX` here, or give --url mqtt://…, here or in {BROKER_VARIABLE}"
        raise BusError("nothing runs in this folder", where=str(Path.cwd()), remedy=remedy)
    return Target(_with_password(run), root or run.root, run)


def named_by_environment() -> str:
    """The broker that the environment names; the empty text where it names none."""
    return os.environ.get(BROKER_VARIABLE, "").strip()


def _not_the_hosts(url: str) -> str:
    """The address in a file, unless it is one with which a host says who it is: a command would take its place."""
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - it needs ssl, which few runs do

    if Endpoint.parse(url).has_identity:
        raise BusError("the run has an identity of its own there", where=url, remedy="give --url @FILE with an operator's")
    return url


def _with_password(run: RunFile) -> str:
    """The run's address; a password is looked up where it stands, for the run file holds none."""
    if run.url.startswith("@"):
        return _not_the_hosts(run.url)
    refers = "${secret:" in run.url
    if not refers and urlsplit(run.url).username is None:
        return run.url
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - it costs more than all else here, and is rarely needed

    try:
        spec = open_matrix(Path(run.matrix), imports=False).spec
    except ConfigError:
        spec = None
    if spec is not None and without_password(spec.broker) == run.url:
        from edgematrix.config.launch import address_of, secrets_beside  # noqa: PLC0415 - see above

        return address_of(spec, lambda: secrets_beside(Path(run.matrix).parent))
    raise BusError("the run's broker wants a password, which is not kept", where=run.url, remedy="give --url with it")
