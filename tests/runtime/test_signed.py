"""Messages over a broker that is not trusted: who has it may stop them, and do nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from bus_fixtures import Bus, Ear, OnBus
from failover_hosts import until
from hostile import Hostile, Said, make_keys, resigned

from edgematrix.errors import RunError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.signature import Stamp, detach
from edgematrix.runtime.host import Host
from edgematrix.runtime.observation import Observation, Published
from edgematrix.runtime.redelivery import plan
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport

MATRIX = """
matrix: home
sign: true
access: {hosts: [a, b, eve]}
agents:
  sender:
    host: a
    outputs: {out: any}
    triggers:
      go: {mode: parallel, on: {v: {topic: t/go}}, do: [{emit: {out: "${v.value}"}}, {send: {to: lamp.set, payload: "${v.value}"}}]}
  lamp:
    host: b
    inputs: {set: any}
    triggers:
      heard: {mode: parallel, on: {v: {from: sender.out}}, do: [{publish: {topic: t/heard, payload: "${v.value}"}}]}
      set: {mode: parallel, on: {v: {from: self.set}}, do: [{publish: {topic: t/set, payload: "${v.value}"}}]}
"""
HOSTS = {AgentPath("home/sender"): "a", AgentPath("home/lamp"): "b"}
OUT, SET = "em/out/home/sender/out", "em/in/home/lamp/set"


class RawEar:
    """What an ear heard, as bytes."""

    def __init__(self, ear: Ear) -> None:
        self.said: list[Said] = []
        decoded = ear.received

        def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
            if topic in (OUT, SET):
                self.said.append((topic, payload))
            try:
                decoded(topic, payload, qos, retained)
            except UnicodeDecodeError:
                decoded(topic, b"null", qos, retained)

        ear.received = received  # type: ignore[method-assign]


def refused(host: Host) -> Counter[str]:
    assert host.gate is not None
    return host.gate.refused


async def numbers(ear: Ear, first: int, count: int) -> None:
    for number in range(first, first + count):
        ear.say("t/go", number)
    await ear.until(lambda: len(ear.on("t/heard")) == len(ear.on("t/set")) == first + count)


async def attack(bus: Bus, count: int, seed: int) -> None:
    keys = make_keys(bus.folder / "keys", ("a", "b", "eve"))
    async with bus.ear() as ear, bus.host(MATRIX, name="a", hosts=HOSTS, store=True):
        raw = RawEar(ear)
        async with bus.host(MATRIX, name="b", hosts=HOSTS, store=True) as (b, _):
            await numbers(ear, 0, 20)
            hostile = Hostile(raw.said[:40], [OUT, SET], keys["eve"], seed)
            for number, (topic, payload) in enumerate(hostile.messages(count)):
                ear.say(topic, payload, retain=False)
                if number % 200 == 199:
                    await ear.until(lambda number=number: refused(b).total() >= number - 100)
            await numbers(ear, 20, 5)
            assert refused(b).total() == count
            assert {"unsigned", "altered", "foreign", "replayed"} == set(refused(b))
            assert len(b.engine.letters) == b.engine.limits.unsigned_letters_max
        async with bus.host(MATRIX, name="b", hosts=HOSTS, store=True) as (b, _):
            for topic, payload in raw.said[:40]:
                ear.say(topic, payload)
            await numbers(ear, 25, 5)
            assert refused(b) == {"replayed": 40}
        assert ear.on("t/heard") == ear.on("t/set") == list(range(30))


def test_ten_thousand_hostile_messages_lead_to_nothing_and_all_others_arrive(on_bus: OnBus) -> None:
    on_bus(lambda bus: attack(bus, 10_000, 2))


async def late_and_in_the_name_of_others(bus: Bus) -> None:
    """Of one who is known, what is late, for another topic, or in another's name is refused too."""
    keys = make_keys(bus.folder / "keys", ("a", "b", "eve"))
    async with bus.ear() as ear, bus.host(MATRIX, name="a", hosts=HOSTS), bus.host(MATRIX, name="b", hosts=HOSTS) as (b, _):
        raw = RawEar(ear)
        await numbers(ear, 0, 1)
        payload = next(payload for topic, payload in raw.said if topic == SET)
        stamp = detach(payload)[1].stamp
        late = Stamp(stamp.algorithm, stamp.key_id, stamp.epoch, stamp.sequence + 1, 1)
        ear.say(SET, resigned(payload, SET, keys["a"], stamp=late))
        await ear.until(lambda: refused(b)["expired"] == 1)
        newer = Stamp(stamp.algorithm, stamp.key_id, stamp.epoch - 1, 1, 0)
        for source in (b"/home/lamp", b"/home/nobody"):
            forged = payload.replace(b"/home/sender", source)
            ear.say(SET, resigned(forged, SET, keys["a"], stamp=newer))
            newer = Stamp(stamp.algorithm, stamp.key_id, newer.epoch, newer.sequence + 1, 0)
        await ear.until(lambda: refused(b)["foreign"] == 2)
        reasons = [letter.reason for letter in b.engine.letters.of("home")]
        assert "it is signed by a, who may not speak for /home/lamp" in reasons[1]
        assert "its signature by a ended" in reasons[2]
        await numbers(ear, 1, 1)


