"""Gives hosts and operators the keys with which they sign, one with each credential, and everybody the public ones of all."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import msgspec

from edgematrix.errors import StateError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.registry import Entry, Registry
from edgematrix.identity.secret_file import read_secret, write_secret
from edgematrix.identity.signing_keys import KEYS_MAX, SigningKey, write_keys

__all__ = ["SIGNERS_FILE", "give_signing_keys"]

SIGNERS_FILE = "signers.json"
_ROLES = frozenset({"host", "operator"})
_VERSION = 1


class _Given(msgspec.Struct, frozen=True):
    """The public key that was made with a credential, by the credential's number."""

    number: int
    public: bytes


class _Signers(msgspec.Struct):
    v: int
    principals: dict[str, list[_Given]]


def give_signing_keys(folder: AccessFolder, registry: Registry, deployers: Collection[str], now: datetime) -> None:
    """Make keys for those that have none with their newest credential, and tell all which keys are good.

    A key is good as long as the credential is that it was made with: revoking and replacing a credential does the same to the key.
    It may have been brought away: no other one is made in its place until the credential is replaced. Of one that replaces its
    credentials fast the newest keys are good, as many as a host reads.

    Args:
        deployers: who may say what runs.

    Raises:
        UsageError: a file cannot be written.
        StateError: the list of keys is damaged.
    """
    file = folder.path / SIGNERS_FILE
    known = _read(file)
    signers = [entry for entry in registry.principals if entry.role in _ROLES and entry.live(now)]
    given = {entry.name: _given(folder, entry, known.get(entry.name, []), now) for entry in signers}
    write_secret(file, msgspec.json.encode(_Signers(_VERSION, given)) + b"\n")
    keys = {name: [one.public for one in found] for name, found in given.items()}
    for entry in signers:
        write_keys(folder.of(entry.role, entry.name), keys, [name for name in deployers if name in keys])


def _given(folder: AccessFolder, entry: Entry, before: list[_Given], now: datetime) -> list[_Given]:
    live = {generation.number for generation in entry.live(now)}
    newest = entry.generations[-1].number
    found = [one for one in before if one.number in live]
    own = folder.make_for(entry.role, entry.name)
    if newest in live and all(one.number != newest for one in found):
        key = SigningKey.make()
        key.write(own)
        found.append(_Given(newest, key.public))
    return found[-KEYS_MAX:]


def _read(file: Path) -> dict[str, list[_Given]]:
    if not file.exists():
        return {}
    try:
        found = msgspec.json.decode(read_secret(file), type=_Signers)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"the list of keys is damaged: {error}", where=str(file), remedy="remove it: all get new keys") from None
    if found.v != _VERSION:
        raise StateError(f"the list of keys is of version {found.v}, expected {_VERSION}", where=str(file))
    return found.principals
