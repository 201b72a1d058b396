"""An asyncio protocol that knows no more of MQTT 3.1.1 than these two topics need: small QoS 0 messages."""

from __future__ import annotations

import asyncio
import sys

_CONNECT = bytes.fromhex("1013 0004 4d515454 04 02 003c 0007") + b"raw-aio"
_SUBSCRIBE = b"\x82\x13\x00\x01\x00\x0ebench/sensor/+\x00"


class Raw(asyncio.Protocol):
    """One read, one write."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello and what to hear."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.rest = b""
        transport.write(_CONNECT + _SUBSCRIBE)

    def data_received(self, data: bytes) -> None:
        """Answer each message."""
        data = self.rest + data
        out = []
        position, end = 0, len(data)
        while end - position >= 2 and position + 2 + data[position + 1] <= end:  # noqa: PLR2004 - a first byte and a length
            stop = position + 2 + data[position + 1]
            if data[position] == 0x30:  # noqa: PLR2004 - PUBLISH, QoS 0
                topic_end = position + 4 + data[position + 3]
                topic = b"bench/actuator/" + data[position + 4 : topic_end].rpartition(b"/")[2]
                payload = data[topic_end:stop]
                out.append(bytes((0x30, 2 + len(topic) + len(payload), 0, len(topic))) + topic + payload)
            position = stop
        self.rest = data[position:]
        if out:
            self.transport.write(b"".join(out))

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nothing to do without a broker."""
        sys.exit(str(exc or 0))


async def main() -> None:
    await asyncio.get_running_loop().create_connection(Raw, "127.0.0.1", int(sys.argv[1]))
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
