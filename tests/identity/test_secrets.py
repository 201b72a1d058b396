"""The folder of secrets, what hides their values, and what finds them."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import RunError, SecretError
from edgematrix.identity.redaction import Redaction, guard_logs, release_logs
from edgematrix.identity.reference import fill, is_reference, may_refer, names_in
from edgematrix.identity.secret import Secret
from edgematrix.identity.secrets import FILE_BYTES_MAX, OwnSecrets, SecretStore, StandIns

PIN = 'pa"ss/wörd+%41 42'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SecretStore]:
    found = SecretStore(tmp_path, "a test")
    put(found, "door_pin", f"{PIN}\n")
    yield found
    found.close()


def put(store: SecretStore, name: str, content: str | bytes, mode: int = 0o600) -> Path:
    file = store.folder / name
    file.unlink(missing_ok=True)  # whoever is not root may not write over one that is for reading alone
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)
    return file


def test_a_secret_is_its_files_text_without_the_last_line_break(store: SecretStore) -> None:
    assert store.read("door_pin", "home/door").reveal() == PIN
    put(store, "door_pin", "two\nlines\r\n")
    assert store.read("door_pin", "home/door").reveal() == "two\nlines"  # a change is taken up with the next use
    put(store, "door_pin", "no break", 0o400)
    assert store.fill("Bearer ${secret:door_pin}", "home/llm") == "Bearer no break"


def test_a_missing_secret_is_named_with_who_wants_it_where_it_was_looked_for_and_the_nearest(store: SecretStore) -> None:
    with pytest.raises(SecretError) as wrong:
        store.read("door_pim", "home/door")
    for part in ("'door_pim'", "home/door", str(store.folder), "(a test)", "did you mean 'door_pin'?"):
        assert part in str(wrong.value)
    with pytest.raises(SecretError, match=r"write it there: install -m 600"):
        SecretStore(store.folder / "nowhere").read("x", "home/door")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_secret_that_others_may_use_is_refused_with_the_remedy(store: SecretStore, mode: int) -> None:
    file = put(store, "door_pin", "value", mode)
    with pytest.raises(SecretError) as wrong:
        store.read("door_pin", "home/door")
    assert wrong.value.remedy == f"chmod 600 {file}"
    assert "value" not in str(wrong.value)


def test_systemds_files_may_show_an_access_list_as_bits_of_the_group(store: SecretStore) -> None:
    put(store, "door_pin", "value", 0o440)
    environment = {"CREDENTIALS_DIRECTORY": str(store.folder)}
    assert SecretStore.found(Path("elsewhere"), "", environment).read("door_pin", "a").reveal() == "value"
    put(store, "door_pin", "value", 0o444)
    with pytest.raises(SecretError, match="others than its owner"):
        SecretStore.found(Path("elsewhere"), "", environment).read("door_pin", "a")


def test_the_environment_says_where_secrets_are_ours_before_systemds() -> None:
    both = {"EDGEMATRIX_SECRETS": "/ours", "CREDENTIALS_DIRECTORY": "/run/credentials"}
    assert SecretStore.found(Path("beside"), "", both).folder == Path("/ours")
    del both["EDGEMATRIX_SECRETS"]
    assert SecretStore.found(Path("beside"), "", both).folder == Path("/run/credentials")
    assert SecretStore.found(Path("beside"), "", {"EDGEMATRIX_SECRETS": ""}).folder == Path("beside")


def test_what_is_no_secret_is_refused(store: SecretStore) -> None:
    put(store, "large", b"x" * (FILE_BYTES_MAX + 1))
    put(store, "bytes", b"\xff\xfe")
    put(store, "empty", "\n")
    (store.folder / "folder").mkdir()
    os.mkfifo(store.folder / "pipe", 0o600)
    for name, told in {
        "large": "more than 65536 bytes",
        "bytes": "UTF-8",
        "empty": "empty",
        "folder": "no file",
        "pipe": "no file",
    }.items():
        with pytest.raises(SecretError, match=told):
            store.read(name, "home/door")
    put(store, "largest", b"x" * FILE_BYTES_MAX)
    assert len(store.read("largest", "home/door").reveal()) == FILE_BYTES_MAX


@pytest.mark.parametrize("name", ["", "../door_pin", "/etc/passwd", "Door", ".hidden", "a/b", "a\0b"])
def test_a_name_is_a_name_and_no_path(store: SecretStore, name: str) -> None:
    with pytest.raises(SecretError, match="the secret"):
        store.read(name, "home/door")
    with pytest.raises(SecretError, match="the secret"):
        StandIns().read(name, "home/door")


def test_a_value_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret("pin", PIN)
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>10}", "%s" % secret, f"{[secret]}", str({"pin": secret})):  # noqa: UP031
        assert PIN not in shown
        assert "***" in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret == Secret("other", PIN) != Secret("pin", "else")
    assert secret != PIN


def test_values_are_found_in_all_the_ways_in_which_they_are_commonly_written() -> None:
    redaction = Redaction()
    redaction.learn(Secret("pin", PIN))
    for form in (PIN, json.dumps(PIN), json.dumps(PIN, ensure_ascii=False), repr(PIN), quote(PIN), quote(PIN, safe="")):
        assert redaction.found_in({"a": [{"b": f"x{form}y"}]}) == "pin"
        assert redaction.text(f"x{form}y").replace('"', "").replace("'", "") == "x***y"
    for form in (base64.b64encode(PIN.encode()).decode(), base64.urlsafe_b64encode(PIN.encode()).decode()):
        assert redaction.found_in(form) == "pin"
    assert redaction.found_in({PIN: 1}) == redaction.found_in(PIN.encode()) == redaction.found_in([Secret("pin", "x")]) == "pin"
    assert redaction.found_in({"nothing": [1, 2.5, None, True, "text"]}) == ""
    assert redaction.veiled({"a": [f"<{PIN}>", 1, None], PIN: PIN}) == {"a": ["<***>", 1, None], "***": "***"}


def test_a_number_is_found_where_it_is_all_of_it_and_short_values_nowhere() -> None:
    redaction = Redaction()
    redaction.learn(Secret("pin", "4711"))
    redaction.learn(Secret("short", "123"))
    assert redaction.found_in([4711]) == "pin"
    assert redaction.found_in([47110, 14711.5, "123", 123]) == ""
    holds_itself: list[object] = [1]
    holds_itself.append(holds_itself)
    assert redaction.found_in(holds_itself) == ""


@given(st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4, max_size=40), st.text(), st.text())
def test_no_value_is_left_in_a_text(value: str, before: str, after: str) -> None:
    redaction = Redaction()
    redaction.learn(Secret("pin", value))
    assert value not in redaction.text(before + value + after)


def test_an_agent_has_the_secrets_that_it_names_and_puts_out_none(store: SecretStore) -> None:
    put(store, "other", "another value")
    own = OwnSecrets(store, "home/door", ["door_pin"])
    own.refuse_in(PIN, "it")  # it has not read it: the value is as any text
    assert own.read("door_pin").reveal() == PIN
    with pytest.raises(RunError, match="may not have the secret 'other'"):
        own.read("other")
    with pytest.raises(RunError) as wrong:
        own.refuse_in({"a": [f"x{PIN}"]}, "what is put out")
    assert "what is put out holds the secret 'door_pin'" in str(wrong.value)
    assert PIN not in str(wrong.value)


def test_no_log_line_holds_a_value_whoever_writes_it(store: SecretStore, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("somebody.elses")
    before = logging.getLogRecordFactory()
    store.read("door_pin", "home/door")
    log.error("the pin is %s", PIN)
    log.error("the pin is %(pin)s", {"pin": PIN})
    log.error(f"{PIN} in json {json.dumps(PIN)}")  # noqa: G004
    log.error("too few: %s %s", PIN)  # noqa: PLE1206
    log.error("a control value %s", "control")
    try:
        try:
            raise ValueError(PIN)
        except ValueError as error:
            raise KeyError(f"after {PIN}") from error
    except KeyError:
        log.exception("with %s", PIN, stack_info=True)
    told = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert PIN not in told
    assert json.dumps(PIN)[1:-1] not in told
    assert told.count("***") >= 7
    assert "Traceback" in told
    assert "a control value control" in told
    store.close()
    assert logging.getLogRecordFactory() is before
    log.error("afterwards %s", PIN)
    assert PIN in caplog.records[-1].getMessage()


def test_several_hosts_of_a_process_guard_its_logs_apart(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    first, second = Redaction(), Redaction()
    for redaction, value in ((first, "value-one"), (second, "value-two")):
        redaction.learn(Secret("x", value))
        guard_logs(redaction)
    release_logs(first)
    release_logs(first)
    logging.getLogger("x").error("value-one value-two")
    release_logs(second)
    assert caplog.records[-1].getMessage() == "value-one ***"
    assert logging.getLogRecordFactory() is before


def test_references_are_found_and_filled() -> None:
    assert names_in("mqtt://${secret:user}:${secret:pw}@host") == ["user", "pw"]
    assert names_in("$${secret:user} ${env:X} ${temp.value}") == []
    assert fill("a${secret:x}b", lambda name: "${secret:y}") == "a${secret:y}b"
    assert is_reference("${secret:x}")
    assert not is_reference("${secret:x} ")
    assert may_refer("a ${secret:")
    assert not may_refer("$${secret:x}")
    for wrong in ("${secret:}", "${secret:x", "${secret:A B}", "${secret:../x}"):
        with pytest.raises(ValueError, match="secret"):
            names_in(wrong)
