"""Runs a bridge: ESPHome's native API on one side, a connection to the broker for each device on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edgematrix.errors import UsageError
from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.runtime.clock import SystemClock
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from firmware_bridge.esphome.entity import command_for, input_port, output_port, value_of
from firmware_bridge.esphome.post import Post

__all__ = ["DevicePlace", "run_bridge"]

_FIRST_S, _LONGEST_S = 1.0, 30.0
"""How long is waited before a device that is away is tried again: doubled each time."""
_OUTBOX_MAX = 1_000
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class DevicePlace:
    """A device: its agent, where it is, and how the broker is reached as it.

    `outputs` are the agent's output ports, with QoS and whether they are retained; `inputs` its input ports. `key` is that of its
    encryption, base64; empty if it has none.
    """

    path: str
    host: str
    port: int
    endpoint: Endpoint
    outputs: Mapping[str, tuple[int, bool]]
    inputs: frozenset[str]
    key: str = field(default="", repr=False)


async def run_bridge(
    places: Sequence[DevicePlace], told: Callable[[str], None], *, root: str = DEFAULT_ROOT, first_s: float = _FIRST_S
) -> None:
    """Run until it is cancelled; then every device is told to be offline.

    Raises:
        AccessRefusedError: the broker refuses a device.
        UsageError: a package is missing, or a certificate cannot be used.
    """
    _need_client()
    devices = [_Device(place, root, told, first_s) for place in places]
    try:
        async with asyncio.TaskGroup() as group:
            for device in devices:
                group.create_task(device.to_broker())
                group.create_task(device.to_device())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _need_client() -> None:
    try:
        import aioesphomeapi  # noqa: F401, PLC0415 - only who bridges such devices has it
    except ImportError:
        raise UsageError("the package aioesphomeapi is missing", remedy="pip install 'edgematrix[esphome]'") from None


class _Device:
    """One device, with both of its connections."""

    def __init__(self, place: DevicePlace, root: str, told: Callable[[str], None], first_s: float) -> None:
        self._place = place
        self._told = told
        self._first_s = first_s
        self._client: Any = None
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[tuple[int, int], str] = {}
        self._gone = asyncio.Event()
        own_id = place.endpoint.client_id or place.path.replace("/", ":")
        self._post = Post(place.path, root, own_id, SystemClock(), self._ask, told)
        # A clean session: what came while the bridge was away is no command for now.
        settings = Settings(client_id=own_id, will=self._post.will(), outbox_messages_max=_OUTBOX_MAX)
        self._post.transport = PahoTransport(place.endpoint, settings)
        self._post.transport.subscribe({self._post.inputs: 1})

    async def to_broker(self) -> None:
        """Be connected to the broker; when it is cancelled, say goodbye."""
        transport = self._post.transport
        assert transport is not None  # noqa: S101 - it was given one
        running = asyncio.create_task(transport.run(self._post))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            self._post.is_now("offline", "the bridge was stopped")
            with suppress(Exception):
                await transport.close()
            raise
        finally:
            running.cancel()

    async def to_device(self) -> None:
        """Be connected to the device, again and again."""
        wait_s = self._first_s
        while True:
            reason = await self._visit()
            if not reason:
                wait_s, reason = self._first_s, "its connection is gone"
            self._post.is_now("offline", reason)
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_S, 2 * wait_s)

    async def _visit(self) -> str:
        """One connection, from its beginning to its end; why none came about, or nothing if one did."""
        from aioesphomeapi.client import APIClient  # noqa: PLC0415 - it was looked for
        from aioesphomeapi.core import APIConnectionError  # noqa: PLC0415 - as above

        place = self._place
        self._gone.clear()
        client = APIClient(place.host, place.port, None, client_info="edgematrix", noise_psk=place.key or None)
        try:
            await client.connect(on_stop=self._stopped, log_errors=False)
            entities, _ = await client.list_entities_services()
            self._meet(entities)
            self._client = client
            client.subscribe_states(self._state)
            self._post.is_now("ready")
            await self._gone.wait()
        except (APIConnectionError, OSError, TimeoutError) as error:
            return f"it cannot be reached at {place.host}:{place.port}: {str(error) or type(error).__name__}"[:200]
        finally:
            self._client = None
            with suppress(Exception):
                await client.disconnect(force=True)
        return ""

    def _meet(self, entities: Sequence[Any]) -> None:
        """Find the ports in what the device has."""
        self._inputs, self._outputs = {}, {}
        place, spare = self._place, []
        for info in entities:
            output, given = output_port(info), input_port(info)
            if output is not None and output in place.outputs:
                self._outputs[info.key, info.device_id] = output
            if given is not None and given in place.inputs:
                self._inputs[given] = info
            spare += [port for port in (output, given) if port and port not in place.outputs and port not in place.inputs]
        missing = sorted((set(place.outputs) - set(self._outputs.values())) | (place.inputs - set(self._inputs)))
        if missing:
            self._told(f"{place.path}: the device has nothing for {_names(missing)}" + (f"; it has {_names(spare)}" if spare else ""))
        elif spare:
            self._told(f"{place.path}: the matrix has no port for {_names(spare)}")

    def _state(self, state: Any) -> None:
        port = self._outputs.get((state.key, state.device_id))
        if port is not None:
            qos, retain = self._place.outputs[port]
            self._post.emit(port, value_of(state), qos=qos, retain=retain)

    def _ask(self, port: str, value: object) -> None:
        if self._client is None:
            raise ValueError("the device is away")
        info = self._inputs.get(port)
        if info is None:
            raise ValueError("the device has nothing that takes it")
        command = command_for(info, value)
        try:
            getattr(self._client, command.method)(info.key, **command.arguments, device_id=info.device_id)
        except Exception as error:  # noqa: BLE001 - whatever the client says of it, the command is refused
            raise ValueError(f"the device does not take it: {error}") from None

    async def _stopped(self, expected: bool) -> None:
        del expected
        self._gone.set()


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
