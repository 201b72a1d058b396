"""Who comes in by TLS on real brokers, who does not, and what he is told."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tls_broker import LONG, Site, come

from edgematrix.cli.visit import visit
from edgematrix.identity.authority import Authority, Issued
from edgematrix.identity.listener import Listener
from edgematrix.identity.registry import Kind
from edgematrix.protocol.message import Publication

DAY = timedelta(days=1)
CERTIFIED = ("server", "cara")
PEOPLE = [("host", "pi"), ("host", "server"), ("operator", "anna"), ("operator", "cara"), ("client", "zigbee"), ("device", f"home.{LONG}")]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A mosquitto with secrets, and certificates for some."""
    site = Site(tmp_path_factory.mktemp("mixed"), certificates=CERTIFIED)
    yield from started(site, "mosquitto")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A nats-server with secrets."""
    yield from started(Site(tmp_path_factory.mktemp("secret"), broker="nats"), "nats")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A nats-server with certificates."""
    yield from started(Site(tmp_path_factory.mktemp("certified"), broker="nats", all_certificates=True), "nats")


def started(site: Site, kind: str) -> Iterator[Site]:
    try:
        site.start(kind)
        yield site
    finally:
        site.stop()


@pytest.mark.parametrize("name", ["mixed", "secret", "certified"])
def test_everybody_comes_in_with_what_he_was_given(name: str, request: pytest.FixtureRequest) -> None:
    site: Site = request.getfixturevalue(name)
    assert [come(site.url(role, person)) for role, person in PEOPLE] == [""] * len(PEOPLE)
    long = next(entry.name for entry in site.registry.principals if len(entry.subject) > len(entry.name))
    assert len(long) == 64
    assert come(site.url("device", long)) == ""


