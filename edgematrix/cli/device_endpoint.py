"""Which broker a device connects to, and as whom: for commands that write a device's configuration, or speak in its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgematrix.cli.run_file import find_run
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.transport.endpoint import Endpoint

__all__ = ["device_endpoint", "identity_file", "matrix_broker", "warn_of_others"]


def device_endpoint(path: str, spec: MatrixSpec, matrix: Path, broker: str | None, access: Path | None) -> Endpoint:
    """The broker's address as the device at `path` has it: its own with an access folder, else the one that is named, else the matrix's.

    Raises:
        UsageError: both are named, the device has no identity there, or it is no address.
    """
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - it needs ssl, help needs nothing of it

    if access is not None:
        if broker is not None:
            raise UsageError("the folder has each device's own address of the broker", where="--broker", remedy="leave --broker away")
        return Endpoint.parse(f"@{identity_file(path, access)}")
    return Endpoint.parse(broker) if broker is not None else matrix_broker(spec, matrix)


def warn_of_others(endpoint: Endpoint, kind: str) -> None:
    """Say that a device of this kind knows one broker, where the address names several."""
    if endpoint.others:
        from edgematrix.cli.console import complain, style  # noqa: PLC0415 - few have several

        first = str(endpoint.at(0))
        complain(style(f"! {kind} knows one broker: the device goes to {first}, and to none else when that is gone", fg="yellow"))


def identity_file(path: str, access: Path) -> Path:
    """The file with the address that `edgematrix provision` made for the device at `path`.

    Raises:
        UsageError: there is none.
    """
    from edgematrix.access.principal import Role, principal_name  # noqa: PLC0415 - few have identities
    from edgematrix.identity.access_folder import ADDRESS, AccessFolder  # noqa: PLC0415 - as above

    file = AccessFolder(access).of(Role.DEVICE, principal_name(Role.DEVICE, path)) / ADDRESS
    if not file.is_file():
        remedy = "edgematrix provision MATRIX --out DIR, and give that folder"
        raise UsageError(f"{path} has no identity there", where=str(file), remedy=remedy)
    return file


def matrix_broker(spec: MatrixSpec, matrix: Path) -> Endpoint:
    """The broker that the matrix names, or where it has an embedded one, that of its run in this folder.

    Raises:
        UsageError: it names none that another machine could reach.
        SecretError: a secret of its address cannot be read.
    """
    from edgematrix.config.launch import address_of, secrets_beside  # noqa: PLC0415 - who names a broker needs none of it
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - as above

    address = address_of(spec, lambda: secrets_beside(matrix.parent))
    if "://" not in address and not address.startswith("@"):
        run = find_run()
        if run is not None and run.name == spec.matrix:
            return Endpoint.parse(run.url)
        what = f"the matrix has the broker {address!r}, which has no address before it runs"
        remedy = "--broker mqtt://192.168.1.10, or --access DIR, the folder of `edgematrix provision`"
        raise UsageError(what, where="--broker", remedy=remedy)
    return Endpoint.parse(address)
