"""The address of a broker as a matrix names it: it may refer to secrets, and what is kept of it holds no password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from edgematrix.errors import UsageError
from edgematrix.identity.reference import fill, is_reference, names_in
from edgematrix.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from edgematrix.identity.secrets import SecretStore

__all__ = ["check_address", "filled", "without_credentials"]

_WANTED_BY = "`broker:`"
_STAND_IN = "secret"


def check_address(text: str) -> None:
    """Check an address that refers to secrets, as far as it is known.

    Raises:
        ValueError: a reference is malformed, a password is one in part only, or the rest is no address.
    """
    if not names_in(text) or is_reference(text):
        return
    marked = fill(text, lambda name: f"{_STAND_IN}-{name}")
    try:
        endpoint = Endpoint.parse(marked)
    except UsageError as error:
        raise ValueError(error.what) from None
    password = endpoint.password or ""
    if password and password not in [f"{_STAND_IN}-{name}" for name in names_in(text)]:
        raise ValueError("a password stands in the file, or a part of it; the whole of it is to be ${secret:name}")


def filled(text: str, store: SecretStore) -> str:
    """The address with the values of the secrets in it: one that is all of it as it is, others with what a URL needs escaped.

    Raises:
        SecretError: a secret cannot be read.
        UsageError: it is no address. The message holds nothing of it.
    """
    if is_reference(text):
        address = store.fill(text, _WANTED_BY)
        what = f"the secret {names_in(text)[0]} is no address of a broker"
    else:
        address = fill(text, lambda name: quote(store.read(name, _WANTED_BY).reveal(), safe=""))
        what = f"{text} is no address of a broker, with the values of its secrets"
    try:
        Endpoint.parse(address)
    except UsageError:
        raise UsageError(what, where=_WANTED_BY, remedy="write mqtts://user:password@host:8883") from None
    return address


def without_credentials(text: str) -> str:
    """The address for what is stored and shown: who connects is left out where a password stands there, and no mere reference."""
    scheme, mark, rest = text.partition("://")
    user, at, place = rest.partition("/")[0].partition("?")[0].rpartition("@")
    if not mark or not at or not _has_password(user):
        return text
    return f"{scheme}://{place}{rest[len(user) + 1 + len(place) :]}"


def _has_password(user: str) -> bool:
    """Whether a part of the password in `user:password` stands there itself."""
    return bool(fill(user, lambda name: "").partition(":")[2])  # noqa: ARG005 - what is referred to is left out
