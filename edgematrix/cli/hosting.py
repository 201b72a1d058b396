"""What `edgematrix host` does: it runs a host, or writes the systemd unit that does."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgematrix.config.hosting import Hosting, host_here
from edgematrix.config.machine import capability_here, load_here
from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import check_name
from edgematrix.transport.address_file import MARK
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Wanted", "install_unit", "run_host"]

_VARIABLE = "EDGEMATRIX_BROKER"
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_BESIDE_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A host as it was asked for. `state` is None where nobody says where states are kept, `secrets` where nobody names their folder."""

    name: str
    broker: str
    root: str
    matrix: str
    labels: tuple[str, ...]
    devices: tuple[str, ...]
    allowed: tuple[str, ...]
    code: Path | None
    state: Path | None
    secrets: Path | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: what is wrong, with the option.
        """
        Endpoint.parse(self.broker)
        for option, names in (("--label", self.labels), ("--matrix", (self.matrix,) if self.matrix else ())):
            for name in names:
                try:
                    check_name(name)
                except PathError as error:
                    raise UsageError(error.what, where=option, remedy=error.remedy) from None
        if self.code is not None and not self.code.is_dir():
            raise UsageError("there is no such folder", where=f"--code {self.code}", remedy="a folder with the modules of agents")
        if self.secrets is not None and not self.secrets.is_dir():
            raise UsageError("there is no such folder", where=f"--secrets {self.secrets}", remedy="a folder with one file for each secret")


async def run_host(wanted: Wanted, state: Path, tell: Callable[[str], None]) -> None:
    """Run it until SIGINT or SIGTERM.

    Raises:
        EdgeMatrixError: as `host_here`.
    """
    capability = capability_here(labels=wanted.labels, devices=wanted.devices, allowed=wanted.allowed, code=wanted.code)
    await host_here(
        Hosting(
            name=wanted.name,
            url=wanted.broker,
            root=wanted.root,
            matrix=wanted.matrix,
            folder=state,
            code=wanted.code,
            allowed=wanted.allowed,
            capability=capability,
            version=_version(),
            load=load_here,
            changed=lambda text: tell(f"{wanted.name}: {text}"),
            secrets=wanted.secrets,
        )
    )


def install_unit(wanted: Wanted, folder: Path) -> Iterator[str]:
    """Write a systemd unit, and beside it, for root's eyes alone, the broker's address: it may hold a password.

    Gives what there is to be told, in lines.

    Raises:
        UsageError: the folder cannot be written, or something cannot stand in a unit.
    """
    unit, secret = folder / f"edgematrix-host-{wanted.name}.service", folder / f"edgematrix-host-{wanted.name}.env"
    texts = {unit: (_unit(wanted, secret.absolute()), 0o644)}
    if not wanted.broker.startswith(MARK):
        texts = {secret: (f"{_VARIABLE}={_quoted(wanted.broker)}\n", 0o600), **texts}
    for file, (text, mode) in texts.items():
        try:
            _write(file, text, mode)
        except OSError as error:
            again = "sudo, or --unit-dir DIR and copy it from there"
            raise UsageError(f"cannot be written: {error.strerror}", where=str(file), remedy=again) from None
    yield f"written {unit}"
    if secret in texts:
        yield f"written {secret}, readable by its owner alone: it has the broker's address"
    else:
        secret.unlink(missing_ok=True)
        yield f"the broker's address stays in {Path(wanted.broker[1:]).expanduser().absolute()}, which is read at each start"
    yield "start it now, and at each start of the machine:"
    yield "  sudo systemctl daemon-reload"
    yield f"  sudo systemctl enable --now {unit.name}"
    yield f"  journalctl -fu {unit.name}"


def _write(file: Path, text: str, mode: int) -> None:
    """Write it whole; who may not read it may not for a moment either."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(file)


