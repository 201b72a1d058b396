"""Where a broker is and how to reach it: `mqtt://user:password@host:1883`, `mqtts://host?ca=/etc/ssl/broker.pem`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from edgematrix.errors import UsageError

__all__ = ["Endpoint"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FILES = ("ca", "cert", "key")
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address with what proves who we are. The password is in neither `repr` nor `str`.

    `ca`, `cert` and `key` are paths of PEM files: what the broker's certificate is checked against (None: what the system
    trusts), and the certificate with which this client proves itself.
    """

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read an address.

        Raises:
            UsageError: the scheme is unknown, the host is missing, the port is no port, or there is something that has no
                meaning here. The message never holds the password.
        """
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
        files = _files(parts)
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
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS needs; None without TLS.

        Raises:
            UsageError: a file is missing, cannot be read, or holds no certificate or key.
        """
        if not self.tls:
            return None
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


_FORM = "write mqtt://[user[:password]@]host[:port], or mqtts:// with ?ca=FILE&cert=FILE&key=FILE"


def _files(parts: SplitResult) -> dict[str, str]:
    try:
        given = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise UsageError("what follows ? in the broker's address cannot be read", remedy=_FORM) from None
    for name, values in given.items():
        if name not in _FILES:
            raise UsageError(f"the broker's address has the unknown setting {name[:40]!r}", remedy=_FORM)
        if len(values) != 1 or not values[0]:
            raise UsageError(f"the broker's address gives {name} no file, or several", remedy=_FORM)
    return {name: values[0] for name, values in given.items()}
