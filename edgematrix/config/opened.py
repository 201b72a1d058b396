"""A matrix that was read, whichever way it is written."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec

from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.reading import reread
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import Issue, UsageError

__all__ = ["Opened"]


class Opened(msgspec.Struct):
    """A matrix that can be built, what looks wrong in it nevertheless, and where its agents' code is found.

    `make` makes the definition once more, and `texts` are those of the files that it was read from, where there is the one or the
    other.
    """

    spec: MatrixSpec
    warnings: list[Issue]
    loader: CodeLoader
    make: Callable[[], MatrixSpec] | None = None
    texts: dict[str, str] = {}
    _is_handed_over: bool = False

    def hand_over(self) -> MatrixSpec:
        """The definition, for the host that is built from it. Only its head stays here: the agents of 10,000 rules take 17 MB.

        Raises:
            UsageError: it was handed over before.
        """
        if self._is_handed_over:
            raise UsageError(f"the matrix {self.spec.matrix} was launched before", remedy="open it again")
        if self.make is None:
            self.make = self._maker()
        self._is_handed_over = True
        spec, self.spec = self.spec, replace(self.spec, agents={})
        return spec

    def again(self) -> MatrixSpec:
        """The definition that was handed over, made once more.

        Raises:
            ConfigError: an environment variable that it names is not set any more.
        """
        return self.spec if self.make is None else self.make()

    def _maker(self) -> Callable[[], MatrixSpec]:
        """What makes the definition anew, in little room: from the texts, packed. A definition without any is kept as it is."""
        if not self.texts:
            spec = self.spec
            return lambda: spec
        packed = zlib.compress(msgspec.msgpack.encode(self.texts), 1)
        self.texts = {}
        return partial(_made_from, packed)


def _made_from(packed: bytes) -> MatrixSpec:
    return reread(msgspec.msgpack.decode(zlib.decompress(packed), type=dict[str, str]))
