"""`${env:NAME}` and `${env:NAME:-default}` in the values of a file. Other `${…}`, and `$${`, are left for whoever reads the value."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["substitute"]

_REFERENCE = re.compile(r"(?<!\$)\$\{env:([^{}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
