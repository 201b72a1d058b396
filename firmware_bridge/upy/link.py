"""A TCP connection that never blocks, on MicroPython and CPython (looking up a name is the one thing that may)."""

import errno
import select
import socket

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Link", "LinkError", "addresses", "link_maker"]

_ADDRESSES_MAX = 4
_WAIT = (errno.EAGAIN, errno.EINPROGRESS)
_IPPROTO_TCP = 6
_TCP_NODELAY = 1


class LinkError(Exception):
    """The connection is gone, or never came about."""


def addresses(host: str, port: int) -> list:  # type: ignore[type-arg]  # an address is a tuple here and bytes on MicroPython
    """What the name stands for: at most four (family, address).

    Raises:
        LinkError: the name is not known.
    """
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise LinkError("the name %s is not known: %s" % (host, error)) from None
    return [(entry[0], entry[-1]) for entry in found[:_ADDRESSES_MAX]]


class Link:
    """One connection. `send` makes one write; what the kernel does not take waits, up to `backlog_bytes_max`."""

    def __init__(self, family: int, address: object, backlog_bytes_max: int) -> None:
        self._backlog = b""
        self._backlog_bytes_max = backlog_bytes_max
        self._opened = False
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._poll = select.poll()
        try:
            self._socket.setblocking(False)
            self._no_delay()
            self._socket.connect(address)  # type: ignore[arg-type]
        except OSError as error:
            if error.args[0] not in _WAIT:
                self._socket.close()
                raise LinkError(str(error)) from None
        self._register()

    def wait(self, wait_ms: int) -> int:
        """Wait until there is something to do: 0 nothing, 1 opened, 2 something to read.

        Raises:
            LinkError: the server refused the connection, or the connection broke.
        """
        ready = self._poll.poll(max(0, wait_ms))
        if not ready:
            return 0
        events = ready[0][1]
        if not self._opened:
            if events & (select.POLLERR | select.POLLHUP):
                raise LinkError("the server does not take the connection")
            self._begin()
            self._opened = True
            self._watch()
            return 1
        if self._backlog and self._ready_to_write(events):
            self._flush()
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return 2
        return 0

    def read_into(self, buffer: memoryview) -> int:
        """Read what is there; 0 if nothing is.

        Raises:
            LinkError: the server closed, or the connection broke.
        """
        try:
            count = _read_into(self._socket, buffer)
        except (OSError, ValueError) as error:
            if error.args[0] in _WAIT:
                return 0
            self._failed(error)
            return 0
        if count == 0:
            raise LinkError("the server closed the connection")
        return count or 0

    def send(self, packet: bytes | bytearray) -> bool:
        """Write a packet at once; False if too much waits already, and then nothing of it was written.

        Raises:
            LinkError: the connection broke.
        """
        if self._backlog:
            if len(self._backlog) + len(packet) > self._backlog_bytes_max:
                return False
            self._backlog += packet
            return True
        sent = self._write(packet)
        if sent < len(packet):
            self._backlog = bytes(packet[sent:])
            self._watch()
        return True

    @property
    def idle(self) -> bool:
        """Whether everything has gone to the kernel."""
        return not self._backlog

    def close(self) -> None:
        """Give the socket back."""
        self._poll.unregister(self._socket)
        self._socket.close()

    def _flush(self) -> None:
        self._backlog = self._backlog[self._write(self._backlog) :]
        self._watch()

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data) or 0
        except (OSError, ValueError) as error:
            if error.args[0] in _WAIT:
                return 0
            self._failed(error)
            return 0

    def _begin(self) -> None:
        """The other side has taken the connection."""

    def _failed(self, error: Exception) -> None:
        """The connection broke."""
        raise LinkError(str(error)) from None

    def _ready_to_write(self, events: int) -> bool:
        return bool(events & select.POLLOUT)

    def _wants_out(self) -> bool:
        return bool(self._backlog)

    def _register(self) -> None:
        self._poll.register(self._socket, select.POLLIN | select.POLLOUT)

    def _watch(self) -> None:
        self._poll.modify(self._socket, select.POLLIN | select.POLLOUT if self._wants_out() else select.POLLIN)

    def _no_delay(self) -> None:
        """Without this a QoS 1 round trip can wait for a delayed TCP acknowledgement. A stack without it is fine too."""
        try:
            self._socket.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass


def link_maker(tls: dict[str, str] | None, backlog_bytes_max: int) -> "Callable[[int, object, str], Link]":
    """What opens connections, by family, address and the host's name; a board without TLS loads nothing of it.

    Raises:
        KeyError, OSError, ValueError: as `tls.Tls`, or `tls` has another key.
    """
    if tls is None:
        return lambda family, address, host: Link(family, address, backlog_bytes_max)  # noqa: ARG005 - TLS alone asks for it
    from .tls import Tls, TlsLink  # noqa: PLC0415 - it needs memory

    known = dict(tls)
    secured = Tls(known.pop("ca"), known.pop("name", None), known.pop("cert", None), known.pop("key", None))
    if known:
        raise ValueError("tls has no %s; it has ca, name, cert and key" % min(known))
    return lambda family, address, host: TlsLink(family, address, backlog_bytes_max, secured, host)


def _read_into(source: socket.socket, buffer: memoryview) -> int | None:
    if hasattr(source, "recv_into"):
        return source.recv_into(buffer)
    return source.readinto(buffer)  # type: ignore[attr-defined,no-any-return]  # MicroPython's word for it
