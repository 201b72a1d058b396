"""Where a broker is and how to reach it: `mqtt://user:password@host:1883`, `mqtts://host?ca=/etc/ssl/broker.pem`.

A cluster has several addresses, with commas between them: `mqtt://user:password@one:1883,two:1883,three:1883`. `@FILE` is the address
that stands in a file.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from edgematrix.errors import UsageError
from edgematrix.transport.address_file import MARK, check_owner_only, read_address
from edgematrix.transport.settings import check_client_id

__all__ = ["Endpoint"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FILES = ("ca", "cert", "key")
_CLIENT_ID = "client_id"
_ADDRESSES_MAX = 16


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address with what proves who we are. The password is in neither `repr` nor `str`.

    `ca`, `cert` and `key` are paths of PEM files: what the broker's certificate is checked against (None: what the system
    trusts), and the certificate with which this client proves itself.

    `client_id` is the one that the broker expects; None leaves it to whoever connects.

    `others` are hosts and ports of the same cluster, to be tried in this order after the first, with the same proofs.
    """

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    client_id: str | None = None
    others: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read an address, or several of one cluster, or what stands in the file that `@FILE` names.

        Raises:
            UsageError: the scheme is unknown, a host is missing or stands there twice, a port is no port, there are more than
                16 addresses, or there is something that has no meaning here; the file is missing, or others than its owner may
                read it. The message never holds the password.
        """
        if url.startswith(MARK):
            try:
                return cls.parse(read_address(url))
            except UsageError as error:
                raise UsageError(error.what, where=error.where or url[1:], remedy=error.remedy) from None
        scheme, mark, rest = url.partition("://")
        place = re.split(r"[/?#]", rest, maxsplit=1)[0]
        user, at, hosts = place.rpartition("@")
        if "," not in hosts:
            return cls._parse_one(url)
        found = [cls._parse_one(f"{scheme}{mark}{user}{at}{host}{rest[len(place) :]}") for host in hosts.split(",")]
        if len(found) > _ADDRESSES_MAX:
            raise UsageError(f"the broker has {len(found)} addresses, {_ADDRESSES_MAX} is the most")
        places = [(one.host, one.port) for one in found]
        twice = next((one for number, one in enumerate(found) if places[number] in places[:number]), None)
        if twice is not None:
            raise UsageError(f"the broker's address {twice} stands there twice")
        return replace(found[0], others=tuple(places[1:]))

    @classmethod
    def _parse_one(cls, url: str) -> Endpoint:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("the broker's address is no URL: its host or port is not valid", remedy=_FORM) from None
        if parts.scheme not in _PORTS:
            raise UsageError(f"the broker's address has the scheme {parts.scheme[:20]!r}, not mqtt or mqtts", remedy=_FORM)
        if not parts.hostname:
            raise UsageError("the broker's address names no host", remedy=_FORM)
        if parts.path not in ("", "/") or parts.fragment:
            raise UsageError("the broker's address has a path or a fragment, which has no meaning here", remedy=_FORM)
        if port == 0:
            raise UsageError("the broker's port is 0, it has to be from 1 to 65535", remedy=_FORM)
        tls = parts.scheme == "mqtts"
        given = _given(parts)
        files = {name: value for name, value in given.items() if name in _FILES}
        if files and not tls:
            raise UsageError("certificates are given, but the scheme is mqtt, not mqtts", remedy=_FORM)
        if "key" in files and "cert" not in files:
            raise UsageError("a key is given without a certificate (cert=)", remedy=_FORM)
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            tls=tls,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            ca=files.get("ca"),
            cert=files.get("cert"),
            key=files.get("key"),
            client_id=None if "client_id" not in given else check_client_id(given["client_id"]),
        )

    def __str__(self) -> str:
        places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.places)
        return f"{'mqtts' if self.tls else 'mqtt'}://{places}"

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Every host with its port, in the order in which they are tried."""
        return ((self.host, self.port), *self.others)

    @property
    def has_identity(self) -> bool:
        """Whether it says who comes."""
        return self.username is not None or self.cert is not None

    def at(self, number: int) -> Endpoint:
        """The address with this number alone; after the last comes the first again."""
        host, port = self.places[number % len(self.places)]
        return replace(self, host=host, port=port, others=())

    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS needs; None without TLS.

        Raises:
            UsageError: a file is missing, cannot be read, or holds no certificate or key; others than its owner may read the key.
        """
        if not self.tls:
            return None
        if self.cert is not None:
            check_owner_only(Path(self.key or self.cert))
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise UsageError(f"the authority's certificate cannot be used: {error}", where=self.ca or str(self)) from error
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except OSError as error:
                raise UsageError(f"the client's certificate or key cannot be used: {error}", where=self.cert) from error
        return context


_FORM = "write mqtt://[user[:password]@]host[:port][,host[:port]…], or mqtts:// with ?ca=FILE&cert=FILE&key=FILE, or @FILE that holds it"


def _given(parts: SplitResult) -> dict[str, str]:
    try:
        given = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise UsageError("what follows ? in the broker's address cannot be read", remedy=_FORM) from None
    for name, values in given.items():
        if name not in (*_FILES, _CLIENT_ID):
            raise UsageError(f"the broker's address has the unknown setting {name[:40]!r}", remedy=_FORM)
        if len(values) != 1 or not values[0]:
            raise UsageError(f"the broker's address gives {name} no value, or several", remedy=_FORM)
    return {name: values[0] for name, values in given.items()}
