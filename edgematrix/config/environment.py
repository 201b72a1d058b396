"""`${env:NAME}` and `${env:NAME:-default}` in the values of a file. Other `${…}`, and `$${`, are left for whoever reads the value."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["credentials_in", "has_password", "substitute"]

_REFERENCE = re.compile(r"(?<!\$)\$\{env:([^{}]*)\}?")
_WITH_PASSWORD = re.compile(r"mqtts?://(?:\$\{[^{}]*\}|[^/?@:\s$])*:(?!\$\{)[^/?@\s]+@")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL = re.compile(r"PASSW(OR)?D|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|APIKEY|(?<![A-Z])(KEY|PIN|PASS|PW)S?(?![A-Z])")
"""In the name of a variable: its value is probably one that nobody is to see."""
_FORM = "${env:NAME} or ${env:NAME:-default}"


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Replace every reference to an environment variable. What comes in is not read again.

    Raises:
        ValueError: a variable without a default is not set, or a reference is malformed.
    """

    def value_of(match: re.Match[str]) -> str:
        name, separator, default = match[1].partition(":-")
        if not match[0].endswith("}") or _NAME.fullmatch(name) is None:
            raise ValueError(f"expected {_FORM}, found {match[0][:80]!r}")
        found = variables.get(name)
        if found is not None:
            return found
        if not separator:
            raise ValueError(f"the environment variable {name} is not set; set it, or write ${{env:{name}:-default}}")
        return default

    return _REFERENCE.sub(value_of, text)


def credentials_in(text: str) -> list[str]:
    """The variables that a text refers to whose names tell that their values are passwords, keys and the like."""
    names = (match[1].partition(":-")[0] for match in _REFERENCE.finditer(text))
    return [name for name in names if _CREDENTIAL.search(name.upper())]


def has_password(text: str) -> bool:
    """Whether a broker's address has a password in it that is no reference to something else, as the file has it."""
    return _WITH_PASSWORD.match(text) is not None
