"""A board and its offers, on CPython without a network: what it takes, what it refuses and why, and what it asks for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ota_board import CHUNK, KEY, Bench, Slots, code, image, rig, update

from firmware_bridge.ota.image import Image, Proof
from firmware_bridge.ota.key import HmacKey


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(tmp_path)
    monkeypatch.setattr(update, "ticks_ms", lambda: found.clock_ms)
    return found


def test_an_image_is_loaded_tried_and_kept(bench: Bench) -> None:
    told = bench.offer(image(2).offer)
    assert (told["phase"], told["version"], told["offered"], told["refused"]) == ("loading", 1, 2, None)
    bench.load(image(2))
    assert bench.start() == "b"
    told = bench.agent.said()
    assert (told["phase"], told["version"], told["slot"]) == ("trial", 1, "b")
    bench.agent.tick()
    told = bench.agent.said()
    assert (told["phase"], told["version"], told["slot"], told["failed"]) == ("idle", 2, "b", [])
    assert {name: bench.files.read(f"b/{name}") for name, _ in image(2).files()} == dict(image(2).files())
    # And the next one goes to the other slot.
    bench.offer(image(3).offer)
    bench.load(image(3))
    assert bench.start() == "a"
    bench.agent.tick()
    assert bench.agent.said()["version"] == 3


def test_home_assistant_gets_its_fields_and_no_others(bench: Bench) -> None:
    """Its schema for JSON refuses a message with a field that it does not know, and texts that are null."""
    known = {"installed_version": str, "latest_version": str, "title": str, "release_summary": str, "in_progress": bool}

    def check(**wanted: object) -> None:
        shown = bench.agent.said("_update")
        assert set(shown) == {*known, "update_percentage"}
        assert all(isinstance(shown[name], kind) for name, kind in known.items())
        assert shown["update_percentage"] is None or 0 <= shown["update_percentage"] <= 100
        assert {name: shown[name] for name in wanted} == wanted

    check(installed_version="1", latest_version="1", in_progress=False, update_percentage=None)
    bench.offer(image(2).offer)
    check(installed_version="1", latest_version="2", in_progress=True, update_percentage=0, title="green", release_summary="new")
    bench.load(image(2))
    bench.start()
    check(installed_version="1", latest_version="2", in_progress=True)
    bench.agent.tick()
    check(installed_version="2", latest_version="2", in_progress=False)


REFUSALS: dict[str, Callable[[], bytes]] = {
    "unsigned": lambda: image(2, key=None).offer,
    "key": lambda: image(2, key=HmacKey(bytes(32))).offer,
    "signature": lambda: image(2).signed(Proof(2, KEY.key_id, bytes(32))).offer,
    "board": lambda: image(2, board="somebody/else").offer,
    "older": lambda: image(1, more=b"#").offer,
    "chunk": lambda: image(2, chunk=1_000).offer,
    "cut": lambda: image(2).offer[:-1],
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_is_refused_says_why_and_touches_nothing(reason: str, bench: Bench) -> None:
    told = bench.offer(REFUSALS[reason]())
    assert (code(told), told["phase"], told["version"]) == (reason, "idle", 1)
    assert len(told["refused"]["reason"]) > 10
    assert not bench.agent.wishes()
    assert bench.files.size("b/data.bin") == -1
    assert not bench.updater.busy
    # It goes on with the next good one.
    assert bench.offer(image(2).offer)["phase"] == "loading"


def test_a_lower_version_is_refused_after_a_higher_one(bench: Bench) -> None:
    bench.offer(image(3).offer)
    bench.load(image(3))
    bench.start()
    bench.agent.tick()
    told = bench.offer(image(2).offer)
    assert (code(told), told["version"]) == ("older", 3)
    assert "2 is not newer than 3" in told["refused"]["reason"]


def test_an_offer_cut_anywhere_or_changed_anywhere_is_refused(bench: Bench) -> None:
    whole = image(2).offer
    for at in range(0, len(whole), 3):
        if at:
            assert code(bench.offer(whole[:at])) in ("cut", "signature", "unsigned", "key")
        wrong = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert code(bench.offer(wrong)) in ("cut", "signature", "unsigned", "key"), at
    assert not bench.updater.busy


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"{", b"\xff", b'{"version":2}'])
def test_a_signed_manifest_that_makes_no_sense_is_refused(manifest: bytes, bench: Bench) -> None:
    good = image(2)
    told = bench.offer(Image(good.manifest, manifest, KEY.sign(manifest), good.body).offer)
    assert (code(told), told["phase"]) == ("malformed", "idle")


@pytest.mark.parametrize("keys", [b"", b"hmac-sha256 x !", b"\xff\xfe", b"hmac-sha256 " + KEY.key_id.hex().encode() + b" !!!"])
def test_a_damaged_key_file_lets_nothing_in(keys: bytes, bench: Bench) -> None:
    bench.files.write("update.keys", keys)
    assert code(bench.offer(image(2).offer)) in ("key", "signature")


def test_a_full_flash_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.files, "room", lambda: (3, 512))
    told = bench.offer(image(2).offer)
    assert code(told) == "room"
    assert "bytes more are needed" in told["refused"]["reason"]
    assert not bench.updater.busy
    monkeypatch.setattr(bench.files, "room", lambda: (30_000, 512))
    assert bench.offer(image(2).offer)["phase"] == "loading"


def test_a_flash_that_is_full_in_between_or_breaks_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, reason in ((28, "room"), (5, "flash")):
        bench.offer(image(2).offer)
        desk = rig.Desk(image(2).offer, image(2).body, CHUNK)
        messages = [message for wish in bench.agent.wishes() for message in desk.answers(wish)]
        bench.chunk(messages[0])
        with monkeypatch.context() as patch:
            patch.setattr(bench.updater._intake, "write", lambda _, number=number: (_ for _ in ()).throw(OSError(number, "no")))
            bench.chunk(messages[1])
        told = bench.agent.said()
        assert (code(told), told["phase"]) == (reason, "idle")
    bench.offer(image(2).offer)
    bench.load(image(2))


def test_a_chunk_that_is_lost_doubled_or_out_of_order_costs_a_request(bench: Bench) -> None:
    chance = random.Random(5)
    offered = image(2)
    bench.offer(offered.offer)
    desk = rig.Desk(offered.offer, offered.body, CHUNK)

    def answer_badly() -> None:
        messages = [message for wish in bench.agent.wishes() for message in desk.answers(wish)]
        messages = [message for message in messages if chance.random() > 0.2]
        messages += chance.sample(messages, len(messages) // 4)
        if chance.random() < 0.3:
            chance.shuffle(messages)
        for message in messages:
            bench.chunk(message)
        bench.clock_ms += 1_000

    bench.go_on(answer_badly)
    assert bench.start() == "b"
    assert bench.files.read("b/data.bin") == offered.files()[0][1]


def test_chunks_of_another_image_retained_ones_and_garbage_are_passed_over(bench: Bench) -> None:
    offered, other = image(2), image(3)
    bench.offer(offered.offer)
    for message in (b"", b"x", other.chunk(0), offered.chunk(0)[:12], offered.chunk(0)[:-1], offered.chunk(0) + b"x", offered.chunk(CHUNK)):
        bench.chunk(message)
    bench.chunk(offered.chunk(0), retained=True)
    assert bench.agent.said("_update")["update_percentage"] == 0
    assert bench.files.size("b/data.bin") == -1
    bench.load(offered)


def test_bytes_that_were_not_signed_are_never_run(bench: Bench) -> None:
    """The desk sends other bytes than were signed: twice whole, then it is refused, and is taken again when it is offered anew."""
    offered = image(2)
    bench.offer(offered.offer)
    wrong = rig.Desk(offered.offer, bytes(len(offered.body)), CHUNK)
    for _ in range(100):
        for wish in bench.agent.wishes():
            for message in wrong.answers(wish):
                bench.chunk(message)
        bench.agent.tick()
    told = bench.agent.said()
    assert (code(told), told["phase"]) == ("hash", "idle")
    assert wrong.chunks <= 2 * (len(offered.body) // CHUNK + 1)
    assert Slots(bench.files).trial == ""
    assert bench.offer(offered.offer)["phase"] == "loading"
    bench.load(offered)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_no_offer_and_no_chunk_raises(bench: Bench, data: st.DataObject) -> None:
    """Bytes of any kind, manifests of any content with a good signature, and chunks of any content for what is loaded."""
    value = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2) | st.floats()
    manifest = json.loads(image(2).manifest_bytes)
    changes = data.draw(st.dictionaries(st.sampled_from([*manifest, "other"]), value, max_size=2))
    written = json.dumps(manifest | changes).encode()
    offers = [data.draw(st.binary(max_size=40)), Image(image(2).manifest, written, KEY.sign(written), b"").offer]
    for offer in offers:
        told = bench.offer(offer)
        assert told["phase"] in ("idle", "loading")
    for _ in range(4):
        bench.chunk(data.draw(st.binary(max_size=30)))
        bench.chunk(bytes.fromhex(image(2).digest) + data.draw(st.binary(max_size=4)) + data.draw(st.binary(max_size=300)))
        bench.agent.tick()
    bench.offer(b"")


TABLES = [
    b'[["../main.py",90]]',
    b'[["main.py",-1],["x",1]]',
    b'[["manifest",90]]',
    b'[["main.py",1]]',
    b"[[7,90]]",
    b"[1]",
    b"{}",
    b"[",
    b"\xff\xfe",
]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_nobody_signed_leads_out_of_no_slot(table: bytes, bench: Bench) -> None:
    """It is used before all is there and can be looked at as a whole."""
    offered = image(2)
    bench.offer(offered.offer)
    wrong = rig.Desk(offered.offer, (table + b" " * offered.manifest.table)[: offered.manifest.table] + offered.body, CHUNK)
    for _ in range(100):
        for wish in bench.agent.wishes():
            for message in wrong.answers(wish):
                bench.chunk(message[: 12 + min(CHUNK, offered.manifest.size - int.from_bytes(message[8:12], "big"))])
        bench.agent.tick()
    assert code(bench.agent.said()) == "hash"
    assert not (Path(bench.files.base).parent / "main.py").exists()
    assert bench.files.size("main.py") == -1
    assert bench.files.size("b/manifest") == -1
    bench.offer(offered.offer)
    bench.load(offered)


def test_requests_that_nobody_answers_grow_rare_and_end(bench: Bench) -> None:
    bench.offer(image(2).offer)
    asked = len(bench.agent.wishes())
    gaps, last = [], bench.clock_ms
    for _ in range(4_000):
        bench.clock_ms += 1_000
        bench.agent.tick()
        if bench.agent.wishes():
            asked += 1
            gaps.append(bench.clock_ms - last)
            last = bench.clock_ms
    assert asked == 1 + update._ASKS_MAX
    assert gaps == sorted(gaps)
    assert gaps[-1] == update._QUIET_MS_MAX
    bench.agent.ready[0]()
    assert len(bench.agent.wishes()) == 1, "a connection begins anew"


def test_loading_goes_on_after_a_restart_without_an_offer(bench: Bench) -> None:
    offered = image(2)
    bench.offer(offered.offer)
    desk = rig.Desk(offered.offer, offered.body, CHUNK)
    for _ in range(2):
        for wish in bench.agent.wishes():
            for message in desk.answers(wish):
                bench.chunk(message)
    bench.updater._intake.close()
    assert bench.start() == "a"
    wish = bench.agent.wishes()[0]
    assert wish["at"] > 3_000, "what is there is not loaded again"
    bench.agent.ready[0]()
    bench.load(offered)
    assert bench.start() == "b"


def test_another_offer_takes_the_place_of_the_one_that_is_loaded(bench: Bench) -> None:
    bench.offer(image(2).offer)
    desk = rig.Desk(image(2).offer, image(2).body, CHUNK)
    for message in desk.answers(bench.agent.wishes()[0]):
        bench.chunk(message)
    assert bench.offer(image(3).offer)["offered"] == 3
    bench.load(image(3))
    assert bench.start() == "b"
    assert bench.files.read("b/data.bin") == image(3).files()[0][1]


def test_an_offer_that_is_taken_back_ends_the_loading(bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.agent.wishes()
    told = bench.offer(b"")
    assert (told["phase"], told["offered"], told["refused"]) == ("idle", None, None)
    bench.clock_ms += 100_000
    bench.agent.tick()
    assert not bench.agent.wishes()
