"""Addresses of brokers, and what a client calls itself."""

from __future__ import annotations

import pytest

from edgematrix.errors import UsageError
from edgematrix.protocol.message import Publication
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.settings import Settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", Endpoint("localhost")),
        ("mqtt://10.0.0.2:1884/", Endpoint("10.0.0.2", 1884)),
        ("mqtts://broker.example", Endpoint("broker.example", 8883, tls=True)),
        ("mqtt://anna:s%40cr%2Ft@h", Endpoint("h", 1883, False, "anna", "s@cr/t")),
        ("mqtt://[::1]:1885", Endpoint("::1", 1885)),
        ("mqtts://h?ca=/etc/ca.pem&cert=c.pem&key=k.pem", Endpoint("h", 8883, True, ca="/etc/ca.pem", cert="c.pem", key="k.pem")),
        ("mqtt://one:1884,two,three:1885", Endpoint("one", 1884, others=(("two", 1883), ("three", 1885)))),
        ("mqtts://a:p,w@one,[::1]:1/?ca=c.pem", Endpoint("one", 8883, True, "a", "p,w", ca="c.pem", others=(("::1", 1),))),
    ],
)
def test_addresses_are_read(url: str, expected: Endpoint) -> None:
    assert Endpoint.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "about"),
    [
        ("localhost:1883", "scheme"),
        ("http://u:secret@h", "scheme"),
        ("mqtt://", "host"),
        ("mqtt://u:secret@:1883", "host"),
        ("mqtt://u:secret@h:99999", "port"),
        ("mqtt://u:secret@h:0", "port"),
        ("mqtt://u:secret@h:x", "port"),
        ("mqtt://u:secret@[::1", "host"),
        ("mqtt://u:secret@h/topic", "path"),
        ("mqtt://u:secret@h?ca=x.pem", "mqtts"),
        ("mqtts://u:secret@h?color=red", "color"),
        ("mqtts://u:secret@h?ca=", "ca"),
        ("mqtts://u:secret@h?key=k.pem", "certificate"),
        ("mqtt://u:secret@one,", "host"),
        ("mqtt://u:secret@one,,two", "host"),
        ("mqtt://u:secret@one,two:x", "port"),
        ("mqtt://u:secret@one:1,two,one:1", "one:1 stands there twice"),
        ("mqtt://u:secret@one,two/topic", "path"),
        ("mqtt://u:secret@" + ",".join(f"h{number}" for number in range(17)), "17 addresses"),
    ],
)
def test_an_address_that_makes_no_sense_says_what_is_wrong_and_keeps_the_password(url: str, about: str) -> None:
    with pytest.raises(UsageError, match=about) as caught:
        Endpoint.parse(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    endpoint = Endpoint.parse("mqtt://anna:geheim@[::1]:1884")
    assert "geheim" not in f"{endpoint!r} {endpoint}"
    assert str(endpoint) == "mqtt://[::1]:1884"


def test_each_address_of_a_cluster_is_an_endpoint_with_the_same_proofs() -> None:
    endpoint = Endpoint.parse("mqtts://anna:geheim@one:1,[::1]:2?ca=c.pem")
    assert str(endpoint) == "mqtts://one:1,[::1]:2"
    assert endpoint.at(0) == endpoint.at(2) == Endpoint("one", 1, True, "anna", "geheim", "c.pem")
    assert endpoint.at(1) == Endpoint("::1", 2, True, "anna", "geheim", "c.pem")


@pytest.mark.parametrize("url", ["mqtts://h?ca=/nowhere/ca.pem", "mqtts://h?cert=/nowhere/c.pem"])
def test_a_certificate_that_is_missing_is_named(url: str) -> None:
    with pytest.raises(UsageError, match=r"/nowhere/c\w?\.pem"):
        Endpoint.parse(url).ssl_context()


@pytest.mark.parametrize("client_id", ["", "a b", "a.b", "a*", "a>", "a#", "a+", "a\n", "x" * 129])
def test_a_client_id_that_some_broker_refuses_is_refused_here(client_id: str) -> None:
    with pytest.raises(UsageError, match="client id"):
        Settings(client_id=client_id)


def test_numbers_out_of_range_and_a_will_of_qos_2_are_refused() -> None:
    with pytest.raises(UsageError, match="keepalive_s"):
        Settings(client_id="a", keepalive_s=0)
    with pytest.raises(UsageError, match="will"):
        Settings(client_id="a", will=Publication("t", b"", 2))
