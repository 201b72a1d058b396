"""What was taken of each durable edge, so that a command is carried out once and in order (docs/spec/topics.md, "Delivery")."""

__all__ = ["Cursors"]

_EPOCHS_MAX = 2
"""Of one edge: a sender that had the agent before may still have something to deliver."""


class Cursors:
    """The newest sequence of each epoch of each edge. Beyond `edges_max` edges the one unused for the longest time is forgotten.

    A sender whose edge is forgotten hears that nothing was taken, and begins with what it still has.
    """

    def __init__(self, edges_max: int = 8) -> None:
        self._edges_max = edges_max
        self._taken: dict[str, list] = {}  # type: ignore[type-arg]  # of [epoch, sequence], the one heard of last at the end
        self._order: list[str] = []

    def take(self, edge: str, epoch: int, sequence: int, base: int) -> bool:
        """Whether this is the next of its edge; it counts as taken then. `base` is its `edgebase`, 0 if it has none."""
        had = self.of(edge, epoch)
        if sequence != had + 1 and not (sequence > had and base == sequence):
            return False
        if edge in self._taken:
            self._order.remove(edge)
        elif len(self._order) >= self._edges_max:
            del self._taken[self._order.pop(0)]
        self._order.append(edge)
        kept = [pair for pair in self._taken.get(edge, []) if pair[0] != epoch]
        self._taken[edge] = kept[1 - _EPOCHS_MAX :] + [[epoch, sequence]]
        return True

    def of(self, edge: str, epoch: int) -> int:
        """The newest sequence that was taken; 0 if none was."""
        for known, sequence in self._taken.get(edge, []):
            if known == epoch:
                return int(sequence)
        return 0

    def all(self) -> list:  # type: ignore[type-arg]
        """Each edge with an epoch and the newest sequence of it."""
        return [(edge, epoch, sequence) for edge in self._order for epoch, sequence in self._taken[edge]]

    def save(self) -> list:  # type: ignore[type-arg]
        """What `load` takes, as JSON has it."""
        return [[edge, self._taken[edge]] for edge in self._order]

    def load(self, saved: list) -> None:  # type: ignore[type-arg]
        """Go on with what was saved.

        Raises:
            ValueError, TypeError: it was not made by `save`.
        """
        taken = {}
        for edge, pairs in saved:
            taken[str(edge)] = [[int(epoch), int(sequence)] for epoch, sequence in pairs]
        self._taken = taken
        self._order = list(taken)
