"""An access folder: what stands in it, who may read it, how it follows the matrix, and what it does not put up with."""

from __future__ import annotations

import getpass
import os
import shutil
import stat
import subprocess
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from broker_process import skip_without
from free_port import free_ports

from edgematrix.config.opening import open_matrix
from edgematrix.config.provisioning import Provisioned, ProvisionWish, provision
from edgematrix.errors import ConfigError, EdgeMatrixError, StateError, UsageError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.authority import Authority
from edgematrix.identity.password import mosquitto_hash
from edgematrix.identity.registry import read_registry
from edgematrix.identity.signing_keys import SigningKey, read_key_pair, read_keys
from edgematrix.runtime.broker_program import choose
from edgematrix.transport.endpoint import Endpoint

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOME = """
matrix: home
access:
  hosts: [pi, server]
  operators: [anna]
agents:
  hall: {host: pi, triggers: {tick: {on: {timer: {every: 1h}}, do: [{emit: {port: beat, value: 1}}]}}, outputs: {beat: number}}
  lamp: {host: esp1, outputs: {t: number}}
"""
SIGNED = "matrix: home\nsign: true\naccess: {hosts: [pi], operators: [anna]}\nagents: {}\n"
Make = Callable[..., Provisioned]


@pytest.fixture
def folder(tmp_path: Path) -> AccessFolder:
    return AccessFolder(tmp_path / "access")


@pytest.fixture
def make(tmp_path: Path, folder: AccessFolder) -> Make:
    """Provisions a matrix, as it is then."""

    def run(text: str = HOME, at: datetime = NOW, **wish: object) -> Provisioned:
        file = tmp_path / "home.yaml"
        file.write_text(text)
        return provision(open_matrix(file).spec, folder, ProvisionWish(**wish), at)  # type: ignore[arg-type]

    return run


def contents(folder: AccessFolder) -> dict[str, bytes]:
    return {str(file.relative_to(folder.path)): file.read_bytes() for file in sorted(folder.path.rglob("*")) if file.is_file()}


def names(folder: AccessFolder) -> set[str]:
    return {entry.name for entry in read_registry(folder.registry).principals}


