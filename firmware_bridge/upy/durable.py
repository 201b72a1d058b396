"""Commands of durable edges: each is taken once and in order, kept, and acknowledged (docs/spec/topics.md, "Delivery")."""

from .cursor import Cursors

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from .command import Command

__all__ = ["Durable"]


class Durable:
    """How far the edges to an agent have come.

    `store` keeps that; `answer` publishes an acknowledgement.
    """

    def __init__(
        self,
        path: str,
        edges_max: int,
        store: "Callable[[], None]",
        answer: "Callable[[dict[str, object]], None]",
        log: "Callable[[str], object]",
    ) -> None:
        self.cursors = Cursors(edges_max)
        self._path = path
        self._store = store
        self._answer = answer
        self._log = log
        self._due: list = []  # type: ignore[type-arg]  # (edge, epoch) to be acknowledged once it is kept

    def is_next(self, command: "Command") -> bool:
        """Whether a command comes next on its edge; whatever comes of it, how far we are is acknowledged."""
        edge = "%s>%s.%s" % (command.source[1:], self._path, command.port)
        if (edge, command.epoch) not in self._due:
            self._due.append((edge, command.epoch))
        return self.cursors.take(edge, command.epoch, command.sequence, command.base)

    def commit(self) -> None:
        """What was taken is kept, and then acknowledged: a sender that hears nothing sends again."""
        if not self._due:
            return
        try:
            self._store()
        except OSError as error:
            self._log("nothing can be kept: %s" % error)
            return
        due, self._due = self._due, []
        for edge, epoch in due:
            self._tell(edge, epoch, self.cursors.of(edge, epoch))

    def tell(self) -> None:
        """Acknowledge everything anew: at a new connection."""
        for edge, epoch, sequence in self.cursors.all():
            self._tell(edge, epoch, sequence)

    def _tell(self, edge: str, epoch: int, sequence: int) -> None:
        self._answer({"v": 1, "edge": edge, "epoch": epoch, "seq": sequence})
