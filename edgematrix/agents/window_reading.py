"""A window out of a value that somebody gives: the work of a model without sources of its own."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from edgematrix.errors import RunError
from edgematrix.protocol.value import as_number

__all__ = ["WindowReading"]


class WindowReading:
    """Reads windows of one model.

    Args:
        inputs: the names of the columns.
        rows: how many.
        scales: of each column, factor and offset.
    """

    __slots__ = ("_inputs", "_rows", "_scales")

    def __init__(self, inputs: Sequence[str], rows: int, scales: Sequence[tuple[float, float]]) -> None:
        self._inputs = tuple(inputs)
        self._rows = rows
        self._scales = tuple(scales)

    def read(self, value: object) -> array[float]:
        """The window that a value means: a list of numbers for each input by its name, or a list of rows; one row may do without its list.

        Returns:
            4-byte floats, row by row.

        Raises:
            RunError: it is none; the input and the row are named.
        """
        rows = self._by_name(value) if isinstance(value, dict) else self._by_row(value)
        return self.packed(rows)

    def packed(self, rows: Sequence[Sequence[float]]) -> array[float]:
        """Rows of finite numbers, in the units of the card, as the model is given them."""
        scaled = (number * factor + offset for row in rows for number, (factor, offset) in zip(row, self._scales, strict=True))
        return array("f", scaled)

    def _by_name(self, value: dict[str, object]) -> list[list[float]]:
        unknown = [name for name in value if name not in self._inputs]
        missing = [name for name in self._inputs if name not in value]
        if unknown or missing:
            what = f"has no {', '.join(missing)}" if missing else f"has {', '.join(unknown[:5])}, which the model does not know"
            raise RunError(f"the window {what}; its inputs are {', '.join(self._inputs)}")
        columns: list[list[float]] = []
        for name in self._inputs:
            column = value[name]
            if not isinstance(column, list):
                column = [column]
            if len(column) != self._rows:
                raise RunError(f"the window has {len(column)} values of {name}, expected {self._rows}")
            columns.append([self._number(number, name, row) for row, number in enumerate(column)])
        return [list(row) for row in zip(*columns, strict=True)]

    def _by_row(self, value: object) -> list[list[float]]:
        if not isinstance(value, list):
            raise RunError(f"expected a window, an object of lists or a list of rows, found {type(value).__name__}")
        rows = value if self._rows > 1 or (value and isinstance(value[0], list)) else [value]
        if len(rows) != self._rows:
            raise RunError(f"the window has {len(rows)} rows, expected {self._rows}")
        found: list[list[float]] = []
        for place, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(self._inputs):
                has = f"{len(row)} values" if isinstance(row, list) else "no list"
                raise RunError(f"row {place} of the window has {has}, expected {len(self._inputs)}: {', '.join(self._inputs)}")
            found.append([self._number(number, name, place) for name, number in zip(self._inputs, row, strict=True)])
        return found

    def _number(self, value: object, name: str, row: int) -> float:
        number = as_number(value)
        if number is None:
            raise RunError(f"the value of {name} in row {row} is no finite number: {str(value)[:40]}")
        return float(number)