def test_everybody_has_a_folder_and_nobody_else_may_read_it(make: Make, folder: AccessFolder) -> None:
    before = os.umask(0)  # the widest there is
    try:
        make(certificates=("server",))
    finally:
        os.umask(before)
    assert set(contents(folder)) == {
        *("ca.pem", "ca.key", "principals.json", "lock"),
        *(f"broker/{name}" for name in ("acl", "machines.passwd", "people.passwd", "mosquitto.conf")),
        *(f"broker/{name}" for name in ("ca.pem", "revoked.pem", "server.pem", "server.key")),
        *(f"hosts/pi/{name}" for name in ("broker.url", "ca.pem")),
        *(f"hosts/server/{name}" for name in ("broker.url", "ca.pem", "cert.pem", "key.pem")),
        *(f"{place}/{name}" for place in ("operators/anna", "devices/home.lamp") for name in ("broker.url", "ca.pem")),
    }
    for path in (folder.path, *folder.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_address_leads_to_the_listener_that_is_for_whoever_has_it(make: Make, folder: AccessFolder) -> None:
    make(certificates=("server",), servers=("broker.local", "::1"), port=9_000)
    found = {file.parent.name: Endpoint.parse(f"@{file}") for file in folder.path.rglob("broker.url")}
    assert {name: (one.host, one.port, one.tls) for name, one in found.items()} == {
        "pi": ("broker.local", 9_000, True),
        "home.lamp": ("broker.local", 9_000, True),
        "anna": ("broker.local", 9_001, True),
        "server": ("broker.local", 9_002, True),
    }
    assert len({one.client_id for one in found.values()}) == 4
    assert all(one.client_id is not None and one.client_id.startswith("op:") for one in found.values())
    assert found["server"].key == str(folder.of("host", "server") / "key.pem")
    assert found["pi"].password
    assert found["server"].password is None


def test_again_without_a_change_nothing_changes_but_dates(make: Make, folder: AccessFolder) -> None:
    make(certificates=("server",))
    before = contents(folder)
    done = make(at=NOW + DAY)
    after = contents(folder)
    assert {name for name in before if before[name] != after[name]} <= {"broker/revoked.pem"}
    assert not any((done.is_new, done.added, done.removed, done.rotated, done.moved))


def test_it_follows_the_matrix(make: Make, folder: AccessFolder) -> None:
    make()
    kept = (folder.of("host", "pi") / "broker.url").read_text()
    done = make(HOME.replace("[pi, server]", "[pi, cellar]").replace("lamp:", "lantern:"))
    assert [entry.name for entry in done.added] == ["cellar", "home.lantern"]
    assert [entry.name for entry in done.removed] == ["server", "home.lamp"]
    assert (folder.of("host", "pi") / "broker.url").read_text() == kept
    assert not folder.of("host", "server").exists()
    users = (
        (folder.broker / "machines.passwd").read_text() + (folder.broker / "acl").read_text() + (folder.broker / "users.conf").read_text()
    )
    assert "cellar" in users
    assert "server" not in users
    assert "home.lamp" not in users


def test_files_of_others_in_a_folder_of_who_is_gone_stay(make: Make, folder: AccessFolder) -> None:
    make()
    (folder.of("host", "server") / "notes").write_text("mine")
    done = make(HOME.replace(", server", ""))
    assert done.left == [str(folder.of("host", "server"))]
    assert [file.name for file in folder.of("host", "server").iterdir()] == ["notes"]


def test_rotating_makes_a_new_user_beside_the_old_one_until_that_is_over(make: Make, folder: AccessFolder) -> None:
    make()
    old = (folder.of("host", "pi") / "broker.url").read_text()
    done = make(rotate=("pi",), overlap=2 * DAY)
    assert [(entry.name, until) for entry, until in done.rotated] == [("pi", NOW + 2 * DAY)]
    new = (folder.of("host", "pi") / "broker.url").read_text()
    assert new.startswith("mqtts://pi~2:")
    assert new.rpartition("client_id=")[2] != old.rpartition("client_id=")[2]
    assert [line.partition(":")[0] for line in (folder.broker / "machines.passwd").read_text().splitlines()] == [
        *("pi", "pi~2", "server", "home.lamp")
    ]
    acl = (folder.broker / "acl").read_text()
    assert acl.count("user pi\n") == acl.count("user pi~2\n") == 1
    assert "em/host/pi~2" not in acl
    make(at=NOW + 2 * DAY)
    assert "user pi\n" not in (folder.broker / "acl").read_text()


def test_a_secret_becomes_a_certificate_by_rotating_and_stays_one(make: Make, folder: AccessFolder) -> None:
    make()
    with pytest.raises(UsageError, match="pi has a secret") as caught:
        make(certificates=("pi",))
    assert caught.value.remedy == "--rotate pi --certificate pi"
    make(rotate=("pi",), certificates=("pi",))
    assert (folder.of("host", "pi") / "key.pem").exists()
    assert ":8885?" in (folder.of("host", "pi") / "broker.url").read_text()
    make(rotate=("pi",))
    assert [one.kind for one in read_registry(folder.registry).principals[0].generations] == ["secret", "certificate", "certificate"]


def test_whoever_is_revoked_stays_out_until_he_gets_a_new_credential(make: Make, folder: AccessFolder) -> None:
    make()
    assert make(revoke=("anna",)).shut_out == ["anna"]
    assert make().shut_out == ["anna"]
    assert "anna" not in (folder.broker / "people.passwd").read_text()
    assert not (folder.of("operator", "anna") / "broker.url").exists()
    make(rotate=("anna",))
    assert (folder.broker / "people.passwd").read_text().startswith("anna~2:")


def test_the_brokers_certificate_is_renewed_in_time_and_when_its_names_change(make: Make, folder: AccessFolder) -> None:
    make()
    server = folder.broker / "server.pem"
    first = server.read_bytes()
    make(at=NOW + 300 * DAY)
    assert server.read_bytes() == first
    make(at=NOW + 310 * DAY)
    second = server.read_bytes()
    assert second != first
    done = make(at=NOW + 311 * DAY, servers=("broker.local",))
    assert server.read_bytes() != second
    assert "@broker.local:" in (folder.of("host", "pi") / "broker.url").read_text()
    assert set(done.moved) == {"pi", "server", "anna", "home.lamp"}


def test_certificates_that_end_soon_are_told(make: Make) -> None:
    make(certificates=("server",), days=100)
    assert make(at=NOW + 69 * DAY).warnings == ()
    assert make(at=NOW + 80 * DAY).warnings == ("the certificate of server ends on 2026-09-09",)
    assert "the certificate of server has ended" in make(at=NOW + 101 * DAY).warnings[0]


def test_no_file_but_those_of_who_has_it_holds_a_secret(make: Make, folder: AccessFolder) -> None:
    make(certificates=("server",))
    secret = {Endpoint.parse(f"@{file}").password for file in folder.path.rglob("broker.url")} - {None}
    assert len(secret) == 3
    for name, content in contents(folder).items():
        held = sum(1 for one in secret if one is not None and one.encode() in content)
        assert held == (1 if name.endswith("broker.url") and "server" not in name else 0), name


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"rotate": ("nobody",)}, "the matrix names no 'nobody'"),
        ({"certificates": ("nobody",)}, "the matrix names no 'nobody'"),
        ({"revoke": ("nobody",)}, "there is no 'nobody'"),
        ({"revoke": ("pi~7",)}, "no credential 'pi~7'"),
        ({"revoke": ("pi~x",)}, "no credential"),
        ({"revoke": ("pi",), "rotate": ("pi",)}, "revoked and rotated"),
        ({"days": 0}, "0 days"),
        ({"days": 9_999}, "9999 days"),
        ({"port": 65_535}, "65535"),
        ({"port": -1}, "-1"),
        ({"tls": "1.1"}, "no TLS '1.1'"),
        ({"broker": "emqx"}, "'emqx'"),
        ({"servers": ("a b",)}, "'a b' is no name"),
        ({"servers": ("x\ny",)}, "is no name"),
        ({"servers": ("mqtts://b",)}, "is no name"),
        ({"broker": "nats-cluster", "rotate": ("pi",), "certificates": ("pi",)}, "NATS has one listener"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(wish: dict[str, object], words: str, make: Make, folder: AccessFolder) -> None:
    make()
    before = contents(folder)
    with pytest.raises(UsageError, match=words):
        make(**wish)
    assert contents(folder) == before


def test_nats_goes_over_from_secrets_to_certificates_at_once(make: Make, folder: AccessFolder) -> None:
    make(broker="nats")
    everybody = tuple(sorted(names(folder)))
    make(rotate=everybody, all_certificates=True, overlap=timedelta())
    assert '"CN=pi~2"' in (folder.broker / "users.conf").read_text()
    assert "password" not in (folder.broker / "users.conf").read_text()


def spoil(folder: AccessFolder, what: str) -> None:
    if what == "no registry":
        folder.registry.unlink()
    elif what == "no key":
        folder.authority_key.unlink()
    elif what == "no certificate":
        folder.authority.unlink()
    elif what == "another key":
        shutil.copy(folder.broker / "server.key", folder.authority_key)
    elif what == "no pem":
        folder.authority_key.write_text("x")
    elif what == "half a certificate":
        folder.authority.write_bytes(folder.authority.read_bytes()[:100])
    elif what == "open key":
        folder.authority_key.chmod(0o640)
    elif what == "link":
        folder.of("client", "new").parent.mkdir()
        folder.of("client", "new").symlink_to(folder.path)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no registry", "the list of identities is lost"),
        ("no key", "key is missing"),
        ("no certificate", "certificate cannot be read"),
        ("another key", "not that of its certificate"),
        ("no pem", "damaged"),
        ("half a certificate", "damaged"),
        ("open key", "others than its owner"),
        ("link", "link to somewhere else"),
    ],
)
def test_a_folder_that_is_damaged_is_left_alone(what: str, words: str, make: Make, folder: AccessFolder) -> None:
    make()
    spoil(folder, what)
    before = contents(folder)
    with pytest.raises((UsageError, StateError), match=words) as caught:
        make(HOME.replace("agents:", "  clients: [new]\nagents:"))
    assert caught.value.remedy
    assert contents(folder) == before


