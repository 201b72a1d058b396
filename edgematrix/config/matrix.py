"""A matrix, written in Python. It makes the same `MatrixSpec` as a file does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgematrix.config.composite import Composite
from edgematrix.config.spec import LocationSpec, MatrixSpec
from edgematrix.protocol.path import check_name, parse_path
from edgematrix.protocol.topic import DEFAULT_ROOT

__all__ = ["Matrix"]


class Matrix(Composite):
    """The root of a tree of agents.

    Args:
        name: the matrix's name, the first segment of every path in it.
        broker: `embedded`, `mqtt://…`, `mqtts://…`, or the name of a profile.
        timezone: in which times of day are meant.
        location: latitude and longitude in degrees, for sun events.
        root: what stands first in every topic of the bus.

    Raises:
        PathError: the name breaks the grammar.
        pydantic.ValidationError: another argument is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        broker: str = "embedded",
        timezone: str = "UTC",
        location: tuple[float, float] | None = None,
        root: str = DEFAULT_ROOT,
    ) -> None:
        super().__init__(parse_path(check_name(name, "matrix")))
        place = None if location is None else LocationSpec(lat=location[0], lon=location[1])
        self._head = MatrixSpec(matrix=name, broker=broker, timezone=timezone, location=place, root=root)

    def spec(self) -> MatrixSpec:
        """The matrix as data, as a file would give it."""
        return replace(self._head, agents=self._agents())

    def run(self) -> None:
        """Run it here until interrupted, with an embedded broker if it asks for one.

        Raises:
            ConfigError: the matrix is wrong; every finding names its place in the tree.
            BusError: the broker does not start, or refuses this host.
        """
        import asyncio  # noqa: PLC0415 - defining a matrix needs no event loop and no transport

        from edgematrix.config.code_loader import CodeLoader  # noqa: PLC0415
        from edgematrix.config.launch import STATE_FOLDER, Launch, local_name, run_here  # noqa: PLC0415
        from edgematrix.config.opened import Opened  # noqa: PLC0415
        from edgematrix.config.reading import checked  # noqa: PLC0415

        loader = CodeLoader(defined=self.code())
        reading = checked(self.spec(), loader=loader)
        opened = Opened(reading.spec, reading.warnings, loader, self.spec)
        asyncio.run(run_here(opened, Launch(name=local_name(), folder=Path(STATE_FOLDER))))
