"""A group that time alone cannot change begins with its first message; nobody notices but the memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bus_fixtures import open_bus

from edgematrix.protocol.message import Message
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.keeper import collect, parts_by_owner
from edgematrix.runtime.observation import Observation, Published

HOUR_US = 3_600_000_000
MATRIX = """
matrix: home
agents:
  rule:
    triggers:
      hot: {on: {t: {topic: t/temp, above: 25}}, do: [{publish: {topic: t/fan, payload: "${t.time}"}}]}
      held: {on: {t: {topic: t/temp, above: 25, for: 1h}}, do: [{publish: {topic: t/long, payload: 1}}]}
"""


def with_assembly(tmp_path: Path, work: Callable[[Assembly, list[Observation]], None]) -> None:
    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus:
            host, observations = bus.make(MATRIX)
            work(host.assembly, observations)

    asyncio.run(main())


def stored(assembly: Assembly) -> set[str]:
    return set(parts_by_owner({key: data for key, data in collect(assembly.engine.touched).items() if data is not None}))


def ignore(key: str, error: Exception) -> None:
    raise AssertionError(f"{key}: {error}")


def test_an_idle_group_stores_nothing_before_its_first_message(tmp_path: Path) -> None:
    def work(assembly: Assembly, _observations: list[Observation]) -> None:
        assembly.start({}, 0, ignore)
        assert stored(assembly) == {"home/rule#held"}
        assembly.engine.receive(Message("t/temp", 20), 1)
        assert stored(assembly) == {"home/rule#held", "home/rule#hot"}

    with_assembly(tmp_path, work)


def test_it_can_be_asked_what_it_waits_for_and_is_still_idle(tmp_path: Path) -> None:
    def work(assembly: Assembly, _observations: list[Observation]) -> None:
        assembly.start({}, 0, ignore)
        stored(assembly)
        assert [runner.match(1) for runner in assembly.groups] == ["t ✗", "t ✗"]
        assert stored(assembly) == set()

    with_assembly(tmp_path, work)


def test_it_goes_by_a_wall_clock_that_was_set_before_its_first_message(tmp_path: Path) -> None:
    def work(assembly: Assembly, observations: list[Observation]) -> None:
        assembly.start({}, 0, ignore)
        assembly.set_clock(2 * HOUR_US, 1)
        for value in (20, 30):
            assembly.engine.receive(Message("t/temp", value), HOUR_US)
        assert [seen.value for seen in observations if isinstance(seen, Published)] == ["1970-01-01T03:00:00Z"]

    with_assembly(tmp_path, work)


def test_a_damaged_state_is_replaced_at_the_start(tmp_path: Path) -> None:
    def work(assembly: Assembly, _observations: list[Observation]) -> None:
        damaged: list[str] = []
        assembly.start({"home/rule#hot": {"": b"this is no state"}}, 0, lambda key, _error: damaged.append(key))
        assert damaged == ["home/rule#hot"]
        assert stored(assembly) == {"home/rule#held", "home/rule#hot"}

    with_assembly(tmp_path, work)
