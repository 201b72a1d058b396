"""The one suite, on real brokers."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour import TransportBehaviour
from real_broker import BrokerPlace


class TestMosquitto(TransportBehaviour):
    @pytest.fixture
    def place(self, own_broker: Any) -> BrokerPlace:
        broker = own_broker("mosquitto")
        broker.start()
        return BrokerPlace(broker)


class TestNats(TransportBehaviour):
    """MQTT 3.1.1 only, with a copy for each filter."""

    expires = False
    redelivers_first = False
    knows_no_local = False

    @pytest.fixture
    def place(self, own_broker: Any) -> BrokerPlace:
        broker = own_broker("nats")
        broker.start()
        return BrokerPlace(broker)
