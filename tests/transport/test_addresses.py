"""A client that knows several addresses of one cluster."""

from __future__ import annotations

from collections.abc import Callable

from broker_process import BrokerProcess
from free_port import free_port
from listening import Client, Ears, run

from edgematrix.protocol.message import Publication
from edgematrix.transport.connection import Backoff
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings


def transport_to(*ports: int) -> PahoTransport:
    url = f"mqtt://{','.join(f'127.0.0.1:{port}' for port in ports)}"
    return PahoTransport(Endpoint.parse(url), Settings(client_id="one", backoff=Backoff(first_s=0.02, longest_s=0.2)))


def test_the_next_address_is_tried_where_nobody_listens(mosquitto: BrokerProcess) -> None:
    async def test() -> None:
        one = Client(transport_to(free_port(), free_port(), mosquitto.port), Ears())
        await one.online()
        assert len(one.ears.outages) <= 1, "one outage is told once, however many addresses are tried"
        await one.close()

    run(test())


def test_who_loses_one_goes_to_the_next_with_filters_and_what_waits_and_comes_back_around(
    own_broker: Callable[..., BrokerProcess],
) -> None:
    first, second = own_broker("mosquitto"), own_broker("mosquitto")
    first.start()
    second.start()

    async def test() -> None:
        transport = transport_to(first.port, second.port)
        one = Client(transport, Ears())
        transport.subscribe({"a": 1})
        await one.online()
        first.kill()
        await one.online(times=2)
        transport.publish(Publication("a", b"on the second", 1))
        await one.heard(b"on the second")
        first.start()
        second.kill()
        transport.publish(Publication("a", b"on the first again", 1))
        await one.heard(b"on the second", b"on the first again")
        await one.close()

    run(test())
