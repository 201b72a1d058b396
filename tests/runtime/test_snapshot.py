"""What travels of a unit's state: bounded, whole groups or none, and refused where it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import decode_value
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.epochs import Epochs
from edgematrix.runtime.snapshot import SNAPSHOT_BYTES_MAX, Snapshot, encode_snapshot, read_snapshot, snapshot_of

PATH = AgentPath("home/unit")


class Group:
    """A trigger group with a state of a size."""

    durable = True

    def __init__(self, name: str, size_bytes: int, agent: AgentPath = PATH) -> None:
        self.agent = agent
        self.store_key = f"{agent}#{name}"
        self._data = bytes(size_bytes)

    def copy(self, bytes_max: int) -> dict[str, bytes] | None:
        return {"": self._data} if len(self._data) <= bytes_max else None


def taken(*groups: Group, cursors: dict[str, bytes] | None = None) -> Snapshot:
    return snapshot_of(7, "hash", groups, {PATH}, cursors or {})  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 60_000), max_size=8), st.integers(0, 60_000))
def test_it_is_never_too_large_and_names_what_it_leaves_out(sizes_bytes: list[int], cursor_bytes: int) -> None:
    groups = [Group(f"g{index}", size_bytes) for index, size_bytes in enumerate(sizes_bytes)]
    snapshot = taken(*groups, cursors={PATH: bytes(cursor_bytes)})
    data = encode_snapshot(snapshot)
    assert len(data) <= SNAPSHOT_BYTES_MAX
    assert {*snapshot.groups, *snapshot.left_out} == {group.store_key for group in groups}
    assert read_snapshot(decode_value(data)) == snapshot


def test_what_is_of_another_unit_stays() -> None:
    assert list(taken(Group("g", 1), Group("g", 1, AgentPath("home/other"))).groups) == ["home/unit#g"]


def test_what_is_none_is_refused() -> None:
    good = decode_value(encode_snapshot(taken(Group("g", 10))))
    assert isinstance(good, dict)
    for wrong in (1, [], {}, good | {"v": 9}, good | {"state": "?"}, good | {"state": "AAAA"}, good | {"epoch": "x"}):
        with pytest.raises(CodecError):
            read_snapshot(wrong)


def test_an_older_epoch_is_over_once_a_newer_one_was_heard() -> None:
    epochs = Epochs()
    assert epochs.over("home/unit/inner", 5) is None
    assert epochs.over("home/unit/inner", 4) == 5
    assert epochs.over("home/unit/inner", 5) is None
    epochs.note(PATH, 9)
    assert epochs.over("home/unit/inner", 8) == 9
    assert epochs.over("home/unit", 3) == 9
    assert epochs.over("home/unity", 3) is None
    epochs.forget(PATH)
    assert epochs.over("home/unit/inner", 8) is None
