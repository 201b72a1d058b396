"""A broker's address in a file: found from anywhere, refused where others may read it, and never quoted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgematrix.errors import UsageError
from edgematrix.identity.secret_file import read_secret
from edgematrix.transport.address_file import read_address
from edgematrix.transport.endpoint import Endpoint


def written(directory: Path, text: str, mode: int = 0o600) -> Path:
    file = directory / "broker.url"
    file.unlink(missing_ok=True)  # whoever is not root may not write over one that is for reading alone
    file.write_text(text)
    file.chmod(mode)
    return file


def test_files_named_there_stand_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my 100% keys"
    folder.mkdir()
    written(folder, "# of pi\n\nmqtts://pi:s%40crt@h?ca=ca.pem&cert=sub/c%20t.pem&key=/k.pem&client_id=op:pi-1\n")
    monkeypatch.chdir(tmp_path)
    endpoint = Endpoint.parse("@my 100% keys/broker.url")
    assert (endpoint.ca, endpoint.cert, endpoint.key) == (f"{folder}/ca.pem", f"{folder}/sub/c t.pem", "/k.pem")
    assert (endpoint.username, endpoint.password, endpoint.client_id, endpoint.has_identity) == ("pi", "s@crt", "op:pi-1", True)
    assert "s@crt" not in repr(endpoint) + str(endpoint)


def test_a_plain_address_has_no_identity(tmp_path: Path) -> None:
    assert not Endpoint.parse(f"@{written(tmp_path, 'mqtt://h')}").has_identity


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_what_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = written(tmp_path, "mqtts://pi:secret@h", mode)
    with pytest.raises(UsageError, match="others than its owner") as caught:
        Endpoint.parse(f"@{file}")
    assert caught.value.remedy == f"chmod 600 {file}"


def test_what_systemd_hands_over_is_the_services_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Endpoint.parse(f"@{written(tmp_path, 'mqtts://pi:secret@h', 0o440)}").username == "pi"
    with pytest.raises(UsageError, match="others"):
        Endpoint.parse(f"@{written(tmp_path, 'mqtts://pi:secret@h', 0o444)}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "mqtt://a:secret@h\nmqtt://b:secret@h",
        "@broker.url",
        "@x://secret",
        "http://a:secret@h",
        "\x00\xff",
        "mqtt://h?secret=1",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        Endpoint.parse(f"@{file}")
    assert "a:secret" not in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("address", ["@", "@/nowhere/broker.url", "@/"])
def test_a_file_that_is_missing_is_named(address: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.parse(address)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("x")
    (tmp_path / "k.pem").chmod(0o644)
    endpoint = Endpoint.parse(f"mqtts://h?cert={tmp_path}/c.pem&key={tmp_path}/k.pem")
    with pytest.raises(UsageError, match="others than its owner") as caught:
        endpoint.ssl_context()
    assert caught.value.where == f"{tmp_path}/k.pem"


@pytest.mark.parametrize("text", ["mqtt://h?client_id=", "mqtt://h?client_id=a.b", "mqtt://h?client_id=a&client_id=b"])
def test_a_client_id_that_some_broker_refuses_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="client"):
        Endpoint.parse(text)


def test_a_pipe_is_no_file_and_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "broker.url", 0o600)
    with pytest.raises(UsageError, match="is no file"):
        read_address(f"@{tmp_path / 'broker.url'}")
    with pytest.raises(UsageError, match="is no file"):
        read_secret(tmp_path / "broker.url")
