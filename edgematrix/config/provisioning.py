"""Makes identities for all that a matrix names, and what its broker has to know of them (`edgematrix provision`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import structs

from edgematrix.access.mosquitto import acl_file
from edgematrix.access.nats import authorization
from edgematrix.access.principal import Principal
from edgematrix.config.authority import principals_of
from edgematrix.config.broker_places import CLUSTER, PORT_LAST, SERVER_NAME, places_of, read_others
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.unsigned import signs
from edgematrix.errors import UsageError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.authority import AUTHORITY_DAYS, BACKDATED, Authority
from edgematrix.identity.certificate import read_certificates
from edgematrix.identity.folder_warnings import access_warnings
from edgematrix.identity.listener import mosquitto_listeners, nats_listener_tls, password_files
from edgematrix.identity.proof import give_certificate, give_secret, move_address, user_there
from edgematrix.identity.registry import Entry, Kind, Registry, read_registry, user_name, write_registry
from edgematrix.identity.secret_file import make_folder, write_secret
from edgematrix.identity.tls import TLS_VERSIONS
from edgematrix.runtime.capabilities import read_profile

__all__ = ["BROKERS", "ProvisionWish", "Provisioned", "provision"]

BROKERS = ("mosquitto", "nats", "nats-cluster")
_SERVER_LEFT = timedelta(days=60)
"""A broker's certificate that holds for less, or for less than half of its time, is made anew."""
_SERVERS_MAX = 100
_MOSQUITTO_FOLDER = "/etc/mosquitto/edgematrix"
_NATS_FOLDER = "/etc/nats"
_NATS_FILES = ("nats.conf", "users.conf")
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionWish:
    """What is asked for. None leaves it as it was, or as is usual.

    `certificates` are names of principals whose next credential is a certificate, `all_certificates` means everybody; `rotate` and
    `revoke` name principals, `revoke` also one credential as `NAME~2`. `others` are further brokers, as `HOST` or
    `HOST:PORT`, and `-` alone means none. `days` is how long certificates hold, `overlap` how long
    a credential that is replaced does. `servers` are names and addresses of the broker: the first is where clients look for it.
    """

    servers: Sequence[str] = ()
    own_name: str = ""
    others: Sequence[str] = ()
    port: int | None = None
    tls: str | None = None
    broker: str | None = None
    days: int = 365
    overlap: timedelta = timedelta(days=7)
    all_certificates: bool = False
    certificates: Sequence[str] = ()
    rotate: Sequence[str] = ()
    revoke: Sequence[str] = ()


