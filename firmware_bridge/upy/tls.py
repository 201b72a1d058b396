"""TLS with verification, on MicroPython (mbedTLS) and CPython: the server proves its name by the authority that the board knows."""

import binascii
import ssl

from .link import Link, LinkError

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    import socket

__all__ = ["Tls", "TlsLink"]

_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError) if hasattr(ssl, "SSLWantReadError") else ()


class Tls:
    """What a board knows for TLS, from files in PEM.

    `ca` is the authority's certificate, `cert` and `key` are the board's own where it has some, `name` is what the broker's certificate has
    to be for, where that is not the host's name.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file holds nothing of the kind.
    """

    def __init__(self, ca: str, name: str | None = None, cert: str | None = None, key: str | None = None) -> None:
        self._name = name
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=_der(ca))
        if not cert or not key:
            return
        if hasattr(ssl, "OPENSSL_VERSION"):
            self._context.load_cert_chain(cert, key)
        else:  # MicroPython takes what the files hold
            self._context.load_cert_chain(_der(cert), _der(key))

    def wrap(self, plain: "socket.socket", host: str) -> "ssl.SSLSocket":
        """A socket of TLS around one that is connected to this host. Nothing is sent yet."""
        wrapped = self._context.wrap_socket(plain, server_hostname=self._name or host, do_handshake_on_connect=False)
        wrapped.setblocking(False)
        return wrapped


class TlsLink(Link):
    """A connection in TLS. The first packet that is written brings the two to greet each other."""

    def __init__(self, family: int, address: object, backlog_bytes_max: int, tls: Tls, host: str) -> None:
        self._tls = tls
        self._host = host
        self._wants_to_read = False
        super().__init__(family, address, backlog_bytes_max)

    def wait(self, wait_ms: int) -> int:
        """As `Link.wait`. What is decrypted already is there at once."""
        if self._opened and hasattr(self._socket, "pending") and self._socket.pending():
            return 2
        return super().wait(wait_ms)

    def _begin(self) -> None:
        self._poll.unregister(self._socket)
        try:
            self._socket = self._tls.wrap(self._socket, self._host)
        except (OSError, ValueError) as error:
            raise LinkError(_told(error)) from None
        finally:
            self._register()

    def _ready_to_write(self, events: int) -> bool:
        return bool(events)

    def _write(self, data: bytes | bytearray) -> int:
        try:
            sent = super()._write(data)
        except _WANTS as error:
            self._wants_to_read = "Read" in type(error).__name__
            return 0
        self._wants_to_read = False
        return sent

    def _failed(self, error: Exception) -> None:
        if isinstance(error, _WANTS):
            raise error
        raise LinkError(_told(error)) from None

    def read_into(self, buffer: memoryview) -> int:
        """As `Link.read_into`."""
        try:
            return super().read_into(buffer)
        except _WANTS:
            return 0

    def _wants_out(self) -> bool:
        return bool(self._backlog) and not self._wants_to_read


def _told(error: Exception) -> str:
    return "no TLS with the server: %s" % (str(error).strip() or type(error).__name__)


def _der(path: str) -> bytes:
    """What a file in PEM holds (RFC 7468)."""
    with open(path) as file:
        parts = file.read().split("-----")
    if len(parts) < 5 or not parts[1].startswith("BEGIN"):
        raise ValueError("%s is no PEM" % path)
    try:
        return binascii.a2b_base64(parts[2].replace("\n", "").replace("\r", ""))
    except ValueError:
        raise ValueError("%s is damaged" % path) from None
