"""Secrets, and their hashes as the brokers' own programs make and read them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest

from edgematrix.identity.password import mosquitto_hash, nats_hash, new_client_id, new_password
from edgematrix.transport.settings import check_client_id


def test_a_secret_is_long_and_stands_in_an_address_as_it_is() -> None:
    found = {new_password() for _ in range(100)}
    assert len(found) == 100
    assert all(len(base64.urlsafe_b64decode(f"{one}=")) == 32 for one in found)


def test_the_hash_is_the_one_that_mosquitto_makes(tmp_path: Path) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed")
    file = tmp_path / "users"
    subprocess.run([program, "-c", "-b", str(file), "anna", "secret"], check=True, capture_output=True)
    theirs = file.read_text().strip().partition(":")[2]
    _, kind, iterations, salt, _ = theirs.split("$")
    assert kind == "7"
    assert mosquitto_hash("secret", base64.b64decode(salt), int(iterations)) == theirs


def test_two_hashes_of_one_secret_differ() -> None:
    assert mosquitto_hash("secret") != mosquitto_hash("secret")
    assert nats_hash("secret") != nats_hash("secret")


def test_the_hash_for_nats_is_bcrypt_in_its_first_form() -> None:
    found = nats_hash("secret")
    assert found.startswith("$2a$")
    assert bcrypt.checkpw(b"secret", found.encode())


def test_every_broker_takes_the_client_id() -> None:
    assert check_client_id(new_client_id("op:anna~2-"))
