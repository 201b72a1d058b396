"""A host on a bus: birth and death, commands from outside, what is malformed, and what outlives it. On memory and on a real broker."""

from bus_fixtures import Bus, OnBus

from edgematrix.runtime.observation import DeadLettered

HOUSE = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set, range: {brightness: [0, 100]}}}}}
  rule:
    triggers:
      hot:
        on: {t: {topic: t/temp, value: celsius, above: 25}}
        do: [{publish: {topic: t/out, payload: "${t.value}"}}, {emit: {out: "${t.value}"}}]
      heard: {on: {r: {from: self.ask}}, do: [{emit: {answer: "${r.value}"}}]}
    inputs: {ask: any}
  ear: {triggers: {t: {on: {r: {from: rule}}, do: [{publish: {topic: t/ear, payload: "${r.value}"}}]}}}
"""


def test_a_sensor_message_leads_to_an_action_and_local_agents_hear_one_another(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            for celsius in (20, 26, 27, 20, 30):
                ear.say("t/temp", {"celsius": celsius})
            await ear.until(lambda: len(ear.on("t/ear")) == 2)
            assert ear.on("t/out") == [26, 30]
            assert ear.on("t/ear") == [26, 30]
            first, second = ear.on("em/out/home/rule/out")
            assert (first["data"], second["data"]) == (26, 30)
            assert first["source"] == "/home/rule"
            assert first["type"] == "em.out.out"
            assert first["id"] < second["id"]

    on_bus(test)


def test_a_host_is_born_and_says_farewell(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.host(HOUSE) as (host, _), bus.ear("em/#") as ear:  # the ear comes later: what it hears was retained
            await ear.until(lambda: len(ear.on("em/state/home/ear")) == 1)
            assert ear.on("em/host/pi")[0]["status"] == "online"
            await ear.until(lambda: {topic.rpartition("/")[2] for topic, _, _ in ear.heard} >= {"ear", "lamp", "rule", "pi"})
            state = ear.on("em/state/home/rule")[0]
            assert (state["status"], state["host"], state["session"]) == ("ready", "pi", host.session.id)
        async with bus.ear("em/host/+") as ear:
            await ear.until(lambda: len(ear.on("em/host/pi")) == 1)
            assert ear.on("em/host/pi")[0]["status"] == "offline"

    on_bus(test)


def test_commands_come_in_by_path_and_the_devices_agent_checks_them(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            ear.say("em/in/home/lamp/set", {"brightness": 50})
            ear.say("em/in/home/lamp/set", {"brightness": 500})
            ear.say("em/in/home/nobody/set", 1)
            ear.say("em/in/home/rule/ask", 7)
            await ear.until(lambda: len(ear.on("em/out/home/rule/answer")) == 1 and len(ear.on("em/dead/home")) == 1)
            assert ear.on("z/lamp/set") == [{"brightness": 50}]
            assert "`brightness` is 500" in ear.on("em/dead/home/lamp")[0]["data"]["reason"]
            assert ear.on("em/dead/home")[0]["data"]["topic"] == "em/in/home/nobody/set"

    on_bus(test)


def test_malformed_messages_are_dead_lettered_and_harm_nothing(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE) as (_, observations):
            for payload in (
                b'{"specversion": "1.0"}',
                b'{"celsius": NaN}',
                b"[" * 100_000,
                b"\xff\xfe",
                b"",
                b'{"celsius": 30, "celsius": 10}',
                b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "hops": 99}',
                b"x" * 300_000,
            ):
                ear.say("t/temp", payload)
            ear.say("t/temp", {"celsius": 20})
            ear.say("t/temp", {"celsius": 26})
            await ear.until(lambda: ear.on("t/out") == [26])
            reasons = [letter.reason for letter in observations if isinstance(letter, DeadLettered)]
            assert len(reasons) == 4
            assert "malformed event" in reasons[0]
            assert "depth_max" in reasons[1]
            assert "hops_max" in reasons[2]
            assert "payload_bytes_max" in reasons[3]
            await ear.until(lambda: len(ear.on("em/dead/home")) == 4)

    on_bus(test)


def test_an_output_that_claims_another_source_is_dead_lettered(on_bus: OnBus) -> None:
    matrix = """
matrix: home
agents:
  spy: {triggers: {t: {on: {x: {topic: em/out/other/agent/port}}, do: [{publish: {topic: t/spied, payload: "${x.value}"}}]}}}
"""

    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(matrix):
            event = {"specversion": "1.0", "id": "1", "type": "em.out.port", "data": 1}
            ear.say("em/out/other/agent/port", event | {"source": "/somebody/else"})
            ear.say("em/out/other/agent/port", event | {"source": "/other/agent"})
            await ear.until(lambda: ear.on("t/spied") == [1] and len(ear.on("em/dead/home")) == 1)
            assert "claims /somebody/else" in ear.on("em/dead/home")[0]["data"]["reason"]

    on_bus(test)


def test_the_state_of_a_group_outlives_the_host(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear:
            async with bus.host(HOUSE, store=True):
                ear.say("t/temp", {"celsius": 30})
                await ear.until(lambda: ear.on("t/out") == [30])
            async with bus.host(HOUSE, store=True):
                ear.say("t/temp", {"celsius": 31})  # ON already: no edge
                ear.say("t/temp", {"celsius": 20})
                ear.say("t/temp", {"celsius": 32})
                await ear.until(lambda: ear.on("t/out") == [30, 32])

    on_bus(test)


def test_matrices_of_other_names_and_roots_do_not_meet(on_bus: OnBus) -> None:
    other_root = "root: site/em\n" + HOUSE
    other_name = HOUSE.replace("matrix: home", "matrix: shed")

    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE, name="a"), bus.host(other_name, name="b"), bus.host(other_root, name="c"):
            ear.say("em/in/shed/rule/ask", "shed")
            ear.say("site/em/in/home/rule/ask", "site")
            await ear.until(lambda: len(ear.on("em/out/shed/rule/answer")) == len(ear.on("site/em/out/home/rule/answer")) == 1)
            assert ear.on("em/out/home/rule/answer") == []
            assert [topic for topic, _, _ in ear.heard if "/dead/" in topic] == []

    on_bus(test)
