"""What a board has to know of its place in a matrix: `device.json` and certificates (docs/firmware.md, "Provisioning")."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from edgematrix.access.principal import Role, principal_name
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.board_rules import board_rules
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import UsageError
from edgematrix.identity.access_folder import ADDRESS, AccessFolder
from edgematrix.identity.secret_file import read_secret
from edgematrix.protocol.path import AgentPath
from edgematrix.transport.endpoint import Endpoint

__all__ = ["CONFIG", "device_files"]

CONFIG: Final = "device.json"
_VERSION: Final = 1
_PROOFS: Final = ("ca", "cert", "key")


def device_files(spec: MatrixSpec, path: str, folder: AccessFolder, revision: int = 0) -> dict[str, bytes]:
    """The files of a board by their names on it.

    `device.json` has `v`, `path`, `root`, `host` and `port` of the broker, `others` (a list of `[host, port]`) where it is a cluster,
    `client_id`, `user`, `password`, `revision`; `tls` with the names of the files `ca`, `cert` and `key`, and of a single broker the
    `name` that it has to prove (of a cluster each proves its host); `rules`, what the board judges itself.

    Raises:
        UsageError: there is no such board in the matrix, or it has no identity in the folder.
    """
    tree = AgentTree.of(spec)
    board = _board(tree, path)
    place = folder.of(Role.DEVICE, principal_name(Role.DEVICE, board.path))
    address = place / ADDRESS
    if not address.exists():
        raise UsageError(f"{path} has no identity", where=str(folder.path), remedy="run edgematrix provision for the matrix first")
    endpoint = Endpoint.parse(f"@{address}")
    config: dict[str, object] = {"v": _VERSION, "path": board.path, "root": spec.root, "host": endpoint.host, "port": endpoint.port}
    if endpoint.others:
        config["others"] = [list(place) for place in endpoint.others]
    named = {"client_id": endpoint.client_id, "user": endpoint.username, "password": endpoint.password}
    config |= {name: value for name, value in named.items() if value is not None}
    config["revision"] = revision
    files: dict[str, bytes] = {}
    if endpoint.tls:
        proofs = {name: file for name in _PROOFS if (file := getattr(endpoint, name)) is not None}
        proved = {} if endpoint.others else {"name": endpoint.host}
        config["tls"] = {**proved, **{proof: f"{proof}.pem" for proof in proofs}}
        files = {f"{name}.pem": read_secret(Path(file)) for name, file in proofs.items()}
    table = next((found.table.form for found in board_rules(tree)[0] if found.board == board.path), [])
    if table:
        config["rules"] = table
    return {CONFIG: json.dumps(config, separators=(",", ":")).encode(), **files}


def _board(tree: AgentTree, path: str) -> AgentNode:
    boards = {str(node.path): node for node in tree if node.is_board}
    found = boards.get(path)
    if found is not None:
        return found
    if AgentPath(path) in tree.nodes:
        what = f"{path} is run by a host, and is no board"
    else:
        near = get_close_matches(path, boards, n=1)
        what = f"there is no board {path}" + (f"; did you mean {near[0]}?" if near else "")
    raise UsageError(what, remedy=f"boards are {', '.join(boards)}" if boards else "a board is an agent with `host:` that no host runs")
