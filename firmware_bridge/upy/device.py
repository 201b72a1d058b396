"""What a board was provisioned with: `device.json`, and the certificates beside it (docs/firmware.md, "Provisioning").

agent = Agent(**load())
"""

import json

__all__ = ["load", "rules"]

_VERSION = 1
_TLS_FILES = ("ca", "cert", "key")
_OPTIONS = ("path", "host", "port", "others", "root", "client_id", "revision", "user", "password")


def load(path: str = "device.json") -> "dict[str, object]":
    """The arguments of an `Agent` or a `Sleeper`.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged, or of another version.
    """
    found = _read(path)
    options = {name: found[name] for name in _OPTIONS if name in found}
    tls = found.get("tls")
    if isinstance(tls, dict):
        folder = path[: path.rfind("/") + 1]
        options["tls"] = {name: folder + value if name in _TLS_FILES else value for name, value in tls.items()}
    return options


def rules(path: str = "device.json") -> object:
    """The rules that the board judges from the start, for a `Judge`; None where there are none.

    Raises:
        OSError, ValueError: as `load`.
    """
    return _read(path).get("rules")


def _read(path: str) -> "dict[str, object]":
    with open(path) as file:
        try:
            found = json.load(file)
        except ValueError:
            raise ValueError("%s is no JSON: provision the board anew" % path) from None
    if not isinstance(found, dict) or found.get("v") != _VERSION or not isinstance(found.get("path"), str):
        raise ValueError("%s is of another version, or damaged: provision the board anew" % path)
    return found
