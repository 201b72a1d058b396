"""Everything that is checked when a matrix is read, whoever made it (docs/spec/triggers.md, "Checked when the file is read")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.check_broker import check_broker
from edgematrix.config.check_compiled import check_compiled
from edgematrix.config.check_cycles import check_cycles
from edgematrix.config.check_hosts import check_hosts
from edgematrix.config.check_names import check_names
from edgematrix.config.check_order import check_order
from edgematrix.config.check_publishes import check_publishes
from edgematrix.config.check_references import check_references
from edgematrix.config.finding import Finding
from edgematrix.config.spec import MatrixSpec

if TYPE_CHECKING:
    from edgematrix.config.code_loader import CodeLoader

__all__ = ["check_matrix"]


def check_matrix(spec: MatrixSpec, loader: CodeLoader | None = None) -> list[Finding]:
    """What is wrong, and what looks wrong, in a matrix whose parts are each well-formed.

    Args:
        spec: the matrix.
        loader: loads the code of its agents, whose types are compared then; without it no code is loaded.
    """
    tree = AgentTree.of(spec)
    return [
        *tree.findings,
        *_load_code(tree, loader),
        *check_names(tree),
        *check_references(tree),
        *_check_types(tree),
        *check_publishes(tree),
        *check_hosts(tree),
        *check_broker(tree),
        *_check_signing(tree),
        *_check_secrets(tree),
        *check_compiled(tree),
        *check_order(tree),
        *_check_composites(tree),
        *_check_approvals(tree),
        *_check_onnx(tree, loader),
        *_check_voices(tree, loader),
        *check_cycles(tree),
    ]


def _load_code(tree: AgentTree, loader: CodeLoader | None) -> Iterable[Finding]:
    if loader is None or not any(node.has_code for node in tree):
        return ()
    from edgematrix.config.code_types import LoadedTypes  # noqa: PLC0415 - a matrix without code does not need it

    tree.code = found = LoadedTypes(loader)
    return found.findings(tree)


def _check_composites(tree: AgentTree) -> Iterable[Finding]:
    if not tree.compositions:
        return ()
    from edgematrix.config.check_composites import check_composites  # noqa: PLC0415 - a matrix of rules does not need it

    return check_composites(tree)


def _check_approvals(tree: AgentTree) -> Iterable[Finding]:
    writes = (write for node in tree if node.spec.device is not None for write in node.spec.device.writes.values())
    if not any(write.critical for write in writes) and not any(node.spec.human is not None for node in tree):
        return ()
    from edgematrix.config.check_approvals import check_approvals  # noqa: PLC0415 - few matrices ask people

    return check_approvals(tree)


def _check_secrets(tree: AgentTree) -> Iterable[Finding]:
    if not any(node.spec.secrets for node in tree):
        return ()
    from edgematrix.config.check_secrets import check_secrets  # noqa: PLC0415 - few matrices name any

    return check_secrets(tree)


def _check_signing(tree: AgentTree) -> Iterable[Finding]:
    if not tree.matrix.sign and not any(node.spec.sign for node in tree):
        return ()
    from edgematrix.config.signing import check_signing  # noqa: PLC0415 - few matrices have signed messages

    return check_signing(tree)


def _check_onnx(tree: AgentTree, loader: CodeLoader | None) -> Iterable[Finding]:
    if all(node.spec.onnx is None for node in tree):
        return ()
    from edgematrix.config.onnx_agent import check_onnx  # noqa: PLC0415 - a matrix without models does not need it

    return check_onnx(tree, None if loader is None else loader.folder)


def _check_voices(tree: AgentTree, loader: CodeLoader | None) -> Iterable[Finding]:
    if all(node.spec.voice is None for node in tree):
        return ()
    from edgematrix.config.voice_agent import check_voices  # noqa: PLC0415 - a matrix without a microphone does not need it

    return check_voices(tree, None if loader is None else loader.folder)


def _check_types(tree: AgentTree) -> Iterable[Finding]:
    if not tree.compositions and tree.code is None and not any(map(_has_types, tree)):
        return ()
    from edgematrix.config.check_types import check_types  # noqa: PLC0415 - a matrix of rules without types does not need it

    return check_types(tree)


def _has_types(node: AgentNode) -> bool:
    spec = node.spec
    if spec.inputs or spec.outputs or (spec.device and any(write.schema is not None for write in spec.device.writes.values())):
        return True
    return any(source.schema is not None for group in spec.triggers.values() for source in group.on.values())