def test_of_what_is_signed_the_end_and_the_source_count(on_bus: OnBus) -> None:
    on_bus(late_and_in_the_name_of_others)


CALLS = """
matrix: home
sign: true
agents:
  work:
    host: a
    triggers: {go: {mode: parallel, max: 500, on: {in: {topic: t/go}}}}
    flow: {edges: [in -> far, far -> last]}
    delivery: %s
    agents:
      far: {host: b, python: "code:work"}
      last: {python: "code:both"}
  told:
    host: b
    delivery: %s
    triggers:
      out: {mode: parallel, max: 500, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}", qos: 1}}]}
      error: {mode: parallel, on: {r: {from: work.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
CODE = """
async def work(value: object, context) -> object:
    if value == "fail":
        raise ValueError("no way")
    return {"got": value}

async def both(value: object, context) -> object:
    return value
"""
CALL_HOSTS = {AgentPath(f"home/{path}"): host for path, host in {"work": "a", "work/far": "b", "work/last": "a", "told": "b"}.items()}


@pytest.mark.parametrize("delivery", ["best_effort", "durable"])
def test_calls_and_durable_events_of_signed_hosts_arrive_each_once(on_bus: OnBus, delivery: str) -> None:
    async def test(bus: Bus) -> None:
        make_keys(bus.folder / "keys", ("a", "b"))
        (bus.folder / "code.py").write_text(CODE)
        matrix = CALLS % (delivery, delivery)
        async with (
            bus.ear() as ear,
            bus.host(matrix, name="a", hosts=CALL_HOSTS, store=True) as (a, _),
            bus.host(matrix, name="b", hosts=CALL_HOSTS, store=True) as (b, _),
        ):
            for number in range(100):
                ear.say("t/go", number)
            ear.say("t/go", "fail")
            await ear.until(lambda: len(ear.on("t/out")) == 100 and bool(ear.on("t/error")))
            assert sorted(said["got"] for said in ear.on("t/out")) == list(range(100))
            assert ear.on("t/error") == ["ValueError: no way"]
            signed = [said for topic, said, _ in ear.heard if topic.startswith(("em/in/", "em/out/", "em/ack/"))]
            assert all("signature" in said for said in signed)
            for number, (topic, said, _) in enumerate(list(ear.heard)):
                if topic.startswith(("em/in/", "em/out/", "em/ack/")) and number % 3 == 0:
                    ear.say(topic, json.dumps(said, separators=(",", ":")).encode())
            ear.say("t/go", "last")
            await ear.until(lambda: {"got": "last"} in ear.on("t/out"))
            assert len(ear.on("t/out")) == 101
            assert refused(a)["replayed"] > 0
            assert refused(b)["replayed"] > 0
            assert not any(host.engine.calls.open for host in (a, b))

    on_bus(test)


def test_orders_that_nobody_is_known_to_have_given_are_refused(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        keys = make_keys(bus.folder / "keys", ("a", "b", "eve", "anna"))
        matrix = MATRIX.replace("hosts: [a, b, eve]", "hosts: [a, b, eve], operators: [anna]")
        async with bus.ear() as ear, bus.host(matrix, name="a", hosts=HOSTS), bus.host(matrix, name="b", hosts=HOSTS) as (b, _):
            order = {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.op.pause", "data": {"session": "s"}}
            plain = json.dumps(order, separators=(",", ":")).encode()
            topic = "em/op/anna/pause/home/lamp"
            stamp = Stamp("ed25519", keys["anna"].key_id, 1, 1, 0)
            token = plain[:-1] + b',"signature":"ed25519.%s.1.1.0.%s"}' % (stamp.key_id.encode(), b"A" * 86)
            for payload in (
                plain,
                resigned(token, topic, keys["eve"], stamp=stamp),
                resigned(token, "em/op/anna/pause/home", keys["anna"]),
            ):
                ear.say(topic, payload)
            ear.say("em/ctl/home/lamp/pause", plain)
            await ear.until(lambda: refused(b).total() == 4)
            await numbers(ear, 0, 1)
            ear.say(topic, resigned(token, topic, keys["anna"], stamp=stamp))
            await ear.until(lambda: any(state["status"] == "paused" for state in ear.on("em/state/home/lamp")))
            assert refused(b).total() == 4

    on_bus(test)


def test_a_letter_that_is_not_signed_is_shown_and_not_handed_in(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        make_keys(bus.folder / "keys", ("a", "b"))
        async with bus.ear() as ear, bus.host(MATRIX, name="b", hosts=HOSTS) as (b, _):
            ear.say(SET, {"specversion": "1.0", "id": "1", "source": "/home/sender", "type": "em.in.set", "data": 7})
            await ear.until(lambda: refused(b)["unsigned"] == 1)
            (letter,) = b.engine.letters.of("home")
            with pytest.raises(RunError, match="it is not signed as it has to be"):
                plan(b.engine, letter)
            assert letter.payload()["data"] == 7
            await ear.until(lambda: bool(ear.on("em/dead/home")))
            assert ear.on("em/dead/home")[0]["data"]["reason"] == "unsigned: it is not signed"

    on_bus(test)


# A receiver that is killed


def test_a_receiver_that_is_killed_remembers_what_was_here(own_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = own_broker("mosquitto")
    broker.start()
    make_keys(tmp_path / "keys", ("a", "b", "eve"))
    (tmp_path / "home.yaml").write_text(MATRIX)
    programs: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str) -> None:
        arguments = [tmp_path / "home.yaml", tmp_path / "keys" / name, name, broker.url, tmp_path / f"state-{name}"]
        programs[name] = subprocess.Popen([sys.executable, Path(__file__).parent / "signed_program.py", *map(str, arguments)])

    async def ready(ear: Ear, name: str, lives: int) -> None:
        def sessions() -> set[str]:
            return {said["session"] for said in ear.on(f"em/host/{name}") if said["status"] == "online"}

        await ear.until(lambda: len(sessions()) == lives)

    async def test() -> None:
        endpoint = Endpoint.parse(broker.url)
        bus = Bus(lambda settings: PahoTransport(endpoint, settings), tmp_path)
        async with bus.ear() as ear:
            raw = RawEar(ear)
            start("a")
            start("b")
            await ready(ear, "a", 1)
            await ready(ear, "b", 1)
            for life in range(1, 4):
                had = len(ear.on("t/set"))
                for number in range(had, had + 50):
                    ear.say("t/go", number)
                # What has had an effect is remembered: killed right after the last effect is seen.
                await ear.until(lambda had=had: len(ear.on("t/set")) >= had + 50 and len(ear.on("t/heard")) >= had + 50)
                programs["b"].kill()
                programs["b"].wait()
                start("b")
                await ready(ear, "b", life + 1)
                for topic, payload in list(raw.said[: 100 * life]):
                    ear.say(topic, payload)
            for number in range(150, 160):
                ear.say("t/go", number)
            await ear.until(lambda: 159 in ear.on("t/set") and 159 in ear.on("t/heard"))
            assert ear.on("t/set") == ear.on("t/heard") == list(range(160))

    try:
        asyncio.run(test())
    finally:
        for program in programs.values():
            program.kill()
            program.wait()


DURABLE = """
matrix: home
sign: true
defaults: {delivery: durable}
agents:
  sender:
    host: a
    outputs: {out: any}
    triggers: {go: {mode: parallel, max: 1000, rate_max: none, on: {v: {topic: t/go}}, do: [{emit: {out: "${v.value}"}}]}}
  lamp:
    host: b
    triggers: {t: {mode: parallel, max: 1000, on: {v: {from: sender.out}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}
"""


def test_durable_events_are_worked_on_once_though_the_broker_is_killed_and_repeats_them(
    own_broker: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    broker = own_broker("mosquitto")
    broker.start()
    make_keys(tmp_path / "keys", ("a", "b"))
    count = 300

    async def test() -> None:
        bus = Bus(lambda settings: PahoTransport(Endpoint.parse(broker.url), settings), tmp_path)

        def effects(seen: list[Observation]) -> list[object]:
            return [one.value for one in seen if type(one) is Published and one.topic in ("t/out", OUT)]

        async with bus.ear() as ear, bus.host(DURABLE, name="a", hosts=HOSTS, store=True) as (_, of_a):
            raw = RawEar(ear)
            for number in range(count):
                ear.say("t/go", number)
            await until(lambda: len(effects(of_a)) == count)
            async with bus.host(DURABLE, name="b", hosts=HOSTS, store=True) as (b, of_b):
                await until(lambda: len(effects(of_b)) >= 20)
                broker.restart()
                await until(lambda: len(effects(of_b)) == count)
                said = list(raw.said)
                for topic, payload in said:
                    ear.say(topic, payload)
                ear.say("t/go", count)
                await until(lambda: count in effects(of_b))
                assert effects(of_b) == list(range(count + 1))
                # What it had heard is refused; what the kill had kept from it is late, and its edge tells that it was sent again.
                assert b.gate is not None
                assert b.gate.repeated_count + refused(b)["replayed"] > 0

    asyncio.run(test())
