"""Where a broker listens for whom, and the lines that tell it so.

mosquitto has a listener for each kind of principal and of proof. Machines get their user name as client id, so that nobody takes
another one's session; people and programs of other systems choose theirs, for they may come several at a time. NATS has one listener.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from edgematrix.identity.registry import Entry, Kind, Registry
from edgematrix.identity.tls import mosquitto_tls, nats_tls

__all__ = ["CLIENT_ID_PREFIX", "Listener", "listeners_of", "mosquitto_listeners", "nats_listener_tls", "password_files"]

CLIENT_ID_PREFIX = "op:"
"""What every client id begins with that a client chooses. No user name has a `:`, so nobody can choose the id of a machine."""
_MACHINES = ("host", "device")


class Listener(msgspec.Struct, frozen=True):
    """One of them: for machines or for people, who come with a secret or with a certificate. `offset` is added to the first port."""

    offset: int
    for_machines: bool
    kind: Kind

    @property
    def about(self) -> str:
        """For whom it is, in words."""
        who = "hosts and devices" if self.for_machines else "operators, and programs of other systems"
        return f"{who}, with a {self.kind}"

    @classmethod
    def of(cls, role: str, kind: Kind) -> Listener:
        """That of such a principal."""
        return next(one for one in _ALL if one.for_machines is (role in _MACHINES) and one.kind is kind)


_ALL = (
    Listener(0, for_machines=True, kind=Kind.SECRET),
    Listener(1, for_machines=False, kind=Kind.SECRET),
    Listener(2, for_machines=True, kind=Kind.CERTIFICATE),
    Listener(3, for_machines=False, kind=Kind.CERTIFICATE),
)


def listeners_of(registry: Registry, now: datetime) -> tuple[Listener, ...]:
    """Those that somebody needs; the first if nobody may come in."""
    needed = {Listener.of(entry.role, one.kind) for _, entry, one in registry.live(now)}
    return tuple(one for one in _ALL if one in needed) or _ALL[:1]


def mosquitto_listeners(registry: Registry, now: datetime, *, folder: str, port: int, address: str = "") -> str:
    """The lines of mosquitto's configuration.

    Args:
        folder: where the broker finds its files.
        port: the first listener's.
        address: of this machine; the empty text for any.
    """
    lines = ["per_listener_settings true", ""]
    lines += [
        "# mosquitto applies this to all listeners, whatever stands before; a machine's client id is replaced by its user name after that."
    ]
    lines += [f"clientid_prefixes {CLIENT_ID_PREFIX}", ""]
    for one in listeners_of(registry, now):
        lines += [f"# {one.about[0].upper()}{one.about[1:]}.", f"listener {port + one.offset} {address}".rstrip(), "allow_anonymous false"]
        lines += [*_proof(one, folder), f"acl_file {folder}/acl"]
        lines += [f"certfile {folder}/server.pem", f"keyfile {folder}/server.key", *mosquitto_tls(registry.tls), ""]
    return "\n".join(lines)


def _proof(listener: Listener, folder: str) -> Iterator[str]:
    if listener.for_machines:
        yield "use_username_as_clientid true"
    if listener.kind is Kind.SECRET:
        yield f"password_file {folder}/{'machines' if listener.for_machines else 'people'}.passwd"
        return
    yield f"cafile {folder}/ca.pem"
    yield f"crlfile {folder}/revoked.pem"
    yield "require_certificate true"
    yield "use_identity_as_username true"


def nats_listener_tls(registry: Registry, now: datetime, *, folder: str) -> str:
    """The `tls` block of nats-server's `mqtt` block. With certificates everybody has to show one."""
    lines = ["tls {", f'  cert_file: "{folder}/server.pem"', f'  key_file: "{folder}/server.key"', "  timeout: 5"]
    lines += [f"  {line}" for line in nats_tls(registry.tls)]
    if any(one.kind is Kind.CERTIFICATE for _, _, one in registry.live(now)):
        lines += [f'  ca_file: "{folder}/ca.pem"', "  verify_and_map: true"]
    return "\n".join(f"  {line}" for line in [*lines, "}"])


def password_files(registry: Registry, now: datetime) -> Mapping[str, str]:
    """The files in which mosquitto has users with their hashes, by name."""
    texts = {"machines.passwd": "", "people.passwd": ""}
    for user, entry, one in registry.live(now):
        if one.kind is Kind.SECRET:
            texts[_file_of(entry)] += f"{user}:{one.mosquitto}\n"
    return texts


def _file_of(entry: Entry) -> str:
    return "machines.passwd" if entry.role in _MACHINES else "people.passwd"
