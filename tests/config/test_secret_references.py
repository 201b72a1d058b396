"""Where a matrix may refer to secrets, and what is told where it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgematrix as em
from edgematrix.agents.spec import DeviceSpec, WriteSpec
from edgematrix.config.broker_address import filled, without_credentials
from edgematrix.config.exchange import dump, write
from edgematrix.config.live_record import kept_form, unpacked
from edgematrix.config.reading import checked, read_matrix
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import ConfigError, SecretError, UsageError
from edgematrix.identity.secrets import SecretStore

RULE = "agents: {r: {triggers: {t: {on: {x: {topic: t/x}}, do: [{publish: {topic: t/out, payload: 1}}]}}}}\n"


def read(tmp_path: Path, text: str, **variables: str):
    file = tmp_path / "m.yaml"
    file.write_text(text)
    return read_matrix(file, variables)


@pytest.mark.parametrize(
    "broker",
    [
        "${secret:broker}",
        "mqtts://${secret:user}:${secret:pw}@host:8883?ca=ca.pem",
        "mqtt://anna:${secret:pw}@host",
        "mqtt://${secret:host}",
    ],
)
def test_in_the_brokers_address_a_reference_stays_one(tmp_path: Path, broker: str) -> None:
    spec = read(tmp_path, f"matrix: home\nbroker: {broker}\n{RULE}").spec
    assert spec.broker == broker
    assert dump(spec)["broker"] == broker


@pytest.mark.parametrize(
    ("broker", "told"),
    [
        ("mqtt://anna:half${secret:pw}@host", "the whole of it"),
        ("mqtt://${secret:user}:literal@host", "the whole of it"),
        ("mqtt://${secret:Pw}@host", "lower-case"),
        ("mqtt://${secret:pw@host", "without its }"),
        ("http://${secret:pw}@host", "scheme 'http'"),
        ("x${secret:broker}", "scheme"),
    ],
)
def test_an_address_that_can_be_none_is_refused(tmp_path: Path, broker: str, told: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(tmp_path, f'matrix: home\nbroker: "{broker}"\n{RULE}')
    (issue,) = wrong.value.issues
    assert told in f"{issue.what} {issue.remedy}"
    assert (issue.line, issue.column) == (2, 9)
    assert "literal" not in str(issue)


@pytest.mark.parametrize(
    ("agent", "column"),
    [
        ('{triggers: {t: {on: {x: {topic: "t/${secret:pin}"}}, do: [{publish: {topic: t/out}}]}}}', 46),
        ('{triggers: {t: {on: {x: {topic: t/x}}, do: [{publish: {topic: "t/${secret:pin}"}}]}}}', 76),
        ('{triggers: {t: {on: {x: {topic: t/x}}, do: [{publish: {topic: t/o, payload: {pin: ["${secret:pin}"]}}}]}}}', 97),
        ('{triggers: {t: {on: {x: {topic: t/x}}, if: "x.value == ${secret:pin}", do: [{emit: {out: 1}}]}}}', 57),
        ('{device: {writes: {set: {topic: "${secret:pin}"}}}}', 46),
        ('{human: {ask: "is it ${secret:pin}?"}}', 28),
    ],
)
def test_anywhere_else_it_is_an_error_with_its_place_and_what_to_do(tmp_path: Path, agent: str, column: int) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(tmp_path, f"matrix: home\nagents:\n  agent_x:\n    kind: {agent}\n".replace("agent_x:\n    kind", "  agent_x"))
    issue = wrong.value.issues[0]
    assert "a secret may not stand here" in issue.what
    assert "Context.secret" in issue.remedy
    assert (issue.line, issue.column) == (3, column)


def test_an_escaped_reference_is_text(tmp_path: Path) -> None:
    assert not read(tmp_path, f"matrix: home\n{RULE}".replace("payload: 1", 'payload: "$${secret:x}"')).warnings


def test_in_python_too() -> None:
    home = em.Matrix("home", broker="mqtt://anna:${secret:pw}@host")
    home.add("lamp", AgentSpec(device=DeviceSpec(writes={"set": WriteSpec(topic="lamp/${secret:pin}/set")})))
    with pytest.raises(ConfigError, match=r"a secret may not stand here.*agents\.lamp\.device\.writes\.set\.topic"):
        checked(home.spec())
    right = em.Matrix("home", broker="mqtt://anna:${secret:pw}@host")

    @right.agent(secrets=["door_pin"])
    async def door(value: str, context: em.Context) -> None:
        context.secret("door_pin")

    reading = checked(right.spec())
    assert reading.spec.agents["door"].secrets == ["door_pin"]


def test_only_code_has_secrets_each_once_by_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`secrets` is for agents with python:"):
        read(tmp_path, f"matrix: home\n{RULE}".replace("{r: {", "{r: {secrets: [pin], "))
    with pytest.raises(ConfigError, match="named twice"):
        read(tmp_path, "matrix: home\nagents: {r: {python: m:f, secrets: [pin, pin]}}\n")
    with pytest.raises(ConfigError):
        read(tmp_path, "matrix: home\nagents: {r: {python: m:f, secrets: [../pin]}}\n")


def test_the_address_is_filled_where_it_is_used(tmp_path: Path) -> None:
    for name, value in {"pw": "p@ss:w/d?%", "broker": "mqtt://a:b@host:1884", "bad": "hunter2:secret"}.items():
        (tmp_path / name).write_text(value)
        (tmp_path / name).chmod(0o600)
    store = SecretStore(tmp_path)
    assert filled("mqtt://anna:${secret:pw}@host", store) == "mqtt://anna:p%40ss%3Aw%2Fd%3F%25@host"
    assert filled("${secret:broker}", store) == "mqtt://a:b@host:1884"
    with pytest.raises(UsageError) as wrong:
        filled("${secret:bad}", store)
    assert "hunter2" not in str(wrong.value)
    with pytest.raises(SecretError, match="`broker:`"):
        filled("mqtt://anna:${secret:nope}@host", store)
    store.close()


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("mqtt://anna:pw@host:1883", "mqtt://host:1883"),
        ("mqtts://anna:pw@host?ca=a@b.pem", "mqtts://host?ca=a@b.pem"),
        ("mqtt://anna@host", "mqtt://anna@host"),
        ("mqtt://${secret:user}:${secret:pw}@host", "mqtt://${secret:user}:${secret:pw}@host"),
        ("${secret:broker}", "${secret:broker}"),
        ("embedded", "embedded"),
    ],
)
def test_what_is_kept_of_an_address_holds_no_password(address: str, kept: str) -> None:
    assert without_credentials(address) == kept
    import zlib

    assert unpacked(zlib.compress(kept_form(MatrixSpec(matrix="home", broker=address)))).broker == kept
    assert kept_form(MatrixSpec(matrix="home", broker=kept)) == write(MatrixSpec(matrix="home", broker=kept))


@pytest.mark.parametrize(
    ("variable", "warns"),
    [("DB_PASSWORD", 1), ("API_KEY", 1), ("TOKEN", 1), ("DOOR_PIN", 1), ("MYSECRET", 1), ("LLM_URL", 0), ("MONKEY", 0), ("PINE", 0)],
)
def test_a_variable_that_looks_like_a_credential_is_warned_about_outside_the_brokers_address(
    tmp_path: Path, variable: str, warns: int
) -> None:
    text = f"matrix: home\nbroker: mqtt://anna:${{env:{variable}}}@host\n{RULE}".replace("payload: 1", f'payload: "${{env:{variable}}}"')
    warnings = read(tmp_path, text, **{variable: "value"}).warnings
    assert len(warnings) == warns
    for issue in warnings:
        assert (issue.severity, issue.line) == ("warning", 3)
        assert variable in issue.what
        assert "${secret:name}" in issue.remedy
        assert "value of" in issue.what


@pytest.mark.parametrize(
    ("address", "warns"),
    [
        ("mqtt://anna:hunter2@host", 1),
        ("mqtts://anna:${env:PW}x@host", 0),
        ("mqtts://anna:${secret:pw}@host", 0),
        ("mqtts://${secret:pw}:${secret:pw}@host", 0),
        ("mqtt://anna@host", 0),
        ("mqtts://host:8883?ca=a:b@c", 0),
        ("embedded", 0),
    ],
)
def test_a_password_in_the_file_is_warned_about(tmp_path: Path, address: str, warns: int) -> None:
    store = tmp_path / "secrets"
    store.mkdir(mode=0o700)
    (store / "pw").touch(mode=0o600)
    warnings = read(tmp_path, f'matrix: home\nbroker: "{address}"\n{RULE}', PW="value").warnings
    found = [issue for issue in warnings if "a password stands in the file" in issue.what]
    assert [(issue.severity, issue.line) for issue in found] == [("warning", 2)] * warns
    assert all("hunter2" not in issue.what + issue.remedy for issue in found)
