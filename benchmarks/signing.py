"""What signed messages cost: signing and checking one, and a host that takes them, against the same without signatures.

`python -m benchmarks signing [--count N] [--rounds R]`. Each figure is the median of the rounds, and stands beside a floor of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edgematrix.access.replay import ReplayMemory
from edgematrix.config.build import build
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.config.signing import Signing
from edgematrix.config.surroundings import Surroundings
from edgematrix.identity.signing_keys import KeyRing, SigningKey, write_keys
from edgematrix.protocol.codec import decode, encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.signature import detach, signed_bytes
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.sealed import Seal
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.runtime.workshop import Workshop
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.settings import Settings

_ALONE = 200
"""Messages that come one at a time."""
_TURN = 100
"""Messages between two turns of the event loop, as a transport hands them on."""
TOPIC = "em/out/home/sender/out"
MATRIX = """
matrix: home
sign: {signed}
agents:
  sender: {{host: a, outputs: {{out: number}}, triggers: {{t: {{on: {{v: {{topic: t/never}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}
  lamp:
    host: b
    triggers: {{t: {{rate_max: none, on: {{v: {{from: sender.out}}}}, do: [{{publish: {{topic: t/set, payload: "${{v.value}}"}}}}]}}}}
"""


def event(number: int) -> bytes:
    """An event as a host puts it out."""
    told = Event(specversion="1.0", id=f"{number:032x}", source="/home/sender", type="em.out.out", time="2026-01-01T00:00:00Z", data=number)
    return encode_event(told)


def timed_us(work: Callable[[], object], count: int) -> float:
    """Microseconds that one takes."""
    begun = time.perf_counter_ns()
    for _ in range(count):
        work()
    return (time.perf_counter_ns() - begun) / count / 1_000


def steps(count: int) -> dict[str, float]:
    """Each step of a signed message alone, in microseconds."""
    key, payload = SigningKey.make(), event(7)
    ring, memory = KeyRing({"a": [key.public]}), ReplayMemory(lambda: None)
    seal = Seal(key, lambda: time.time_ns() // 1_000, worth_s=300, epoch=1)
    whole = seal.sign(TOPIC, payload, ends=True)
    body, token = detach(whole)
    data = signed_bytes(TOPIC, token.stamp, body)
    numbers = iter(range(1, 10 * count))
    return {
        "sha256 of the payload (floor)": timed_us(lambda: hashlib.sha256(data).digest(), count),
        "decode the event": timed_us(lambda: decode(TOPIC, payload), count),
        "sign": timed_us(lambda: seal.sign(TOPIC, payload, ends=True), count),
        "cut off and verify": timed_us(
            lambda: ring.verify(token.stamp.key_id, signed_bytes(TOPIC, token.stamp, detach(whole)[0]), token.signature), count
        ),
        "look whether it was here": timed_us(lambda: memory.take("k", TOPIC, 1, next(numbers)), count),
    }


async def taken_s(folder: Path, count: int, *, is_signed: bool, alone: bool = False) -> float:
    """How long a host with a store takes for so many messages, to the last effect; `alone`: each after the effect of the one before."""
    opened, clock, new_id, bus = open_matrix(folder / "home.yaml"), SystemClock(), id_maker(), MemoryBus()
    hosts = {AgentPath("home/sender"): "a", AgentPath("home/lamp"): "b"}
    around = Surroundings(
        clock=clock,
        new_id=new_id,
        workshop=lambda limits, told: Workshop(clock, limits, told),
        loader=opened.loader,
        places=Places("b", hosts),
    )
    assembly = build(opened.spec, around)
    transport = MemoryTransport(bus, Settings(client_id="b"))
    store = SqliteStore(folder / "home.sqlite")
    keys = {name: SigningKey.make() for name in "ab"}
    keys["b"].write(folder)
    write_keys(folder, {name: [key.public] for name, key in keys.items()})
    signing = Signing(folder, transport, opened.spec, clock, "b") if is_signed else None
    host = Host(assembly, transport if signing is None else signing.transport, clock, name="b", session="s", store=store)
    if signing is not None:
        signing.guard(host)
    seal = Seal(keys["a"], clock.wall_us, worth_s=300, epoch=1)
    payloads = [event(number) if not is_signed else seal.sign(TOPIC, event(number), ends=True) for number in range(count)]
    over, seen = asyncio.Event(), 0

    def published(observation: object) -> None:
        nonlocal seen
        if type(observation).__name__ == "Published":
            seen += 1
            if alone or seen == count:
                over.set()

    assembly.engine.observers.append(published)
    running = asyncio.create_task(host.run())
    while not host.session.is_linked:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    begun = time.perf_counter()
    for number, payload in enumerate(payloads):
        host.session.received(TOPIC, payload, 0, False)
        if alone:
            await over.wait()
            over.clear()
        elif not number % _TURN:
            await asyncio.sleep(0)
    if not alone:
        await over.wait()
    took = time.perf_counter() - begun
    host.stop()
    await running
    store.close()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks signing", description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    found = [steps(wanted.count) for _ in range(wanted.rounds)]
    floor = statistics.median(one["sha256 of the payload (floor)"] for one in found)
    for name in found[0]:
        median = statistics.median(one[name] for one in found)
        print(f"{name:32} {median:8.1f} us {median / floor:7.1f} x floor")
    rates: dict[bool, list[float]] = {False: [], True: []}
    waits: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(wanted.rounds):
            for is_signed, known in rates.items():
                place = Path(folder) / f"{number}-{is_signed}"
                place.mkdir()
                (place / "home.yaml").write_text(MATRIX.format(signed=str(is_signed).lower()))
                took_s = asyncio.run(taken_s(place, wanted.count, is_signed=is_signed))
                known.append(wanted.count / took_s)
                few = min(wanted.count, _ALONE)
                place = place.with_suffix(".alone")
                place.mkdir()
                (place / "home.yaml").write_text(MATRIX.format(signed=str(is_signed).lower()))
                waits[is_signed].append(asyncio.run(taken_s(place, few, is_signed=is_signed, alone=True)) / few * 1_000)
    plain, signed = (statistics.median(rates[is_signed]) for is_signed in (False, True))
    print(f"{'a host with a store, unsigned':32} {plain:8.0f} messages/s")
    print(f"{'the same, signed':32} {signed:8.0f} messages/s {plain / signed:5.1f} x as long")
    for is_signed, name in ((False, "one at a time, unsigned"), (True, "the same, signed")):
        print(f"{name:32} {statistics.median(waits[is_signed]):8.2f} ms each")


if __name__ == "__main__":
    main()
