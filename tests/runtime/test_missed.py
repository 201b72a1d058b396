"""What a host could not hear while the broker was away, its agents say when it is back."""

from __future__ import annotations

from bus_fixtures import Bus, OnBus

from edgematrix.protocol.moment import parse_moment

MATRIX = """
matrix: home
agents:
  hall:
    agents:
      lux: {device: {reads: {light: {topic: zigbee/lux}, air: {topic: zigbee/+/air}}}}
      rule: {triggers: {dark: {on: {light: {from: lux.light, below: 30}}, do: [{emit: {out: 1}}]}}}
"""
STATE = "em/state/home/hall/"


def test_an_agent_tells_what_it_could_not_hear_and_who_hears_the_others_alone_tells_nothing(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear("em/state/#") as ear, bus.host(MATRIX) as (host, _):
            await ear.until(lambda: bool(ear.on(f"{STATE}lux") and ear.on(f"{STATE}rule")))
            assert "missed" not in ear.on(f"{STATE}lux")[-1]

            host.session._transport.sever("the test pulls the plug")

            await ear.until(lambda: "missed" in ear.on(f"{STATE}lux")[-1])
            missed = ear.on(f"{STATE}lux")[-1]["missed"]
            assert sorted(missed["sources"]) == ["zigbee/+/air", "zigbee/lux"]
            assert missed["more"] == 0
            assert parse_moment(missed["since"]) <= parse_moment(missed["until"])
            await ear.until(lambda: len(ear.on(f"{STATE}rule")) > 1)
            assert "missed" not in ear.on(f"{STATE}rule")[-1]
            assert any(said.startswith("was without a broker for ") for said in bus.said)

    on_bus(test)
