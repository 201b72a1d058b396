"""Every error that EdgeMatrix raises on purpose.

Each carries what is wrong, where, whether a retry can help, and a remedy where one is known.

EdgeMatrixError
├── UsageError              the caller of the command line or the API asked for something impossible (exit code 2)
├── ConfigError             a matrix or scenario file is wrong; carries `issues`, each with line and column
├── ProtocolError           something on the bus breaks the rules
│   ├── PathError           a path, port or name breaks the grammar
│   ├── TopicError          a topic or a filter breaks the grammar
│   ├── CodecError          a payload is no event and may not be read as a bare value
│   └── SignatureError      a message is not signed as it has to be
├── ExpressionError         a CEL expression or a template does not compile, or failed when evaluated
├── StateError              a stored state is of an unknown version, or damaged
├── SecretError             a secret is missing, or its file is not as it has to be; the value is never told
├── RunError                a run of an agent failed
│   └── ModelError          a model is missing, is no model, or answered something that its schema refuses
└── BusError                the broker or the connection to it
    ├── BrokerError         an embedded broker did not start or has died
    ├── AccessRefusedError  the broker refuses the credentials or the client; a retry cannot help
    └── QueueFullError      a bounded queue is full; the caller decides what gives way
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AccessRefusedError",
    "BrokerError",
    "BusError",
    "CodecError",
    "ConfigError",
    "EdgeMatrixError",
    "ExpressionError",
    "Issue",
    "ModelError",
    "PathError",
    "ProtocolError",
    "QueueFullError",
    "RunError",
    "SecretError",
    "SignatureError",
    "StateError",
    "TopicError",
    "UsageError",
]


class EdgeMatrixError(Exception):
    """Base of all errors here.

    Args:
        what: what is wrong, in one sentence, with what was found and what was expected.
        where: the file and line, topic, path or address that it is about; empty if there is none.
        remedy: what the reader can do about it; empty if there is nothing to say.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.remedy})" if self.remedy else text


class UsageError(EdgeMatrixError):
    """The caller asked for something impossible."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding in a file.

    `line` and `column` count from 1; 0 stands for a finding about the file as a whole.
    `path` is where in the document, as in `agents.hall.triggers.dark`.
    """

    severity: str  # "error" or "warning"
    what: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        head = f"{place}: {self.severity}: " if place else f"{self.severity}: "
        at = f" at {self.path}" if self.path else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{head}{self.what}{at}{remedy}"


class ConfigError(EdgeMatrixError):
    """A matrix or scenario file is wrong. `issues` holds every error that was found in it, in file order."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("\n".join(str(issue) for issue in issues))
        self.issues = issues


class ProtocolError(EdgeMatrixError):
    """Something on the bus breaks the rules."""


class PathError(ProtocolError):
    """A path, port or name breaks the grammar."""


class TopicError(ProtocolError):
    """A topic or a filter breaks the grammar."""


class CodecError(ProtocolError):
    """A payload is a malformed event, too large, or nested too deeply."""


class SignatureError(ProtocolError):
    """A message is not signed, or not as it has to be."""


class ExpressionError(EdgeMatrixError):
    """A CEL expression or a template does not compile, or failed when evaluated."""


class StateError(EdgeMatrixError):
    """A stored state is of an unknown version, or damaged."""


class SecretError(EdgeMatrixError):
    """A secret is missing, or its file is not as it has to be."""


class RunError(EdgeMatrixError):
    """A run of an agent failed."""


class ModelError(RunError):
    """A model is missing, is no model, or answered something that its schema refuses."""


class BusError(EdgeMatrixError):
    """The broker, or the connection to it."""

    retryable = True


class BrokerError(BusError):
    """An embedded broker did not start, or has died."""


class AccessRefusedError(BusError):
    """The broker refuses the credentials or the client."""

    retryable = False


class QueueFullError(BusError):
    """A bounded queue is full."""
