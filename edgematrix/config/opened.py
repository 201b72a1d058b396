"""A matrix that was read, whichever way it is written."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import Issue, UsageError

__all__ = ["Opened"]


class Opened(msgspec.Struct):
    """A matrix that can be built, what looks wrong in it nevertheless, and where its agents' code is found."""

    spec: MatrixSpec
    warnings: list[Issue]
    loader: CodeLoader
    _is_handed_over: bool = False

    def hand_over(self) -> MatrixSpec:
        """The definition, for the host that is built from it. Only its head stays here: the agents of 10,000 rules take 17 MB.

        Raises:
            UsageError: it was handed over before.
        """
        if self._is_handed_over:
            raise UsageError(f"the matrix {self.spec.matrix} was launched before", remedy="open it again")
        self._is_handed_over = True
        spec, self.spec = self.spec, replace(self.spec, agents={})
        return spec
