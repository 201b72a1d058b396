"""The desk that serves an image: how many boards at a time, how much to each, and what it makes of what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgematrix.access.grant import Access
from edgematrix.config.authority import principals_of
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.protocol.message import Publication
from firmware_bridge.ota.desk import Desk, Phase, read_percent, read_told, withdrawals
from firmware_bridge.ota.image import Image, make_image
from firmware_bridge.ota.key import HmacKey

KEY = HmacKey(bytes(32))


def image(size: int = 10_000) -> Image:
    made = make_image([("main.py", bytes(size))], board="kind", version=2, made="2026-01-01T00:00:00Z", chunk=100)
    return made.signed(KEY.sign(made.manifest_bytes))


def wish(at: int = 0, count: int = 4, of: Image | None = None) -> bytes:
    return json.dumps({"at": at, "count": count, "id": (of or image()).digest}).encode()


def told(desk: Desk, **more: Any) -> bytes:
    usual = {"v": 1, "board": "kind", "version": 1, "phase": "idle", "offer": desk._offer_id, "payload_max": 991}
    return json.dumps(usual | more).encode()


def ask(desk: Desk, board: str, payload: bytes, now_s: float = 0.0) -> list[Publication]:
    return desk.heard(f"em/out/{board}/_update", payload, False, now_s)


def say(desk: Desk, board: str, payload: bytes, *, retained: bool = False) -> list[Publication]:
    return desk.heard(f"em/state/{board}/_firmware", payload, retained, 0.0)


def test_an_offer_is_retained_and_what_is_asked_for_comes_once() -> None:
    desk = Desk(image(), ["h/a", "h/b", "h/a"])
    assert [(one.topic, one.payload, one.qos, one.retain) for one in desk.offers()] == [
        (f"em/in/h/{name}/_update", image().offer, 1, True) for name in "ab"
    ]
    chunks = ask(desk, "h/a", wish(200, 3))
    assert [(one.topic, one.qos, one.retain) for one in chunks] == [("em/in/h/a/_chunk", 0, False)] * 3
    assert [int.from_bytes(one.payload[8:12], "big") for one in chunks] == [200, 300, 400]
    assert ask(desk, "h/other", wish()) == []


def test_the_last_chunk_is_as_short_as_it_is() -> None:
    desk = Desk(image(), ["h/a"])
    size = image().manifest.size
    assert [len(one.payload) for one in ask(desk, "h/a", wish(size - 150, 9))] == [112, 62]


@pytest.mark.parametrize(
    "payload",
    [b"", b"x", b"[]", wish(-1), wish(10**9), wish(0, 0), wish(0, -4), wish(of=image(11)), b'{"at":"0","count":1,"id":"x"}', b"\xff" * 9],
)
def test_a_wish_that_makes_no_sense_gets_nothing(payload: bytes) -> None:
    desk = Desk(image(), ["h/a"])
    assert ask(desk, "h/a", payload) == []
    assert desk.stands["h/a"].turned_away == 1


def test_a_window_is_bounded() -> None:
    desk = Desk(image(), ["h/a"])
    assert len(ask(desk, "h/a", wish(0, 10**6))) == 16


def test_a_board_that_asks_over_and_over_is_served_no_more() -> None:
    desk = Desk(image(), ["h/a"])
    sent = 0
    for _ in range(10_000):
        sent += sum(len(one.payload) for one in ask(desk, "h/a", wish(0, 16)))
    assert sent <= 9 * image().manifest.size
    assert desk.stands["h/a"].phase is Phase.REFUSED
    assert "over 8 times" in desk.stands["h/a"].reason


def test_so_many_boards_at_once_and_the_next_is_called_when_a_place_is_free() -> None:
    boards = [f"h/b{number}" for number in range(6)]
    desk = Desk(image(), boards, at_once=2)
    served = [board for board in boards if ask(desk, board, wish(), now_s=1.0)]
    assert served == boards[:2]
    called = say(desk, boards[0], told(desk, version=2, digest=image().digest))
    assert [one.topic for one in called] == ["em/in/h/b2/_update"]
    assert ask(desk, boards[2], wish(), now_s=2.0)
    # One that falls silent gives its place away.
    called = desk.passed(31.5)
    assert [one.topic for one in called] == ["em/in/h/b3/_update"]
    assert desk.passed(31.5) == []


@pytest.mark.parametrize(
    ("more", "retained", "phase"),
    [
        ({"version": 2, "digest": image().digest}, True, Phase.DONE),
        ({"version": 2, "digest": "another"}, False, Phase.WAITING),
        ({"phase": "loading", "offered": 2}, False, Phase.LOADING),
        ({"phase": "loading", "offered": 2}, True, Phase.WAITING),
        ({"phase": "trial", "offered": 2}, False, Phase.TRIAL),
        ({"refused": {"code": "key", "reason": "no"}}, False, Phase.REFUSED),
        ({"refused": {"code": "key", "reason": "no"}}, True, Phase.WAITING),
        ({"refused": {"code": "key", "reason": "no"}, "offer": "another"}, False, Phase.WAITING),
        ({"phase": "idle"}, False, Phase.WAITING),
    ],
)
def test_what_a_board_says_counts_if_it_is_about_this_offer(more: dict[str, Any], retained: bool, phase: Phase) -> None:
    desk = Desk(image(), ["h/a"])
    say(desk, "h/a", told(desk, **more), retained=retained)
    assert desk.stands["h/a"].phase is phase
    assert desk.is_done == phase.is_last


@pytest.mark.parametrize("payload", [b"", b"x", b"{}", b'{"v":1}', b"[1]", b"\xff", b"{" + b" " * 20_000 + b"}"])
def test_garbage_of_a_board_is_passed_over(payload: bytes) -> None:
    desk = Desk(image(), ["h/a"])
    assert say(desk, "h/a", payload) == []
    assert read_told(payload) is None
    assert read_percent(payload) is None


def test_a_board_whose_packets_are_too_small_is_told_and_not_offered_anything() -> None:
    desk = Desk(image(), ["h/a", "h/b"])
    say(desk, "h/a", told(desk, payload_max=100), retained=True)
    assert [one.topic for one in desk.offers()] == ["em/in/h/b/_update"]
    assert "a larger packet_bytes_max" in desk.stands["h/a"].reason


def test_an_offer_is_taken_back_by_nothing() -> None:
    assert [(one.topic, one.payload, one.retain) for one in withdrawals(["h/a"])] == [("em/in/h/a/_update", b"", True)]


MATRIX = {
    "matrix": "home",
    "agents": {
        "hall": {"device": {"reads": {"r": {"topic": "t/x"}}}, "host": "pi"},
        "board": {"host": "some-board", "inputs": {"set": "text"}, "outputs": {"t": "number"}},
        "other": {"host": "other-board", "inputs": {"set": "text"}},
    },
    "access": {
        "hosts": ["pi"],
        "operators": {
            "anna": {"deploys": True, "verbs": ["watch"]},
            "max": {"verbs": ["watch"]},
            "eva": {"verbs": ["watch"], "paths": ["home/board"], "deploys": True},
        },
    },
}


def test_who_deploys_may_update_boards_and_a_board_may_do_what_it_needs() -> None:
    grants = {one.name: one.grants for one in principals_of(validate(MatrixSpec, MATRIX))}
    desk = Desk(image(), ["home/board"])
    pushed = [publication.topic for publication in desk.offers()] + ["em/in/home/board/_chunk"]
    for topic in pushed:
        assert grants["anna"].allows(Access.WRITE, topic)
        assert grants["eva"].allows(Access.WRITE, topic)
        assert not grants["max"].allows(Access.WRITE, topic)
        assert not grants["home.other"].allows(Access.WRITE, topic)
        assert grants["home.board"].allows(Access.READ, topic)
        assert not grants["home.other"].allows(Access.READ, topic)
        assert not grants["eva"].allows(Access.WRITE, topic.replace("board", "other"))
    for topic in desk.filters:
        assert grants["anna"].allows(Access.READ, topic)
        assert grants["eva"].allows(Access.READ, topic)
        assert grants["home.board"].allows(Access.WRITE, topic)
        assert not grants["home.other"].allows(Access.WRITE, topic)