@dataclass(slots=True)
class Provisioned:
    """What was done, by the names of principals; and what there is to be told."""

    registry: Registry
    is_new: bool
    added: list[Entry] = field(default_factory=list)
    removed: list[Entry] = field(default_factory=list)
    rotated: list[tuple[Entry, datetime]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    shut_out: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Folders of principals that are gone, in which something stands that was not made here."""
    has_nats: bool = True
    warnings: tuple[str, ...] = ()


def provision(spec: MatrixSpec, folder: AccessFolder, wish: ProvisionWish, now: datetime) -> Provisioned:
    """Make identities, or bring them up to what the matrix names now. Credentials of those that stay stay.

    Credentials are written first, the authority and the list of them after that, and the broker's files last: if it is interrupted,
    doing it again makes it whole.

    Raises:
        ConfigError: two principals have one name, or the access list cannot be written for the broker.
        UsageError: the folder holds something else, or cannot be written; a file of it is missing or damaged; a name is unknown;
            the clock is before the authority's start.
        StateError: the list of identities is damaged.
    """
    principals = principals_of(spec)
    _check(wish)
    is_new = not folder.exists
    with folder.owned():
        return _Provision(spec, principals, folder, wish, now).run(is_new=is_new)


class _Provision:
    """One run of it."""

    def __init__(self, spec: MatrixSpec, principals: list[Principal], folder: AccessFolder, wish: ProvisionWish, now: datetime) -> None:
        self._spec = spec
        self._principals = principals
        self._folder = folder
        self._wish = wish
        self._now = now.replace(microsecond=0)

    def run(self, *, is_new: bool) -> Provisioned:
        before = self._new() if is_new else read_registry(self._folder.registry)
        if before.matrix != self._spec.matrix:
            raise UsageError(
                f"these are identities of the matrix {before.matrix!r}, and the file is {self._spec.matrix!r}",
                where=str(self._folder.path),
                remedy="name another folder with --out",
            )
        self._check_names(before)
        done = Provisioned(self._settings(before), is_new)
        wanted = [(principal.name, principal.role.value, principal.subject) for principal in self._principals]
        done.registry = done.registry.following(wanted, self._now)
        authority = self._authority(is_new=is_new)
        self._revoke(done)
        done.has_nats = self._has_nats(done.registry)
        self._rotate(done, authority)
        self._add(done, authority)
        self._broker_certificate(done, authority)
        texts = self._texts(done, authority)
        self._move(done, before)
        os.sync()  # once for all credentials, which are many files
        if is_new:
            authority.save(self._folder.authority, self._folder.authority_key)
        write_registry(done.registry, self._folder.registry)
        self._sign(done)
        make_folder(self._folder.broker)
        for name, content in texts.items():
            write_secret(self._folder.broker / name, content)
        if not done.has_nats:
            for name in _NATS_FILES:
                (self._folder.broker / name).unlink(missing_ok=True)
        self._remove(done, before)
        done.warnings = self._warnings(done)
        return done

    # What there is

    def _new(self) -> Registry:
        servers = dict.fromkeys(("localhost", "127.0.0.1", self._wish.own_name or "localhost"))
        return Registry.new(self._spec.matrix, servers, 8883, TLS_VERSIONS[0], BROKERS[0])

    def _settings(self, before: Registry) -> Registry:
        wish = self._wish
        servers, port = tuple(dict.fromkeys(wish.servers)) or before.servers, wish.port or before.port
        return structs.replace(
            before,
            servers=servers,
            port=port,
            others=read_others(wish.others, servers[0], port) if wish.others else before.others,
            tls=wish.tls or before.tls,
            broker=wish.broker or before.broker,
        )

    def _authority(self, *, is_new: bool) -> Authority:
        folder = self._folder
        if is_new:
            return Authority.make(f"EdgeMatrix {self._spec.matrix}", self._now)
        authority = Authority.load(folder.authority, folder.authority_key)
        authority.check(self._now, str(folder.authority))
        return authority

    def _check_names(self, before: Registry) -> None:
        """Names on the command line are those of principals, and say what can be."""
        known = {principal.name for principal in self._principals}
        for option, names in (("--rotate", self._wish.rotate), ("--certificate", self._wish.certificates)):
            for name in names:
                if name not in known:
                    raise UsageError(f"the matrix names no {name[:80]!r}", where=option, remedy=f"it names {_some(known)}")
        for name in self._wish.certificates:
            entry = before.entry(name)
            has_secret = entry is not None and entry.generations and entry.generations[-1].kind is Kind.SECRET
            if has_secret and name not in self._wish.rotate:
                raise UsageError(f"{name} has a secret", where="--certificate", remedy=f"--rotate {name} --certificate {name}")

    # What is done

    def _revoke(self, done: Provisioned) -> None:
        for text in self._wish.revoke:
            name, number = self._credential(done.registry, text)
            entry = done.registry.entry(name)
            assert entry is not None  # noqa: S101 - it was found
            done.registry = done.registry.changed(entry.revoked(self._now, number))
            done.revoked.append(text)

    def _credential(self, registry: Registry, text: str) -> tuple[str, int | None]:
        """A principal, or one credential of it as `NAME~2`."""
        if registry.entry(text) is not None:
            return text, None
        name, mark, number = text.rpartition("~")
        entry = registry.entry(name)
        if entry is None:
            known = [one.name for one in registry.principals]
            raise UsageError(f"there is no {text[:80]!r}", where="--revoke", remedy=f"there are {_some(known)}")
        found = [one.number for one in entry.generations]
        if not mark or not number.isdecimal() or int(number) not in found:
            there = ", ".join(f"{name}~{one}" for one in found[-10:]) or "none"
            raise UsageError(f"there is no credential {text[:80]!r}", where="--revoke", remedy=f"there are {there}")
        return name, int(number)

    def _rotate(self, done: Provisioned, authority: Authority) -> None:
        until = self._now + self._wish.overlap
        for name in dict.fromkeys((*self._wish.rotate, *self._half_rotated(done.registry))):
            entry = done.registry.entry(name)
            assert entry is not None  # noqa: S101 - it was checked
            if not entry.generations:
                continue  # it gets its first one
            entry = self._given(done, entry.replaced(until, self._now), authority)
            done.registry = done.registry.changed(entry)
            done.rotated.append((entry, until))

    def _half_rotated(self, registry: Registry) -> Iterator[str]:
        """Those whose folder holds a credential that was made, and never came into the list: it was interrupted in between."""
        for entry in registry.principals:
            if entry.live(self._now) and user_there(self._folder.of(entry.role, entry.name)) == user_name(
                entry.name, registry.next_number(entry)
            ):
                yield entry.name

    def _add(self, done: Provisioned, authority: Authority) -> None:
        found = []
        for entry in done.registry.principals:
            if entry.generations:
                found.append(entry)
            else:
                given = self._given(done, entry, authority)
                found.append(given)
                done.added.append(given)
        done.registry = structs.replace(done.registry, principals=tuple(found))

    def _given(self, done: Provisioned, entry: Entry, authority: Authority) -> Entry:
        """With a new credential, which stands in its folder."""
        registry, wish, kind = done.registry, self._wish, self._next_kind(entry)
        number, places = registry.next_number(entry), places_of(registry, entry, kind)
        folder = self._folder.make_for(entry.role, entry.name)
        if kind is Kind.SECRET:
            return entry.with_new(give_secret(entry, number, folder, authority, places, self._now))
        return entry.with_new(give_certificate(entry, number, folder, authority, places, self._now, wish.days))

    def _next_kind(self, entry: Entry) -> Kind:
        """What its next credential is: as the newest, or as is asked for."""
        was_certificate = bool(entry.generations) and entry.generations[-1].kind is Kind.CERTIFICATE
        is_wanted = self._wish.all_certificates or entry.name in self._wish.certificates
        return Kind.CERTIFICATE if is_wanted or was_certificate else Kind.SECRET

    def _has_nats(self, registry: Registry) -> bool:
        """Whether NATS can have what there will be: asked before anything is written.

        Raises:
            UsageError: it cannot, and addresses are written for it.
        """
        kinds: set[Kind] = set()
        for entry in registry.principals:
            is_rotated = entry.name in self._wish.rotate
            if is_rotated or not entry.generations:
                kinds.add(self._next_kind(entry))
            if not is_rotated or self._wish.overlap:
                kinds |= {one.kind for one in entry.live(self._now)}
        if len(kinds) < len(Kind) or registry.broker == "mosquitto":
            return len(kinds) < len(Kind)
        raise UsageError(
            "NATS has one listener: either everybody has a secret, or everybody a certificate",
            where="--certificate",
            remedy="--certificates from the beginning, or --rotate everybody with --certificates --overlap 0s, or a mosquitto",
        )

    def _broker_certificate(self, done: Provisioned, authority: Authority) -> None:
        registry, folder, now = done.registry, self._folder.broker, self._now
        make_folder(folder)
        certificate, key = folder / "server.pem", folder / "server.key"
        if registry.server_names == registry.names and key.exists() and certificate.exists():
            there = read_certificates(certificate.read_text(encoding="utf-8"), str(certificate))
            if there and there[0].ends - now > min(_SERVER_LEFT, (there[0].ends - there[0].starts) / 2):
                return
        issued = authority.issue_server(registry.names, now - BACKDATED, now + timedelta(days=self._wish.days))
        write_secret(key, issued.key)
        write_secret(certificate, issued.certificate)
        done.registry = structs.replace(registry, server_names=registry.names)

    def _texts(self, done: Provisioned, authority: Authority) -> dict[str, bytes | str]:
        """The broker's files."""
        registry, now, principals = done.registry, self._now, self._principals
        users = registry.users(now)
        texts: dict[str, bytes | str] = {**password_files(registry, now), "acl": acl_file(principals, users)}
        texts |= {"ca.pem": authority.pem, "revoked.pem": authority.revoke(registry.revocations(now), now)}
        listeners = mosquitto_listeners(registry, now, folder=_MOSQUITTO_FOLDER, port=registry.port)
        texts["mosquitto.conf"] = _filled("mosquitto-access.conf", {"listeners": listeners, "matrix": registry.matrix})
        if done.has_nats:
            tls = nats_listener_tls(registry, now, folder=_NATS_FOLDER)
            texts["users.conf"] = _nats_users(registry, principals, now)
            texts["nats.conf"] = _filled("nats-access.conf", {"tls": tls, "port": str(registry.port), "matrix": registry.matrix})
        return texts

    def _move(self, done: Provisioned, before: Registry) -> None:
        """Addresses that were given follow the broker, where they are still here."""
        now = done.registry
        if (now.servers[0], now.port, now.broker, now.others) == (before.servers[0], before.port, before.broker, before.others):
            return
        for _, entry, one in now.live(self._now):
            if one is entry.generations[-1] and move_address(self._folder.of(entry.role, entry.name), places_of(now, entry, one.kind)):
                done.moved.append(entry.name)

    def _sign(self, done: Provisioned) -> None:
        """Keys for messages that are signed, where any are."""
        if not signs(self._spec):
            return
        from edgematrix.identity.signing_folder import give_signing_keys  # noqa: PLC0415 - few matrices have signed messages

        access = self._spec.access
        deployers: list[str] = []
        if access is not None:
            deployers += [name for name, host in access.hosts.items() if host.deploys]
            deployers += [name for name, operator in access.operators.items() if operator.deploys]
        give_signing_keys(self._folder, done.registry, deployers, self._now)

    def _remove(self, done: Provisioned, before: Registry) -> None:
        """Clear the folders of those that are gone, or may not come in any more."""
        there = {entry.name: entry for entry in done.registry.principals}
        for entry in before.principals:
            after = there.get(entry.name)
            if after is None or (after.role, after.subject) != (entry.role, entry.subject):
                done.removed.append(entry)
            if after is None or after.role != entry.role:
                self._clear(done, entry)
        for entry in done.registry.principals:
            if not entry.live(self._now):
                done.shut_out.append(entry.name)
                self._clear(done, entry)

    def _clear(self, done: Provisioned, entry: Entry) -> None:
        folder = self._folder.of(entry.role, entry.name)
        if folder.exists() and not self._folder.clear(folder):
            done.left.append(str(folder))

    def _warnings(self, done: Provisioned) -> tuple[str, ...]:
        return access_warnings(self._folder, done.registry, self._now)


def _nats_users(registry: Registry, principals: Sequence[Principal], now: datetime) -> str:
    """NATS knows who shows a certificate by its subject."""
    kinds = {one.kind for _, _, one in registry.live(now)}
    mark = "CN=" if Kind.CERTIFICATE in kinds else ""
    users = {name: [f"{mark}{user}" for user in found] for name, found in registry.users(now).items()}
    passwords = {user: one.nats for user, _, one in registry.live(now) if one.kind is Kind.SECRET}
    return authorization(principals, users, passwords)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], read_profile(template))