def test_a_clock_that_is_wrong_is_told(make: Make) -> None:
    make()
    with pytest.raises(UsageError, match="the clock says 2025-01-01") as caught:
        make(at=datetime(2025, 1, 1, tzinfo=UTC))
    assert "clock" in caught.value.remedy
    with pytest.raises(UsageError, match="the authority has ended on 2036"):
        make(at=NOW + 4_000 * DAY)


def test_a_folder_with_other_things_is_not_taken(make: Make, folder: AccessFolder, tmp_path: Path) -> None:
    folder.path.mkdir()
    (folder.path / "photo.jpg").write_text("x")
    with pytest.raises(UsageError, match=r"photo\.jpg"):
        make()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be used"):
        provision(open_matrix(tmp_path / "home.yaml").spec, AccessFolder(tmp_path / "file"), ProvisionWish(), NOW)


def test_another_matrix_needs_another_folder(make: Make) -> None:
    make()
    with pytest.raises(UsageError, match="identities of the matrix 'home'"):
        make(HOME.replace("matrix: home", "matrix: other"))


def test_two_principals_of_one_name_are_refused_and_nothing_is_made(make: Make, folder: AccessFolder) -> None:
    with pytest.raises(ConfigError, match="'anna' is the name of"):
        make(HOME.replace("[pi, server]", "[pi, anna]"))
    assert not folder.path.exists()


