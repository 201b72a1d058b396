"""The list of who has which credentials: what lets in, what does not, and what must never be used again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import StateError, UsageError
from edgematrix.identity.registry import (
    GENERATIONS_MAX,
    USER_LENGTH_MAX,
    Entry,
    Generation,
    Kind,
    Registry,
    read_registry,
    user_name,
    write_registry,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EMPTY = Registry.new("home", ["localhost"], 8883, "1.3", "mosquitto")
NAMES = ("pi", "anna", "zigbee")


def certificate(number: int, made: datetime = NOW) -> Generation:
    return Generation(number, Kind.CERTIFICATE, made, ends=made + 365 * DAY, serial=f"{number:x}a")


def of(*entries: Entry) -> Registry:
    return msgspec.structs.replace(EMPTY, principals=entries)


def test_the_old_credential_holds_as_long_as_was_said_and_not_longer() -> None:
    entry = Entry("pi", "host", "pi", (Generation(1, Kind.SECRET, NOW),)).replaced(NOW + 7 * DAY, NOW).with_new(certificate(2))
    registry = of(entry)
    assert registry.users(NOW) == {"pi": ("pi", "pi~2")}
    assert registry.users(NOW + 7 * DAY) == {"pi": ("pi~2",)}
    assert registry.users(NOW + 365 * DAY) == {"pi": ()}
    assert [one.state(NOW + 8 * DAY) for one in entry.generations] == ["replaced", "valid"]


def test_a_second_replacement_does_not_make_the_first_one_hold_longer() -> None:
    entry = Entry("pi", "host", "pi", (certificate(1),)).replaced(NOW + DAY, NOW).with_new(certificate(2)).replaced(NOW + 9 * DAY, NOW)
    assert [one.until for one in entry.generations] == [NOW + DAY, NOW + 9 * DAY]


def test_one_credential_is_revoked_or_all() -> None:
    entry = Entry("pi", "host", "pi", (certificate(1), certificate(2)))
    assert of(entry.revoked(NOW, 1)).users(NOW) == {"pi": ("pi~2",)}
    assert of(entry.revoked(NOW)).users(NOW) == {"pi": ()}
    assert of(entry.revoked(NOW)).revocations(NOW + DAY) == [("1a", NOW), ("2a", NOW)]
    assert of(entry.revoked(NOW)).revocations(NOW + 365 * DAY) == [], "their dates say it by then"


def test_a_certificate_of_which_nothing_is_remembered_stays_revoked() -> None:
    registry = EMPTY.following([("pi", "host", "pi")], NOW)
    for number in range(1, GENERATIONS_MAX + 11):
        entry = registry.entry("pi")
        assert entry is not None
        new = Generation(number, Kind.CERTIFICATE, NOW, ends=NOW + DAY, serial=f"{number:x}")
        registry = registry.changed(entry.revoked(NOW).with_new(new))
    assert len(registry.revocations(NOW)) == GENERATIONS_MAX + 9
    assert registry.revocations(NOW + DAY) == []


def test_whoever_comes_again_gets_no_name_that_an_old_certificate_has() -> None:
    gone = of(Entry("pi", "host", "pi", (certificate(1), certificate(2)))).following([], NOW)
    assert gone.revocations(NOW) == [("1a", NOW), ("2a", NOW)]
    again = gone.following([("pi", "host", "pi")], NOW)
    assert again.next_number(again.principals[0]) == 3
    assert again.revocations(NOW) == [("1a", NOW), ("2a", NOW)]


def test_a_name_that_stands_for_something_else_now_gets_new_credentials() -> None:
    after = of(Entry("pi", "host", "pi", (certificate(1),))).following([("pi", "operator", "pi")], NOW)
    assert after.users(NOW) == {"pi": ()}
    assert after.revocations(NOW) == [("1a", NOW)]


CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "rotate", "revoke", "wait"]), st.sampled_from(NAMES), st.integers(0, 20)), max_size=40
)


@given(CHANGES)
def test_no_user_name_is_ever_given_twice_and_whatever_is_not_live_is_revoked(changes: list[tuple[str, str, int]]) -> None:
    registry, now, given_names, wanted = EMPTY, NOW, set[str](), dict[str, None]()
    serials: dict[str, tuple[str, datetime]] = {}

    def give(entry: Entry) -> Entry:
        number = registry.next_number(entry)
        user = user_name(entry.name, number)
        assert user not in given_names
        given_names.add(user)
        serial = f"{len(serials) + 1:x}"
        serials[serial] = (user, now + 30 * DAY)
        return entry.with_new(Generation(number, Kind.CERTIFICATE, now, ends=now + 30 * DAY, serial=serial))

    for what, name, days in changes:
        entry = registry.entry(name)
        if what == "wait":
            now += days * DAY
        elif what in ("add", "remove"):
            wanted = {**wanted, name: None} if what == "add" else {one: None for one in wanted if one != name}
        elif entry is not None and what == "rotate":
            registry = registry.changed(give(entry.replaced(now + days * DAY, now)))
        elif entry is not None:
            registry = registry.changed(entry.revoked(now))
        registry = registry.following([(one, "host", one) for one in wanted], now)
        for new in registry.principals:
            if not new.generations:
                registry = registry.changed(give(new))
        live = {one.serial for _, _, one in registry.live(now)}
        dead = {serial for serial, _ in registry.revocations(now)}
        assert not live & dead
        assert {serial for serial, (_, ends) in serials.items() if now < ends} == live | dead


@given(st.text("abc.-_", min_size=1, max_size=80), st.integers(1, 999_999))
def test_a_user_name_fits_into_a_certificate(name: str, number: int) -> None:
    user = user_name(name, number)
    assert len(user) <= USER_LENGTH_MAX
    assert number == 1 or user.endswith(f"~{number}")
    assert user == name or len(name) > USER_LENGTH_MAX - 7 or number > 1


def test_long_names_differ_by_what_is_cut_off() -> None:
    assert len({user_name("a" * 63 + end, 2) for end in "xyz"}) == 3


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    registry = of(Entry("pi", "host", "pi", (certificate(1), Generation(2, Kind.SECRET, NOW, mosquitto="$7$", nats="$2a$"))))
    file = tmp_path / "principals.json"
    write_registry(registry, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_registry(file) == registry


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is lost"),
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b'{"version": 1}', "damaged"),
        (b'{"version": 7, "matrix": "m", "servers": [], "port": 1, "tls": "1.3", "broker": "mosquitto"}', "version 7"),
    ],
)
def test_a_list_that_cannot_be_read_says_so(content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "principals.json"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises((StateError, UsageError), match=words) as caught:
        read_registry(file)
    assert caught.value.remedy


def test_a_list_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "principals.json"
    write_registry(EMPTY, file)
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others than its owner") as caught:
        read_registry(file)
    assert caught.value.remedy == f"chmod 600 {file}"
