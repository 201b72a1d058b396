"""The broker that a host starts for itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from broker_process import skip_without
from free_port import free_port
from process_life import lives

from edgematrix.errors import BrokerError
from edgematrix.protocol.message import Publication
from edgematrix.runtime import broker_program
from edgematrix.runtime.broker import BrokerEvent, EmbeddedBroker
from edgematrix.transport.connection import Backoff
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

KINDS = pytest.mark.parametrize("kind", ["mosquitto", "nats"])
PATIENCE_S = 60.0


class Ears:
    """A link that only waits for things."""

    def __init__(self) -> None:
        self.connections = 0
        self.payloads: list[bytes] = []
        self.changed = asyncio.Event()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        self.payloads.append(payload)
        self.changed.set()

    def connected(self, session_present: bool) -> None:
        self.connections += 1
        self.changed.set()

    def disconnected(self, reason: str) -> None: ...

    def refused(self, topic_filter: str, reason: str) -> None: ...

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...


@KINDS
def test_it_starts_carries_messages_and_stops(kind: str, tmp_path: Path) -> None:
    skip_without(kind)

    async def test() -> None:
        began = time.monotonic()
        async with EmbeddedBroker(tmp_path / "with a space", port=free_port(), kind=kind) as broker:
            assert time.monotonic() - began < PATIENCE_S
            assert broker.kind == kind
            assert broker.pid is not None
            assert broker.log_path.read_text()
            pid = broker.pid
            ears = Ears()
            transport = PahoTransport(Endpoint.parse(broker.url), Settings(client_id="one"))
            transport.subscribe({"a": 1})
            transport.publish(Publication("a", bytes(1_048_576), 1))
            running = asyncio.create_task(transport.run(ears))
            async with asyncio.timeout(PATIENCE_S):
                while not ears.payloads:
                    ears.changed.clear()
                    await ears.changed.wait()
            await transport.close()
            await running
            began = time.monotonic()
        assert time.monotonic() - began < PATIENCE_S / 4
        assert not lives(pid)
        assert broker.pid is None

    asyncio.run(test())


@KINDS
def test_what_is_retained_outlives_a_restart(kind: str, tmp_path: Path) -> None:
    skip_without(kind)

    async def hears(broker: EmbeddedBroker, name: str, patience_s: float, *publications: Publication) -> bool:
        transport, ears = PahoTransport(Endpoint.parse(broker.url), Settings(client_id=name)), Ears()
        transport.subscribe({"r": 1})
        for publication in publications:
            transport.publish(publication)
        running = asyncio.create_task(transport.run(ears))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not ears.payloads:
                    ears.changed.clear()
                    await ears.changed.wait()
        await transport.close()
        await running
        return ears.payloads[:1] == [b"kept"]

    async def test() -> None:
        port = free_port()
        async with EmbeddedBroker(tmp_path, port=port, kind=kind) as broker:
            assert await hears(broker, "one", PATIENCE_S, Publication("r", b"kept", 1, retain=True))
            # nats-server writes what is retained beside delivering it: it is there once somebody new hears it.
            for number in range(int(PATIENCE_S)):
                if await hears(broker, f"new{number}", 1.0):
                    break
            else:
                pytest.fail("nothing is retained")
        async with EmbeddedBroker(tmp_path, port=port, kind=kind) as broker:
            assert await hears(broker, "one", PATIENCE_S)

    asyncio.run(test())


@KINDS
def test_a_taken_port_is_passed_over(kind: str, tmp_path: Path) -> None:
    skip_without(kind)

    async def test() -> None:
        first = free_port()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", first))
            taken.listen()
            async with EmbeddedBroker(tmp_path / "one", port=first, kind=kind) as one:
                assert one.port > first
                async with EmbeddedBroker(tmp_path / "two", port=one.port, kind=kind) as two:
                    assert two.port > one.port

    asyncio.run(test())


@KINDS
def test_if_it_dies_it_comes_back_on_the_same_port_and_clients_with_it(kind: str, tmp_path: Path) -> None:
    skip_without(kind)

    async def test() -> None:
        events: list[BrokerEvent] = []
        restarted = asyncio.Event()

        def observe(event: BrokerEvent) -> None:
            events.append(event)
            if event.what == "restarted":
                restarted.set()

        async with EmbeddedBroker(tmp_path, port=free_port(), kind=kind, observer=observe) as broker:
            ears = Ears()
            quick = Backoff(first_s=0.02, longest_s=0.2)
            transport = PahoTransport(Endpoint.parse(broker.url), Settings(client_id="one", backoff=quick))
            running = asyncio.create_task(transport.run(ears))
            port, first_pid = broker.port, broker.pid
            assert first_pid is not None
            async with asyncio.timeout(PATIENCE_S):
                for lives in (1, 2):
                    while ears.connections < lives:
                        ears.changed.clear()
                        await ears.changed.wait()
                    if lives == 1:
                        os.kill(first_pid, signal.SIGKILL)
                await restarted.wait()  # clients may be back before its own log is read
            assert broker.port == port
            assert broker.pid not in (None, first_pid)
            await transport.close()
            await running
        assert [event.what for event in events] == ["started", "died", "restarted"]

    asyncio.run(test())


def test_it_gives_up_when_it_dies_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without("mosquitto")

    async def test() -> None:
        events: list[BrokerEvent] = []
        gave_up = asyncio.Event()

        def observe(event: BrokerEvent) -> None:
            events.append(event)
            if event.what == "gave_up":
                gave_up.set()

        async with EmbeddedBroker(tmp_path, port=free_port(), kind="mosquitto", restarts_max=2, observer=observe) as broker:
            monkeypatch.setattr(broker._node, "_executable", "/bin/false")
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                await gave_up.wait()
        assert [event.what for event in events] == ["started", "died", "died", "died", "gave_up"]

    asyncio.run(test())


def test_what_it_said_before_it_died_is_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without("mosquitto")
    monkeypatch.setattr(broker_program, "read_profile", lambda _name: "listener @port@ 127.0.0.1\nno_such_setting 1\n")

    async def test() -> None:
        with pytest.raises(BrokerError, match="no_such_setting") as caught:
            async with EmbeddedBroker(tmp_path, port=free_port(), kind="mosquitto"):
                pass
        assert caught.value.where == str(tmp_path / "mosquitto.log")

    asyncio.run(test())


def test_one_that_never_answers_is_given_up_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr("edgematrix.runtime.broker.choose", lambda _kind: (broker_program.PROGRAMS[0], str(sleeper)))

    async def test() -> None:
        with pytest.raises(BrokerError, match="did not listen"):
            async with EmbeddedBroker(tmp_path / "data", port=free_port(), start_timeout_s=1.0):
                pass

    asyncio.run(test())
    pid = tmp_path / "pid"  # on a busy machine it is stopped before it has come so far
    assert not pid.exists() or not lives(int(pid.read_text() or 0))


def test_without_any_broker_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in broker_program.PROGRAMS:
        monkeypatch.setattr(type(program), "find", property(lambda _self: lambda: None))

    async def test() -> None:
        with pytest.raises(BrokerError, match=r"edgematrix\[broker\]"):
            async with EmbeddedBroker(tmp_path):
                pass

    # `find` is a slot of a frozen class, so that the class gives way to a property for this test only.
    asyncio.run(test())


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    skip_without("mosquitto")
    (tmp_path / "file").write_text("")

    async def test() -> None:
        with pytest.raises(BrokerError, match="cannot be started"):
            async with EmbeddedBroker(tmp_path / "file" / "data"):
                pass

    asyncio.run(test())


_PARENT = """
import asyncio, sys
from pathlib import Path
from edgematrix.runtime.broker import EmbeddedBroker

async def main():
    async with EmbeddedBroker(Path(sys.argv[1]), port=int(sys.argv[2]), kind=sys.argv[3]) as broker:
        print(broker.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent was killed")
@KINDS
def test_it_does_not_outlive_a_parent_that_is_killed(kind: str, tmp_path: Path) -> None:
    skip_without(kind)
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path), str(free_port()), kind], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert lives(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    give_up_at = time.monotonic() + PATIENCE_S
    while lives(pid):
        assert time.monotonic() < give_up_at, "the broker outlived its parent"
        time.sleep(0.01)
