"""What a host tells of the certificates of its connection, day by day."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgematrix.identity.authority import Authority
from edgematrix.runtime.endings import Endings
from edgematrix.transport.endpoint import Endpoint

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Link:
    """The files of a connection, and a clock."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.authority = Authority.make("home", NOW)
        self.peer: bytes | None = None
        (directory / "ca.pem").write_bytes(self.authority.pem)
        issued = self.authority.issue_client("pi~2", NOW, NOW + 100 * DAY)
        (directory / "cert.pem").write_bytes(issued.certificate)
        endpoint = Endpoint.parse(f"mqtts://h?ca={directory}/ca.pem&cert={directory}/cert.pem")
        self.endings = Endings(endpoint, lambda: self.peer, lambda: int(self.now.timestamp() * 1_000_000))

    def is_served(self, days: float) -> None:
        issued = self.authority.issue_server(["h"], NOW, NOW + days * DAY)
        self.peer = ssl.PEM_cert_to_DER_cert(issued.certificate.decode())


def test_what_ends_is_told_as_it_comes_nearer_and_once_a_day_is_enough(tmp_path: Path) -> None:
    link = Link(tmp_path)
    link.is_served(40)
    assert not link.endings.look()
    link.now += 10 * DAY
    assert link.endings.look()
    assert link.endings.warnings == ("the broker's certificate ends on 2026-07-11",)
    link.now += 65 * DAY
    assert link.endings.look()
    assert link.endings.warnings == ("the broker's certificate has ended on 2026-07-11", "the certificate of pi~2 ends on 2026-09-09")
    assert link.endings.news == link.endings.warnings
    link.is_served(300)
    link.now += DAY / 2
    assert not link.endings.look(), "not before tomorrow"
    assert link.endings.look(anew=True)
    assert link.endings.warnings == ("the certificate of pi~2 ends on 2026-09-09",)
    assert link.endings.news == ()


def test_a_clock_that_goes_back_is_no_reason_not_to_look(tmp_path: Path) -> None:
    link = Link(tmp_path)
    link.endings.look()
    link.now -= 400 * DAY
    assert link.endings.look()
    assert all("is this machine's clock right?" in text for text in link.endings.warnings)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    link = Link(tmp_path)
    (tmp_path / "cert.pem").unlink()
    assert link.endings.look()
    assert "cannot be read" in link.endings.warnings[0]
