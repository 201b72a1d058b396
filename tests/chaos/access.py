"""The access list of a run: hosts come with a name and may do what the chain needs of them, and what the broker refuses is counted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from edgematrix.access.grant import Access, Grant, Grants
from edgematrix.access.mosquitto import acl_file
from edgematrix.access.principal import Principal, Role
from edgematrix.config.authority import principals_of
from edgematrix.config.spec import MatrixSpec
from edgematrix.identity.password import mosquitto_hash

__all__ = ["ACCESS", "DEPLOYER", "EAR", "WORLD", "address", "broker_lines", "denials"]

DEPLOYER, WORLD, EAR = "deployer", "world", "raw-ear"
ACCESS = f"access: {{operators: {{{DEPLOYER}: {{deploys: true}}}}}}\n"
"""What is said in the chain's file."""
_WORD = "chaos"
_DENIED = re.compile(rb"Denied PUBLISH from (\S+) \(d\d, q\d, r\d, m\d+, '([^']*)'")
_SUBSCRIBED = re.compile(rb"^\d+: (\S+) [012] (\S+)$", re.MULTILINE)


def address(url: str, user: str) -> str:
    """A broker's address, for somebody."""
    return url.replace("mqtt://", f"mqtt://{user}:{_WORD}@")


def broker_lines(spec: MatrixSpec, folder: Path) -> str:
    """What mosquitto's configuration says besides; the files that it names are made. Each user's name is its client's id."""
    everything = Grants([Grant(Access.READ, "#"), Grant(Access.WRITE, "#")])
    world = [Principal(name, Role.CLIENT, name, everything) for name in (WORLD, EAR)]
    everybody = [*principals_of(spec), *world]
    hashed = mosquitto_hash(_WORD)
    for name, text in (("acl", acl_file(everybody)), ("passwords", "".join(f"{one.name}:{hashed}\n" for one in everybody))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    logged = "".join(f"log_type {kind}\n" for kind in ("error", "warning", "notice", "information", "debug", "subscribe"))
    return f"use_username_as_clientid true\nacl_file {folder}/acl\npassword_file {folder}/passwords\n{logged}"


def denials(spec: MatrixSpec, log: Path) -> Counter[str]:
    """What the broker refused, and what was asked for beyond the list, which mosquitto grants and never delivers."""
    said = log.read_bytes()
    grants = {one.name: one.grants for one in principals_of(spec)}
    found = Counter(f"{who.decode()} may not publish on {topic.decode(errors='replace')}" for who, topic in _DENIED.findall(said))
    for who, topic_filter in _SUBSCRIBED.findall(said):
        known = grants.get(who.decode())
        if known is not None and not known.allows(Access.READ, topic_filter.decode()):
            found[f"{who.decode()} may not read {topic_filter.decode()}"] += 1
    return found
