"""A thousand agents on fifty connections are back soon after their broker is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from edgematrix.config.launch import Launch, launch
from edgematrix.config.opening import open_matrix
from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from tests.broker_process import BrokerProcess

HOSTS, AGENTS_EACH = 50, 20
AGENTS = HOSTS * AGENTS_EACH
BACK_S = 5.0
WAIT_S = 60.0


def matrix_of(number: int) -> str:
    lines = [f"matrix: m{number}", "agents:"]
    lines += [
        f"  a{agent}: {{triggers: {{t: {{on: {{v: {{topic: ask/{number}/{agent}}}}}, "
        f'do: [{{publish: {{topic: answer/{number}/{agent}, payload: "${{v.value}}"}}}}]}}}}}}'
        for agent in range(AGENTS_EACH)
    ]
    return "\n".join(lines) + "\n"


class Asker:
    """Hears which agents are ready, and which have answered."""

    def __init__(self) -> None:
        self.ready: set[str] = set()
        self.answered: dict[bytes, set[str]] = {}
        self.is_online = False
        self._news = asyncio.Event()

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if topic.startswith("answer/"):
            self.answered.setdefault(payload, set()).add(topic)
        elif b'"ready"' in payload:
            self.ready.add(topic)
        self._news.set()

    def connected(self, session_present: bool) -> None:
        self.is_online = True
        self._news.set()

    def disconnected(self, reason: str) -> None:
        self.is_online = False

    def refused(self, topic_filter: str, reason: str) -> None: ...

    def dropped(self, topic: str, reason: str) -> None: ...

    def confirmed(self, number: int) -> None: ...

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not holds():
                self._news.clear()
                await self._news.wait()


def test_a_thousand_agents_are_back_within_five_seconds(own_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = own_broker("mosquitto")  # it forgets: a state that is heard afterwards was told afterwards
    broker.start()

    async def test() -> float:
        asker = Asker()
        transport = PahoTransport(Endpoint.parse(broker.url), Settings(client_id="asker"))
        transport.subscribe({"em/state/#": 1, "answer/#": 1})

        async def all_answer(word: bytes) -> None:
            await asker.until(lambda: asker.is_online)
            while len(asker.answered.get(word, ())) < AGENTS:
                missing = [f"{host}/{agent}" for host in range(HOSTS) for agent in range(AGENTS_EACH)]
                had = asker.answered.get(word, set())
                for name in missing:
                    if f"answer/{name}" not in had:
                        transport.publish(Publication(f"ask/{name}", word, 1))
                count = len(had)
                try:
                    async with asyncio.timeout(0.5):
                        await asker.until(lambda count=count: len(asker.answered.get(word, ())) == AGENTS)
                except TimeoutError:
                    continue

        async def outage(word: bytes) -> float:
            """How long it takes until all work again, from when the broker is back."""
            asker.ready.clear()
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(2)  # long enough for connections to have been tried again, each at its own pace
            await asyncio.to_thread(broker.start)
            began_s = time.monotonic()
            await all_answer(word)
            await asker.until(lambda: len(asker.ready) == AGENTS)
            return time.monotonic() - began_s

        async with AsyncExitStack() as stack:
            running = [asyncio.create_task(transport.run(asker))]
            hosts = []
            for number in range(HOSTS):
                file = tmp_path / f"m{number}.yaml"
                file.write_text(matrix_of(number))
                how = Launch(name=f"h{number}", folder=tmp_path / f"s{number}", url=broker.url)
                launched = await stack.enter_async_context(launch(open_matrix(file), how))
                hosts.append(launched.host)
                running.append(asyncio.create_task(launched.host.run()))
            await all_answer(b"1")
            took_s = await outage(b"2")
            for word in (b"3", b"4"):
                if took_s >= BACK_S:  # a busy machine may be late now and then, not each time
                    took_s = await outage(word)
            for host in hosts:
                host.stop()
            await transport.close()
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(*running)
            return took_s

    took_s = asyncio.run(test())
    print(f"{AGENTS} agents on {HOSTS} connections were back after {took_s:.2f} s")
    assert took_s < BACK_S
