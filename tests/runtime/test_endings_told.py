"""A host whose certificates end soon says so of itself and of its agents, as long as it is so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bus_fixtures import Bus, OnBus

from edgematrix.identity.authority import Authority
from edgematrix.runtime.endings import Endings
from edgematrix.transport.endpoint import Endpoint

MATRIX = """
matrix: home
agents:
  lux: {device: {reads: {light: {topic: zigbee/lux}}}}
"""
STATE = "em/state/home/lux"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_ends_is_told_the_day_it_comes_near_and_no_more_when_it_is_renewed(on_bus: OnBus, tmp_path: Path) -> None:
    authority, now = tmp_path / "ca.pem", [START]
    authority.write_bytes(Authority.make("home", START).pem)
    words = ["the authority's certificate ends on 2035-12-30"]

    async def test(bus: Bus) -> None:
        async with bus.ear("em/#") as ear, bus.host(MATRIX) as (host, _):
            herald = host.session.herald
            where = f"em/host/{herald._name}"
            await ear.until(lambda: bool(ear.on(STATE) and ear.on(where)))
            herald.endings = Endings(Endpoint.parse(f"mqtts://h?ca={authority}"), lambda: None, lambda: int(now[0].timestamp() * 1_000_000))
            herald.look_for_endings()
            now[0] += 3_640 * DAY
            herald.look_for_endings()
            await ear.until(lambda: all(ear.on(topic)[-1].get("warnings") == words for topic in (STATE, where)))
            told = len(ear.on(STATE))
            assert words[0] in bus.said
            herald.look_for_endings()
            authority.write_bytes(Authority.make("home", now[0]).pem)
            now[0] += DAY
            herald.look_for_endings()
            await ear.until(lambda: all("warnings" not in ear.on(topic)[-1] for topic in (STATE, where)))
            assert len(ear.on(STATE)) == told + 1
            assert bus.said.count(words[0]) == 1

    on_bus(test)
