"""Certificates: read without a library as with one, and what is told of those that end soon."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import UsageError
from edgematrix.identity.authority import Authority
from edgematrix.identity.certificate import Certificate, read_certificates
from edgematrix.identity.ending import warnings_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
AUTHORITY = Authority.make("EdgeMatrix home", NOW)


def certificate(days: float, name: str = "pi", starts: float = -10) -> Certificate:
    return Certificate(name, NOW + starts * DAY, NOW + days * DAY)


@pytest.mark.parametrize("ends", [datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)])
@pytest.mark.parametrize("name", ["pi", "home.hall.lamp~2", "a" * 64, "ärger"])
def test_it_is_read_as_it_was_made(name: str, ends: datetime) -> None:
    issued = AUTHORITY.issue_client(name, NOW, ends)
    assert read_certificates(issued.certificate.decode(), "x") == [Certificate(name, NOW, ends)]
    assert issued.ends == ends


def test_what_ends_after_2049_is_read_too() -> None:
    authority = Authority.make("far", datetime(2045, 1, 1, tzinfo=UTC))
    (found,) = read_certificates(authority.pem.decode(), "x")
    assert found.ends.year == 2054


def test_nothing_outlives_the_authority() -> None:
    assert AUTHORITY.issue_client("pi", NOW, NOW + 9_999 * DAY).ends == AUTHORITY.ends


def test_a_file_may_hold_several_and_other_things() -> None:
    issued = AUTHORITY.issue_client("pi", NOW, NOW + DAY)
    text = f"subject: x\n{AUTHORITY.pem.decode()}\n{issued.key.decode()}{issued.certificate.decode()}"
    assert [one.name for one in read_certificates(text, "x")] == ["EdgeMatrix home authority", "pi"]


@given(st.binary(max_size=200) | st.integers(0, 400).map(lambda cut: ssl.PEM_cert_to_DER_cert(AUTHORITY.pem.decode())[:cut]))
def test_whatever_comes_is_no_certificate_and_nothing_worse(der: bytes) -> None:
    with contextlib.suppress(ValueError):
        Certificate.of_der(der)
        pytest.fail("it was read")


@given(st.integers(0, 380), st.integers(0, 255))
def test_a_certificate_with_a_byte_changed_is_read_or_refused(at: int, byte: int) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(AUTHORITY.pem.decode()))
    der[at] = byte
    with contextlib.suppress(ValueError):
        Certificate.of_der(bytes(der))


def test_a_damaged_file_is_named() -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "/etc/ca.pem")
    assert caught.value.where == "/etc/ca.pem"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (certificate(31), ()),
        (certificate(30), ("the certificate of pi ends on 2026-07-01",)),
        (certificate(1), ("the certificate of pi ends on 2026-06-02",)),
        (certificate(0), ("the certificate of pi has ended on 2026-06-01",)),
        (certificate(-3), ("the certificate of pi has ended on 2026-05-29",)),
        (certificate(90, starts=2), ("the certificate of pi holds from 2026-06-03 only: is this machine's clock right?",)),
    ],
)
def test_what_is_told_of_its_end(found: Certificate, told: tuple[str, ...]) -> None:
    assert warnings_of([("the certificate of pi", found)], NOW) == told


def test_what_ends_first_is_told_first_and_once() -> None:
    found = [("the authority's certificate", certificate(9)), ("it", certificate(5)), ("it", certificate(5))]
    assert [text.partition(" ends")[0] for text in warnings_of(found, NOW)] == ["it", "the authority's certificate"]
