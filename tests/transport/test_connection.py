"""The life of a connection, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgematrix.transport.connection import Backoff, Change, Connection, State, Version


def make(observed: list[Change] | None = None, random: float = 1.0) -> Connection:
    return Connection(Backoff(first_s=1.0, longest_s=8.0, stable_s=5.0), lambda: random, observed.append if observed is not None else None)


def online(connection: Connection, now_s: float = 0.0) -> None:
    if connection.state is State.IDLE:
        connection.start()
    elif connection.state is State.WAITING:
        connection.due()
    connection.opened()
    connection.accepted(now_s)


def test_waiting_doubles_up_to_its_bound() -> None:
    connection = make()
    connection.start()
    waits = []
    for _ in range(6):
        connection.failed("nobody listens")
        waits.append(connection.wait_s)
        connection.due()
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 5000))
def test_waiting_is_drawn_from_the_whole_range(drawn: float, failures: int) -> None:
    connection = make(random=drawn)
    connection.start()
    connection.failures = failures - 1
    connection.failed("nobody listens")
    assert connection.wait_s == pytest.approx(drawn * min(8.0, 2.0 ** min(failures - 1, 10)))


def test_waiting_begins_anew_only_after_a_connection_that_held() -> None:
    connection = make()
    for _ in range(3):
        online(connection, 100.0)
        connection.lost("flapping", 104.9)
    assert connection.wait_s == 4.0
    online(connection, 200.0)
    connection.lost("cable", 205.0)
    assert connection.wait_s == 1.0


def test_an_outage_is_told_once_however_many_attempts_it_takes() -> None:
    observed: list[Change] = []
    connection = make(observed)
    online(connection)
    connection.lost("cable", 10.0)
    for _ in range(5):
        connection.due()
        connection.failed("nobody listens")
    online(connection, 20.0)
    assert [change.after for change in observed] == [State.OPENING, State.GREETING, State.ONLINE, State.WAITING, State.ONLINE]
    assert observed[3].reason == "cable"


def test_a_broker_without_mqtt_5_is_asked_with_3_1_1_at_once_and_that_is_kept() -> None:
    connection = make()
    connection.start()
    connection.opened()
    connection.version_refused("unsupported version")
    assert (connection.state, connection.version) == (State.OPENING, Version.MQTT_311)
    connection.opened()
    connection.accepted(0.0)
    connection.lost("cable", 100.0)
    connection.due()
    assert connection.version is Version.MQTT_311


def test_a_broker_that_says_nothing_is_asked_in_turn_with_both_versions() -> None:
    connection = make()
    connection.start()
    tried = []
    for _ in range(4):
        connection.opened()
        tried.append(connection.version)
        connection.failed("closed")
        if connection.state is State.WAITING:
            connection.due()
    assert tried == [Version.MQTT_5, Version.MQTT_311, Version.MQTT_5, Version.MQTT_311]


def test_a_broker_that_is_too_busy_speaks_the_version_all_the_same() -> None:
    connection = make()
    connection.start()
    connection.opened()
    connection.turned_away("busy")
    assert (connection.state, connection.version) == (State.WAITING, Version.MQTT_5)


def test_a_connection_that_breaks_later_says_nothing_about_versions() -> None:
    connection = make()
    online(connection)
    connection.lost("cable", 10.0)
    connection.due()
    connection.opened()
    connection.failed("closed while greeting")
    assert (connection.state, connection.version) == (State.WAITING, Version.MQTT_5)


def test_a_broker_that_was_replaced_by_an_older_one_is_found_again() -> None:
    connection = make()
    online(connection)
    connection.lost("cable", 10.0)
    connection.due()
    connection.opened()
    connection.version_refused("unsupported version")
    assert (connection.state, connection.version) == (State.OPENING, Version.MQTT_311)


def test_a_refusal_is_the_end() -> None:
    connection = make()
    connection.start()
    connection.opened()
    connection.refused("bad password")
    assert connection.ended
    connection.close()
    assert (connection.state, connection.reason) == (State.REFUSED, "bad password")


class Lives(RuleBasedStateMachine):
    """Whatever happens in whatever order, a connection never gets stuck and never waits too long."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = make()
        self.now_s = 0.0
        self.connection.start()

    @precondition(lambda self: self.connection.state is State.OPENING)
    @rule()
    def opens(self) -> None:
        self.connection.opened()

    @precondition(lambda self: self.connection.state in (State.OPENING, State.GREETING))
    @rule()
    def fails(self) -> None:
        self.connection.failed("no")

    @precondition(lambda self: self.connection.state is State.GREETING)
    @rule(version=st.booleans())
    def answers(self, version: bool) -> None:
        if version:
            self.connection.version_refused("no")
        else:
            self.connection.accepted(self.now_s)

    @precondition(lambda self: self.connection.state in (State.ONLINE, State.CLOSING))
    @rule(after_s=st.floats(0, 10))
    def breaks(self, after_s: float) -> None:
        self.now_s += after_s
        self.connection.lost("cable", self.now_s)

    @precondition(lambda self: self.connection.state is State.WAITING)
    @rule()
    def waits(self) -> None:
        self.connection.due()

    @rule()
    def closes(self) -> None:
        self.connection.close()

    @invariant()
    def holds(self) -> None:
        assert self.connection.state is not State.IDLE
        assert 0 <= self.connection.wait_s <= 8.0


TestLives = Lives.TestCase
