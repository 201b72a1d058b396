"""The brokers that there are to choose from, read from the profiles (`brokers/profiles.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from edgematrix.errors import UsageError
from edgematrix.runtime.capabilities import read_profile

__all__ = ["Profile", "ProfileNode", "load_profile", "load_profiles"]


@dataclass(frozen=True, slots=True)
class ProfileNode:
    """One process of a profile: its name, its kind of program, and the file of `brokers/` that configures it."""

    name: str
    program: str
    configuration: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One choice of brokers; the fields are explained in the file."""

    name: str
    about: str
    one_bus: bool = True
    nodes: tuple[ProfileNode, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """The page about it."""
        return f"docs/brokers/{self.name}.md"

    @property
    def configurations(self) -> Mapping[str, str]:
        """Its files in `brokers/`, each with where it belongs; empty if that is for who starts it to say."""
        return self.files or {node.configuration: "" for node in self.nodes}


def load_profiles() -> Mapping[str, Profile]:
    """Every profile, by its name."""
    found: dict[str, Profile] = {}
    for name, told in tomllib.loads(read_profile("profiles.toml")).items():
        nodes = tuple(ProfileNode(**node) for node in told.pop("nodes", ()))
        found[name] = Profile(name=name, nodes=nodes, **told)
    return found


def load_profile(name: str) -> Profile:
    """The profile of this name.

    Raises:
        UsageError: there is none.
    """
    known = load_profiles()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no broker profile {name[:40]!r}", remedy=remedy)
    return known[name]
