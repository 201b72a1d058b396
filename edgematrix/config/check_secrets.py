"""What agents say about secrets, and where secrets are referred to that may not be (docs/spec/matrix.md, "Secrets")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.yaml_position import Key
from edgematrix.errors import SecretError
from edgematrix.identity.reference import may_refer, names_in
from edgematrix.identity.secrets import SecretStore

__all__ = ["check_secrets", "misplaced", "missing"]

_ALLOWED = frozenset({("llm", "api_key")})
_REMEDY = "name it in `secrets:` of an agent with code, which asks for it by Context.secret"


def check_secrets(tree: AgentTree) -> Iterator[Finding]:
    """Secrets of agents that have no code to ask for them."""
    for node in tree:
        names = node.spec.secrets
        if names and node.spec.python is None:
            yield error((*node.where, "secrets"), "`secrets` is for agents with python:", "rules have no use for them", at_key=True)
        double = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if double is not None:
            yield error((*node.where, "secrets"), f"the secret {double!r} is named twice", at_key=True)


def misplaced(value: object) -> list[Finding]:
    """Where a definition, or a part of one, refers to secrets where none may stand.

    They may in the address of a broker, and as the key of a model's server.
    """
    return [
        error(path, "a secret may not stand here, for what stands here is published, traced and kept", _REMEDY)
        for path, text in _texts(value, ())
        if may_refer(text) and path[-2:] not in _ALLOWED
    ]


def missing(spec: MatrixSpec, store: SecretStore) -> Iterator[Finding]:
    """Secrets that cannot be read here. They may be on another host: so this is a warning."""
    used: list[tuple[tuple[Key, ...], str, str]] = [(("broker",), name, "`broker:`") for name in names_in(spec.broker)]
    used += [
        ((*node.where, "secrets", index), name, str(node.path))
        for node in AgentTree.of(spec)
        for index, name in enumerate(node.spec.secrets)
    ]
    used += [
        ((*node.where, "llm", "api_key"), name, str(node.path))
        for node in AgentTree.of(spec)
        if node.spec.llm is not None
        for name in names_in(node.spec.llm.api_key or "")
    ]
    for path, name, wanted_by in used:
        try:
            store.read(name, wanted_by)
        except SecretError as wrong:
            what = f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what
            yield warning(path, what, wrong.remedy)


def _texts(value: object, path: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _texts(part, (*path, index))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name != "broker" or not isinstance(value, MatrixSpec):
                yield from _texts(getattr(value, field.name), (*path, field.name.rstrip("_")))
