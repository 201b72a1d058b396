"""A matrix that was read, whichever way it is written."""

from __future__ import annotations

from dataclasses import dataclass

from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import Issue

__all__ = ["Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A matrix that can be built, what looks wrong in it nevertheless, and where its agents' code is found."""

    spec: MatrixSpec
    warnings: list[Issue]
    loader: CodeLoader