def test_two_at_once_do_not_mix(make: Make, folder: AccessFolder) -> None:
    make()
    with folder.owned(), pytest.raises(EdgeMatrixError, match="another command changes it"):
        make()


def test_what_was_interrupted_is_made_whole_by_the_next_one(make: Make, folder: AccessFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the power is gone")

    make()
    monkeypatch.setattr("edgematrix.config.provisioning.write_registry", fail)
    with pytest.raises(OSError, match="power"):
        make(HOME.replace("[anna]", "[anna, ben]"))
    monkeypatch.undo()
    assert names(folder) == {"pi", "server", "home.lamp", "anna"}
    make(HOME.replace("[anna]", "[anna, ben]"))
    assert Endpoint.parse(f"@{folder.of('operator', 'ben') / 'broker.url'}").username == "ben"
    assert "ben:" in (folder.broker / "people.passwd").read_text()


@pytest.mark.parametrize("wish", [{}, {"revoke": ("server",)}])
def test_a_rotation_that_was_interrupted_is_made_whole_by_the_next_one(
    wish: dict[str, object], make: Make, folder: AccessFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    make()
    monkeypatch.setattr("edgematrix.config.provisioning.write_registry", fail)
    with pytest.raises(KeyboardInterrupt):
        make(rotate=("pi",))
    monkeypatch.undo()
    assert [entry.name for entry, _ in make(**wish).rotated] == ["pi"]
    endpoint = Endpoint.parse(f"@{folder.of('host', 'pi') / 'broker.url'}")
    users = dict(line.split(":", 1) for line in (folder.broker / "machines.passwd").read_text().split())
    salt = b64decode(users["pi~2"].split("$")[3])
    assert (endpoint.username, mosquitto_hash(endpoint.password or "", salt)) == ("pi~2", users["pi~2"])
    assert not make().rotated


def test_a_first_time_that_was_interrupted_can_be_done_again(make: Make, folder: AccessFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgematrix.config.provisioning.Authority.save", fail)
    with pytest.raises(KeyboardInterrupt):
        make()
    monkeypatch.undo()
    assert make().is_new
    assert names(folder) == {"pi", "server", "home.lamp", "anna"}


def test_wherever_the_first_time_is_interrupted_it_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home.yaml").write_text("matrix: home\nsign: true\naccess: {hosts: [pi]}\nagents: {}\n")
    spec, replace = open_matrix(tmp_path / "home.yaml").spec, Path.replace
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    left = 0

    def replaced(draft: Path, file: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return replace(draft, file)

    monkeypatch.setattr(Path, "replace", replaced)
    for number in range(100):
        folder, left = AccessFolder(tmp_path / f"access{number}"), number
        try:
            provision(spec, folder, ProvisionWish(), NOW)
        except KeyboardInterrupt:
            left = 1_000
            provision(spec, folder, ProvisionWish(), NOW)
        read_key_pair(folder.of("host", "pi"), "pi")
        Authority.load(folder.authority, folder.authority_key)
        assert "user pi\n" in (folder.broker / "acl").read_text()
        if left < 900 and left >= 0:
            break
    assert number > 10


def test_a_folder_that_others_may_change_is_refused(make: Make, folder: AccessFolder) -> None:
    folder.path.mkdir()
    folder.path.chmod(0o777)
    with pytest.raises(UsageError, match="others than its owner may change it"):
        make()
    assert not list(folder.path.iterdir())


def test_a_signing_key_that_was_brought_away_stays_good_and_fast_rotations_leave_keys_that_hosts_read(
    make: Make, folder: AccessFolder
) -> None:
    make(SIGNED)
    before = SigningKey.read(folder.of("host", "pi")).key_id
    shutil.rmtree(folder.of("host", "pi"))
    make(SIGNED)
    anna = folder.of("operator", "anna")
    assert before in read_keys(anna)
    for minute in range(20):
        make(SIGNED, NOW + timedelta(minutes=minute), rotate=("pi",))
    assert SigningKey.read(folder.of("host", "pi")).key_id in read_keys(anna)


def test_the_configurations_that_are_written_are_taken_by_the_brokers(make: Make, folder: AccessFolder, tmp_path: Path) -> None:
    make(certificates=("server",), port=free_ports(4))
    text = (folder.broker / "mosquitto.conf").read_text().replace("/etc/mosquitto/edgematrix", str(folder.broker))
    text = text.replace("/var/lib/mosquitto", str(tmp_path)).replace("log_dest syslog", "log_dest stderr\nlog_type information")
    skip_without("mosquitto")
    (tmp_path / "mosquitto.conf").write_text(f"user {getpass.getuser()}\n{text}")
    with subprocess.Popen([choose("mosquitto")[1], "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.PIPE, text=True) as broker:
        assert broker.stderr is not None
        said = []
        for line in broker.stderr:
            said.append(line)
            if " running" in line:
                break
        broker.kill()
    assert any(" running" in line for line in said), said
    assert not any("Error" in line for line in said), said


def test_nats_server_takes_what_is_written_for_it(make: Make, folder: AccessFolder, tmp_path: Path) -> None:
    make(broker="nats")
    skip_without("nats")
    for name in ("nats.conf", "users.conf"):
        text = (folder.broker / name).read_text().replace("/etc/nats", str(folder.broker)).replace("/var/lib/nats", str(tmp_path))
        (tmp_path / name).write_text(text)
    done = subprocess.run([choose("nats")[1], "-t", "-c", str(tmp_path / "nats.conf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_go_to_another_broker_when_one_is_gone(make: Make, folder: AccessFolder) -> None:
    """Both have the same users and certificate; each listener is as far from the first port as on the first."""
    make(certificates=("server",), servers=("broker.local",), others=("two.local", "[::1]:9000"))
    found = {file.parent.name: Endpoint.parse(f"@{file}").places for file in folder.path.rglob("broker.url")}
    assert found["pi"] == (("broker.local", 8_883), ("two.local", 8_883), ("::1", 9_000))
    assert found["server"] == (("broker.local", 8_885), ("two.local", 8_885), ("::1", 9_002))
    first = (folder.broker / "server.pem").read_bytes()
    assert not make().moved
    done = make(others=("-",))
    assert (folder.broker / "server.pem").read_bytes() != first
    assert set(done.moved) == {"pi", "server", "anna", "home.lamp"}
    assert Endpoint.parse(f"@{folder.of('host', 'pi') / 'broker.url'}").others == ()


@pytest.mark.parametrize(
    ("others", "what"),
    [
        (("two:0",), "is not HOST"),
        (("two:x",), "is not HOST"),
        (("a b",), "is not HOST"),
        (("-", "two"), "is not HOST"),
        (("two", "two:8883"), "twice"),
        (("broker.local",), "twice"),
        (tuple(f"b{number}" for number in range(9)), "8 is the most"),
    ],
)
def test_other_brokers_that_are_none_are_refused(make: Make, others: tuple[str, ...], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        make(servers=("broker.local",), others=others)