@pytest.mark.parametrize("name", ["mixed", "secret"])
def test_a_wrong_secret_is_refused(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    site: Site = request.getfixturevalue(name)
    file = copy_of(site, "operator", "anna", tmp_path)
    file.write_text(file.read_text().replace("anna:", "anna:x"))
    told = come(f"@{file}")
    assert "the broker refuses the client" in told
    assert "user name, the password" in told


def copy_of(site: Site, role: str, name: str, directory: Path) -> Path:
    """The address of somebody, with the files beside it, to be spoilt."""
    shutil.copytree(site.folder.of(role, name), directory, dirs_exist_ok=True)
    return directory / "broker.url"


def put(directory: Path, issued: Issued) -> None:
    (directory / "cert.pem").write_bytes(issued.certificate)
    (directory / "key.pem").write_bytes(issued.key)


@pytest.mark.parametrize("name", ["mixed", "certified"])
@pytest.mark.parametrize(
    ("case", "words"),
    [("ended", "it has ended"), ("not yet", "does not hold yet"), ("foreign", "does not know"), ("none", "wants a certificate")],
)
def test_a_certificate_that_does_not_hold_is_refused(
    name: str, case: str, words: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    site: Site = request.getfixturevalue(name)
    file, now = copy_of(site, "operator", "cara", tmp_path), datetime.now(UTC)
    authority = Authority.load(site.folder.authority, site.folder.authority_key)
    if case == "ended":
        put(tmp_path, authority.issue_client("cara", now - 2 * DAY, now - DAY))
    elif case == "not yet":
        put(tmp_path, authority.issue_client("cara", now + DAY, now + 2 * DAY))
    elif case == "foreign":
        put(tmp_path, Authority.make("EdgeMatrix home", now).issue_client("cara", now - DAY, now + DAY))
    else:
        file.write_text(file.read_text().replace("&cert=cert.pem&key=key.pem", ""))
    told = come(f"@{file}")
    assert words in told or "it wants a certificate, or refuses this client's" in told, told


def test_a_broker_of_another_authority_or_name_is_not_believed(mixed: Site, tmp_path: Path) -> None:
    file = copy_of(mixed, "operator", "anna", tmp_path)
    (tmp_path / "ca.pem").write_bytes(Authority.make("other", datetime.now(UTC)).pem)
    assert "the broker's certificate does not hold" in come(f"@{file}")
    file.write_text(file.read_text().replace("@localhost:", "@ip6-localhost:"))
    assert come(f"@{file}")


@pytest.mark.parametrize(("from_days", "to_days", "words"), [(-2, -1, "expired"), (1, 2, "is this machine's clock right?")])
def test_a_broker_whose_certificate_does_not_hold_is_not_believed(tmp_path: Path, from_days: int, to_days: int, words: str) -> None:
    site, now = Site(tmp_path), datetime.now(UTC)
    authority = Authority.load(site.folder.authority, site.folder.authority_key)
    issued = authority.issue_server(["localhost"], now + from_days * DAY, now + to_days * DAY)
    (site.folder.broker / "server.pem").write_bytes(issued.certificate)
    (site.folder.broker / "server.key").write_bytes(issued.key)
    try:
        site.start("mosquitto")
        assert words in come(site.url("operator", "anna"))
    finally:
        site.stop()


@pytest.mark.parametrize(("kind", "wish"), [("mosquitto", {"certificates": ("cara",)}), ("nats", {}), ("nats", {"all_certificates": True})])
def test_both_generations_hold_for_a_while_and_whoever_is_revoked_is_out(kind: str, wish: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", broker=kind, **wish)
    old = copy_of(site, "operator", "cara", tmp_path / "old")
    anna = copy_of(site, "operator", "anna", tmp_path / "anna")
    try:
        site.start(kind)
        site.provision(rotate=("cara",), overlap=timedelta(hours=1))
        site.reload(kind)
        new = site.url("operator", "cara")
        assert "//cara~2" in Path(new[1:]).read_text()
        assert [come(f"@{old}"), come(new)] == ["", ""]
        site.provision(timedelta(hours=2))
        site.reload(kind)
        assert come(f"@{old}")
        assert come(new) == ""
        site.provision(timedelta(hours=2), revoke=("anna", "cara~2"))
        site.reload(kind)
        shown = Path(new[1:])
        assert not shown.exists(), "nothing is left of whoever is shut out"
        assert come(f"@{anna}")
        assert come(f"@{old}")
    finally:
        site.stop()


OLD_TLS = pytest.mark.parametrize(
    ("oldest", "newest", "ciphers", "is_taken"),
    [
        ("1.3", ssl.TLSVersion.TLSv1_3, "", True),
        ("1.3", ssl.TLSVersion.TLSv1_2, "", False),
        ("1.2", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("1.2", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("1.2", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA", False),
        ("1.2", ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
    ],
)


@pytest.fixture(scope="module", params=["mosquitto", "nats"])
def tls_sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """By the oldest TLS that the broker takes."""
    sites = {oldest: Site(tmp_path_factory.mktemp("tls"), tls=oldest) for oldest in ("1.2", "1.3")}
    try:
        for site in sites.values():
            site.start(request.param)
        yield sites
    finally:
        for site in sites.values():
            site.stop()


@OLD_TLS
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_tls_and_weak_ciphers_are_refused(
    tls_sites: dict[str, Site], oldest: str, newest: ssl.TLSVersion, ciphers: str, is_taken: bool
) -> None:
    site = tls_sites[oldest]
    context = ssl.create_default_context(cafile=str(site.folder.authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_1 if newest is ssl.TLSVersion.TLSv1_1 else ssl.TLSVersion.TLSv1_2
    context.maximum_version = newest
    if ciphers:
        context.set_ciphers(ciphers)
    port = site.port + Listener.of("host", Kind.SECRET).offset
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                assert secure.version() == ("TLSv1.3" if newest is ssl.TLSVersion.TLSv1_3 else "TLSv1.2")
            shaken = True
        except (ssl.SSLError, ConnectionResetError):
            shaken = False
    assert shaken is is_taken


@pytest.mark.parametrize(("kind", "wish"), [("mosquitto", {"certificates": ("cara",)}), ("nats", {})])
def test_whoever_is_revoked_while_he_is_connected_hears_nothing_more(kind: str, wish: dict[str, object], tmp_path: Path) -> None:
    site = Site(tmp_path, broker=kind, **wish)
    heard: dict[str, list[bytes]] = {"anna": [], "cara": [], "server": []}
    roles = {"anna": "operator", "cara": "operator", "server": "host"}

    async def listen() -> None:
        async with AsyncExitStack() as stay:
            for name, found in heard.items():

                def take(_topic: str, payload: bytes, _qos: int, _retained: bool, found: list[bytes] = found) -> None:
                    found.append(payload)

                await stay.enter_async_context(visit(site.url(roles[name], name), ["em/host/+"], take, qos=1))
            pi = await stay.enter_async_context(visit(site.url("host", "pi"), [], lambda *_: None))
            await pi.assure(Publication("em/host/pi", b"1", 1))
            await until(lambda: all(b"1" in found for found in heard.values()))
            site.provision(revoke=("anna", "cara"))
            site.reload(kind)
            await until(lambda: not pi.failure)
            await pi.assure(Publication("em/host/pi", b"2", 1))
            await until(lambda: b"2" in heard["server"])
            await pi.assure(Publication("em/host/pi", b"3", 1))
            await until(lambda: b"3" in heard["server"])

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.01)

    try:
        site.start(kind)
        asyncio.run(listen())
    finally:
        site.stop()
    assert heard == {"anna": [b"1"], "cara": [b"1"], "server": [b"1", b"2", b"3"]}
