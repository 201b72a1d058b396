"""The chain of the audit log: whatever is done to it is found."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.access.audit import DROPPED, GENESIS, Entry, Fact, Head, Outcome, encode_entry, read_entry, shortened, verify

AT = "2026-07-27T08:00:00.000000Z"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
facts = st.builds(
    Fact,
    at=st.just(AT),
    user=st.sampled_from(["anna", "ben", ""]),
    verb=st.sampled_from(["pause", "send", "watch"]),
    path=st.text(max_size=40),
    asked=values.map(shortened),
    outcome=st.sampled_from(Outcome),
    reason=st.text(max_size=40),
    of=st.integers(0, 9),
)


def chain(given_facts: list[Fact], head: Head = Head()) -> tuple[list[bytes], Head]:  # noqa: B008 - it is immutable
    lines = []
    for fact in given_facts:
        line, head = encode_entry(fact, "pi", head)
        lines.append(line[:-1])
    return lines, head


def fact(verb: str = "pause", asked: object = None) -> Fact:
    return Fact(AT, "anna", verb, "home", asked, Outcome.DONE)


@given(st.lists(facts, max_size=8))
def test_a_log_as_it_was_written_is_whole(written: list[Fact]) -> None:
    lines, head = chain(written)
    verdict = verify(lines, head)
    assert (verdict.trouble, verdict.count, verdict.head) == (None, len(written), head)
    assert all(b"\n" not in line for line in lines)
    entries = [read_entry(line) for line in lines]
    assert [(entry.n, entry.user, entry.path) for entry in entries if isinstance(entry, Entry)] == [
        (number, wanted.user, wanted.path) for number, wanted in enumerate(written, 1)
    ]


@given(st.lists(facts, min_size=1, max_size=6), st.data())
def test_each_change_of_a_byte_is_found(written: list[Fact], data: st.DataObject) -> None:
    lines, head = chain(written)
    index = data.draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[index])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    trouble = verify([*lines[:index], bytes(line), *lines[index + 1 :]], head).trouble
    assert trouble is not None
    assert trouble.line == index + 1


@given(st.lists(facts, min_size=2, max_size=6), st.data())
def test_removal_insertion_and_another_order_are_found_without_a_head(written: list[Fact], data: st.DataObject) -> None:
    lines, _ = chain(written)
    one = data.draw(st.integers(0, len(lines) - 2))
    other = data.draw(st.integers(one + 1, len(lines) - 1))
    swapped = [*lines]
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assert verify(swapped).trouble is not None
    removed = verify(lines[:one] + lines[one + 1 :]).trouble
    assert removed is not None
    assert removed.line == one + 1
    doubled = verify([*lines[: other + 1], lines[one], *lines[other + 1 :]]).trouble
    assert doubled is not None
    assert doubled.line == other + 2
    forged = encode_entry(fact("create"), "pi", Head(one + 1, read_entry(lines[one]).hash))[0][:-1]  # type: ignore[union-attr]
    put_in = verify([*lines[: one + 1], forged, *lines[one + 1 :]]).trouble
    assert put_in is not None
    assert put_in.line == one + 3


@given(st.lists(facts, min_size=1, max_size=6), st.data())
def test_a_cut_off_end_and_a_log_written_anew_are_found_by_the_head(written: list[Fact], data: st.DataObject) -> None:
    lines, head = chain(written)
    kept = data.draw(st.integers(0, len(lines) - 1))
    cut = verify(lines[:kept], head).trouble
    assert cut is not None
    assert "cut off" in cut.what
    begun = data.draw(st.integers(0, len(lines) - 1))
    before = Head() if not begun else Head(begun, read_entry(lines[begun - 1]).hash)  # type: ignore[union-attr]
    anew, _ = chain([fact("remove", number) for number in range(begun, len(lines))], before)
    rewritten = verify([*lines[:begun], *anew], head).trouble
    assert rewritten is not None
    assert "written anew" in rewritten.what
    grown, _ = chain([fact()], head)
    assert verify([*lines, *grown], head).trouble is None


def test_what_was_dropped_is_said_in_the_chain() -> None:
    lines, head = chain([fact()] * 3)
    told = Fact(AT, "", DROPPED, "", {"until": 2, "hash": json.loads(lines[1])["hash"]}, Outcome.DONE)
    more, _ = chain([told, fact()], head)
    assert verify([lines[2], *more]).trouble is None
    assert verify([*lines, *more]).trouble is None
    unsaid = verify([*more]).trouble
    assert unsaid is not None
    assert "up to the entry 3, is missing" in unsaid.what


def test_an_order_that_is_called_like_an_entry_of_the_log_itself_says_nothing_of_what_was_dropped() -> None:
    lines, head = chain([fact()] * 3)
    claim = {"until": 2, "hash": json.loads(lines[1])["hash"]}
    more, _ = chain([Fact(AT, "anna", DROPPED, "home", claim, Outcome.REFUSED)], head)
    trouble = verify([lines[2], *more]).trouble
    assert trouble is not None
    assert "is missing" in trouble.what


def test_what_was_asked_is_kept_small_and_can_still_be_proved() -> None:
    assert json.loads(encode_entry(fact(asked=shortened({"port": "in", "payload": 1})), "pi", Head())[0])["asked"] == {
        "port": "in",
        "payload": 1,
    }
    long = json.loads(encode_entry(fact(asked=shortened({"port": "in", "payload": "x" * 5_000})), "pi", Head())[0])["asked"]
    assert long["port"] == "in"
    assert long["payload"].startswith("5002 bytes, sha256 ")


@given(values)
def test_no_entry_is_longer_than_five_kilobytes(value: object) -> None:
    huge = {str(number) * 100: value for number in range(50)}
    line, _ = encode_entry(Fact(AT, "u" * 999, "v" * 999, "p" * 999, shortened(huge), Outcome.DONE, "r" * 9_999), "pi", Head(1, GENESIS))
    assert len(line) < 5_000
