"""How a host as a service gets its secrets, and that a project keeps them out of its history."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import Command, command_in

from edgematrix.cli.run_file import without_password
from edgematrix.transport.endpoint import Endpoint


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_in(tmp_path, monkeypatch, capsys)


def installed(say: Command, tmp_path: Path, *more: object) -> str:
    folder = tmp_path / "my 100% secrets"
    folder.mkdir()
    for name in ("door_pin", "api_key", ".swp", "Not-a-name"):
        (folder / name).write_text("a-value-that-is-nowhere")
        (folder / name).chmod(0o600)
    done = say("host", "--name", "pi", "--broker", "mqtt://b", "--secrets", folder, *more, "--install", "--unit-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    unit = (tmp_path / "edgematrix-host-pi.service").read_text()
    assert "a-value-that-is-nowhere" not in unit + done.stdout + (tmp_path / "edgematrix-host-pi.env").read_text()
    return unit


def test_a_service_with_a_user_of_its_own_is_handed_each_secret_by_systemd(say: Command, tmp_path: Path) -> None:
    lines = [line for line in installed(say, tmp_path).splitlines() if "secret" in line]
    place = f"{tmp_path}/my 100%% secrets"
    assert lines == [f"LoadCredential=api_key:{place}/api_key", f"LoadCredential=door_pin:{place}/door_pin"]


def test_a_service_of_a_user_is_told_the_folder(say: Command, tmp_path: Path) -> None:
    lines = [line for line in installed(say, tmp_path, "--state", tmp_path / "state").splitlines() if "secret" in line]
    assert lines == [f'Environment="EDGEMATRIX_SECRETS={tmp_path}/my 100%% secrets"']


def test_a_folder_that_is_none_is_refused(say: Command, tmp_path: Path) -> None:
    done = say("host", "--broker", "mqtt://b", "--secrets", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr


def test_a_new_project_keeps_its_secrets_out_of_its_history(say: Command, tmp_path: Path) -> None:
    assert say("init", "new").returncode == 0
    assert "secrets/" in (tmp_path / "new" / ".gitignore").read_text().splitlines()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / ".gitignore").write_text(".edgematrix/\n")
    told = say("init", "old").stdout
    assert "add secrets/ to your .gitignore" in told
    assert "add .edgematrix/" not in told


@pytest.mark.parametrize(
    "url", ["mqtt://anna:hunter2hunter2@host:1", "mqtts://anna:hunter2hunter2@host?ca=c.pem", "mqtt://a:hunter2hunter2@x,y"]
)
def test_an_address_is_never_shown_with_its_password(url: str) -> None:
    endpoint = Endpoint.parse(url)
    for shown in (str(endpoint), repr(endpoint), without_password(url)):
        assert "hunter2" not in shown


def test_commands_that_reach_no_broker_say_no_password(say: Command, tmp_path: Path) -> None:
    url = "mqtt://anna:hunter2hunter2@127.0.0.1:1"
    (tmp_path / "home.yaml").write_text(
        f"matrix: home\nbroker: {url}\nagents: {{r: {{triggers: {{t: {{on: {{x: {{topic: t/x}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}}}\n"
    )
    for words in (
        ("host", "list", "--broker", url),
        ("watch", "--url", url, "--for", "100ms"),
        ("deploy", "home.yaml"),
        ("check", "home.yaml"),
    ):
        done = say(*words)
        assert "hunter2" not in done.stdout + done.stderr
