"""The proxy that other tests cut links with: it forwards, it swallows, it resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from blackhole import Blackhole, Mode


def through(test: Callable[[Blackhole, asyncio.Queue[bytes]], Awaitable[None]]) -> None:
    """Run a test with a proxy before a server that echoes, and notes what it was told."""

    async def main() -> None:
        told: asyncio.Queue[bytes] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(100):
                    told.put_nowait(data)
                    writer.write(data)
                told.put_nowait(b"END")
            except ConnectionResetError:
                told.put_nowait(b"RESET")
            finally:
                writer.close()

        async with asyncio.timeout(30):
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            async with server, Blackhole(server.sockets[0].getsockname()[1]) as hole:
                await test(hole, told)

    asyncio.run(main())


def test_it_forwards_both_ways_and_an_end_arrives() -> None:
    async def test(hole: Blackhole, told: asyncio.Queue[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hole.port)
        writer.write(b"hello")
        assert await reader.read(100) == b"hello"
        writer.close()
        assert [await told.get(), await told.get()] == [b"hello", b"END"]

    through(test)


def test_in_a_hole_nothing_passes_and_what_waited_comes_afterwards() -> None:
    async def test(hole: Blackhole, told: asyncio.Queue[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hole.port)
        writer.write(b"1")
        assert await reader.read(100) == b"1"
        hole.set(Mode.BLACKHOLE)
        told.get_nowait()
        writer.write(b"2")
        late_reader, late_writer = await asyncio.open_connection("127.0.0.1", hole.port)
        late_writer.write(b"3")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(100)
        assert told.empty()
        hole.set(Mode.FORWARD)
        assert await reader.read(100) == b"2"
        assert await late_reader.read(100) == b"3"
        writer.close()
        late_writer.close()

    through(test)


def test_what_was_sent_into_a_hole_on_a_connection_that_was_reset_then_never_arrives() -> None:
    async def test(hole: Blackhole, told: asyncio.Queue[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hole.port)
        writer.write(b"1")
        assert await reader.read(100) == b"1"
        hole.set(Mode.BLACKHOLE)
        writer.write(b"2")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await asyncio.sleep(0.05)  # the kernel tells the proxy of the reset
        assert [told.get_nowait(), told.empty()] == [b"1", True]  # nobody knows of it yet
        hole.set(Mode.FORWARD)
        assert await told.get() in (b"RESET", b"END")

    through(test)


def test_a_reset_is_heard_and_so_is_that_of_each_new_connection() -> None:
    async def test(hole: Blackhole, told: asyncio.Queue[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hole.port)
        writer.write(b"1")
        assert await reader.read(100) == b"1"
        hole.set(Mode.RESET)
        with pytest.raises(ConnectionResetError):
            await reader.read(100)
        assert [await told.get(), await told.get()] == [b"1", b"RESET"]
        later, _ = await asyncio.open_connection("127.0.0.1", hole.port)
        with pytest.raises(ConnectionResetError):
            await later.read(100)

    through(test)