def _unit(wanted: Wanted, secret: Path) -> str:
    state = Path(f"/var/lib/edgematrix/{wanted.name}") if wanted.state is None else wanted.state.absolute()
    words = [sys.executable, "-m", "edgematrix", "host", "--name", wanted.name, "--root", wanted.root, "--state", str(state)]
    words += ["--matrix", wanted.matrix] if wanted.matrix else []
    words += [word for label in wanted.labels for word in ("--label", label)]
    words += [word for device in wanted.devices for word in ("--device", device)]
    words += [word for module in wanted.allowed for word in ("--allow", module)]
    words += ["--code", str(wanted.code.absolute())] if wanted.code is not None else []
    # Without --state the service has a user and a folder of its own; with it, the folder's user has to be able to write there.
    own = [f"StateDirectory=edgematrix/{wanted.name}", "DynamicUser=yes"]
    given = [f"User={os.environ.get('SUDO_USER') or getpass.getuser()}", f"ReadWritePaths={state}"]
    lines = [
        "[Unit]",
        f"Description=EdgeMatrix host {wanted.name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(map(_word, words))}",
        *(_address_lines(wanted) if wanted.broker.startswith(MARK) else [f"EnvironmentFile={secret}"]),
        *(own if wanted.state is None else given),
        *([] if wanted.secrets is None else _credentials(wanted.secrets.absolute(), is_own=wanted.state is None)),
        "Restart=always",
        "RestartSec=2",
        "TimeoutStopSec=20",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        "PrivateTmp=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        *(["SupplementaryGroups=dialout"] if wanted.devices else []),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _address_lines(wanted: Wanted) -> list[str]:
    """The lines that tell where the broker's address stands. A service with a user of its own is handed it, with all that is beside it."""
    file = Path(wanted.broker[1:]).expanduser().absolute()
    if any(sign in str(file) for sign in "\n\r\0"):
        raise UsageError("the file's name has more than one line", where="--broker")
    place = str(file.parent).replace("%", "%%")
    if wanted.state is not None:
        return [f"Environment={_quoted(f'{_VARIABLE}={MARK}{place}/{file.name}')}"]
    beside = sorted(entry.name for entry in file.parent.iterdir() if entry.is_file() and _CREDENTIAL.fullmatch(entry.name))
    if len(beside) > _BESIDE_MAX or file.name not in beside:
        what = (
            f"beside it stand {len(beside)} files, {_BESIDE_MAX} is the most"
            if file.name in beside
            else "systemd hands no file over by that name"
        )
        raise UsageError(what, where=str(file), remedy="give it a folder of its own, as `edgematrix provision` does")
    handed = [f"LoadCredential={name}:{place}/{name}" for name in beside]
    return [*handed, f"Environment={_quoted(f'{_VARIABLE}={MARK}%d/{file.name}')}"]


def _credentials(folder: Path, *, is_own: bool) -> list[str]:
    """The lines that give a service its secrets. One with a user of its own may not read the folder: systemd hands each file over."""
    if any(sign in str(folder) for sign in "\n\r\0"):
        raise UsageError("the folder's name has more than one line", where="--secrets")
    from edgematrix.identity.secrets import VARIABLE, SecretStore  # noqa: PLC0415 - a host that runs does not need it

    place = str(folder).replace("%", "%%")  # $ stands for nothing in a setting
    if not is_own:
        return [f"Environment={_quoted(f'{VARIABLE}={place}')}"]
    return [f"LoadCredential={name}:{place}/{name}" for name in SecretStore(folder).names()]


def _word(text: str) -> str:
    """A word of a command as systemd reads it: % and $ stand for something there."""
    if any(sign in text for sign in "\n\r\0"):
        raise UsageError(f"{text[:40]!r} cannot stand in a unit: it has more than one line")
    escaped = text.replace("%", "%%").replace("$", "$$")
    return escaped if shlex.quote(escaped) == escaped else _quoted(escaped)


def _quoted(text: str) -> str:
    if any(sign in text for sign in "\n\r\0"):
        raise UsageError("the broker's address has more than one line", where="--broker")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _version() -> str:
    try:
        return version("edgematrix")
    except PackageNotFoundError:
        return ""