def _check(wish: ProvisionWish) -> None:
    """Refuse what cannot be."""
    if not 1 <= wish.days <= AUTHORITY_DAYS:
        raise UsageError(f"{wish.days} days are none, or longer than the authority holds", where="--days", remedy="from 1 to 3650")
    if wish.port is not None and not 0 < wish.port <= PORT_LAST - CLUSTER:
        raise UsageError(f"port {wish.port} is none, or leaves no room for three more", where="--port")
    if wish.tls not in (None, *TLS_VERSIONS):
        raise UsageError(f"there is no TLS {str(wish.tls)[:20]!r} here", where="--tls", remedy=" or ".join(TLS_VERSIONS))
    if wish.broker not in (None, *BROKERS):
        raise UsageError(f"no addresses are written for {str(wish.broker)[:40]!r}", where="--broker", remedy=" or ".join(BROKERS))
    if len(wish.servers) > _SERVERS_MAX:
        raise UsageError(f"a broker has {len(wish.servers)} names, {_SERVERS_MAX} is the most", where="--server")
    for name in wish.servers:
        if SERVER_NAME.fullmatch(name) is None:
            raise UsageError(f"{name[:80]!r} is no name or address of a machine", where="--server", remedy="--server broker.local")
    both = set(wish.rotate) & set(wish.revoke)
    if both:
        what = f"{min(both)} is to be revoked and rotated"
        raise UsageError(what, where="--revoke", remedy="--rotate with --overlap 0s replaces a credential at once")


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "") or "nobody"
