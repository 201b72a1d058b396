"""What a principal is given: the address with which it comes in, and what proves who it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from edgematrix.errors import UsageError
from edgematrix.identity.access_folder import ADDRESS
from edgematrix.identity.authority import BACKDATED, Authority
from edgematrix.identity.listener import CLIENT_ID_PREFIX
from edgematrix.identity.password import mosquitto_hash, nats_hash, new_client_id, new_password
from edgematrix.identity.registry import Entry, Generation, Kind, user_name
from edgematrix.identity.secret_file import write_secret

__all__ = ["address", "give_certificate", "give_secret", "move_address", "user_there"]


def give_secret(entry: Entry, number: int, folder: Path, authority: Authority, places: Sequence[str], now: datetime) -> Generation:
    """Write a new secret to the principal's folder; what is to be known of it.

    Args:
        number: the credential's.
        places: hosts with ports of the broker.

    Raises:
        UsageError: a file cannot be written.
    """
    user, password = user_name(entry.name, number), new_password()
    write_secret(folder / "ca.pem", authority.pem, synced=False)
    write_secret(folder / ADDRESS, address(user, places, f"{quote(user, safe='')}:{password}@"), synced=False)
    for left in ("cert.pem", "key.pem"):
        (folder / left).unlink(missing_ok=True)
    return Generation(number, Kind.SECRET, now, mosquitto=mosquitto_hash(password), nats=nats_hash(password))


def give_certificate(
    entry: Entry, number: int, folder: Path, authority: Authority, places: Sequence[str], now: datetime, days: int
) -> Generation:
    """Write a new certificate with its key to the principal's folder; what is to be known of it.

    Raises:
        UsageError: a file cannot be written.
    """
    user = user_name(entry.name, number)
    issued = authority.issue_client(user, now - BACKDATED, now + timedelta(days=days))
    write_secret(folder / "ca.pem", authority.pem, synced=False)
    # The address first: where this is interrupted, its user tells that what is beside it is not whole.
    write_secret(folder / ADDRESS, address(user, places, f"{quote(user, safe='')}@", "&cert=cert.pem&key=key.pem"), synced=False)
    write_secret(folder / "key.pem", issued.key, synced=False)
    write_secret(folder / "cert.pem", issued.certificate, synced=False)
    return Generation(number, Kind.CERTIFICATE, now, ends=issued.ends, serial=issued.serial)


def address(user: str, places: Sequence[str], proof: str, more: str = "") -> str:
    """The line of an address file. The client id is one that nobody guesses: not every broker keeps others from taking it.

    It has no `.`, which NATS refuses there.
    """
    client_id = new_client_id(f"{CLIENT_ID_PREFIX}{user.replace('.', ':')}-")
    return f"mqtts://{proof}{','.join(places)}?ca=ca.pem{more}&client_id={client_id}\n"


def user_there(folder: Path) -> str:
    """The user whose address stands in a folder; empty if there is none, or it cannot be read."""
    try:
        head = (folder / ADDRESS).read_text(encoding="utf-8").partition("@")[0]
    except (OSError, UnicodeDecodeError):
        return ""
    return unquote(head.partition("://")[2].partition(":")[0])


def move_address(folder: Path, places: Sequence[str]) -> bool:
    """Let an address that was given lead to other places; whether it was there, and led elsewhere.

    Raises:
        UsageError: it cannot be read or written.
    """
    file = folder / ADDRESS
    try:
        before = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(file)) from None
    head, at, rest = before.partition("@")
    _, mark, query = rest.partition("?")
    after = f"{head}{at}{','.join(places)}{mark}{query}"
    if after == before or not (at and mark):
        return False
    write_secret(file, after)
    return True
