"""A board and its offers, on CPython without a network: what it takes, what it refuses and why, and what it asks for."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge import micropython
from firmware_bridge.ota.image import Image, Proof, make_image
from firmware_bridge.ota.key import HmacKey

sys.path.insert(0, str(Path(micropython.__file__).parent))
try:
    # It speaks of `upy`, as a board does. The folder stays on no path: what else is in it is called as other packages are.
    import ota_rig as rig
    from upy import update  # type: ignore[import-not-found]
    from upy.slots import Files, Slots, boot  # type: ignore[import-not-found]
finally:
    del sys.path[0]

KEY = HmacKey(bytes(range(32)))
CHUNK = 256


def image(version: int, *, board: str = rig.PATH, chunk: int = CHUNK, key: HmacKey | None = KEY, more: bytes = b"") -> Image:
    body = random.Random(version).randbytes(5_000)
    files = [("data.bin", body), ("lib/empty.py", b""), ("lib/more.py", b"x = 1\n" * 300), ("main.py", b"print(1)\n" + more)]
    made = make_image(files, board=board, version=version, made="2026-01-01T00:00:00Z", chunk=chunk, title="green", summary="new")
    return made if key is None else made.signed(key.sign(made.manifest_bytes))


class Bench:
    """A board whose flash holds version 1 in `a`."""

    def __init__(self, folder: Path, files: Any = None) -> None:
        self.files = files or Files(str(folder))
        self.clock_ms = 1_000_000
        self.files.write("update.keys", KEY.line.encode())
        old = image(1)
        for name, data in old.files():
            if "/" in name:
                self.files.make_folder("a/" + name.rpartition("/")[0])
            self.files.make_folder("a")
            self.files.write("a/" + name, data)
        self.files.write("a/manifest", old.manifest_bytes)
        self.start()

    def start(self, *, ok: Callable[[], object] | None = None) -> str:
        """Power on; which slot runs."""
        name = Slots(self.files).start()
        self.agent = rig.Agent()
        self.updater = update.Updater(self.agent, files=self.files, ok=ok, restart=rig.restarted)
        self.agent.ready[0]()
        return str(name)

    def offer(self, data: bytes) -> dict[str, Any]:
        """What the board says of itself once it was offered this."""
        self.agent.parts["_update"](data, True)
        told: dict[str, Any] = self.agent.said()
        return told

    def chunk(self, message: bytes, *, retained: bool = False) -> None:
        self.agent.parts["_chunk"](message, retained)

    def load(self, offered: Image) -> None:
        """All that is asked for, until the board restarts."""
        desk = rig.Desk(offered.offer, offered.body, offered.manifest.chunk)

        def answer() -> None:
            for wish in self.agent.wishes():
                for message in desk.answers(wish):
                    self.chunk(message)

        self.go_on(answer)

    def go_on(self, between: Callable[[], object]) -> None:
        """Let time pass until the board restarts."""
        for _ in range(2_000):
            try:
                between()
                self.agent.tick()
            except rig.Restarted:
                return
        pytest.fail(f"it does not restart: {self.agent.said()}")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(tmp_path)
    monkeypatch.setattr(update, "ticks_ms", lambda: found.clock_ms)
    return found


def code(told: dict[str, Any]) -> str:
    return str(told["refused"]["code"]) if told["refused"] else ""


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


def try_out(bench: Bench, version: int, *, ok: Callable[[], object], online: bool = True) -> dict[str, Any]:
    """Load a version and try it; what the board says after it was given up."""
    told = bench.offer(image(version).offer)
    if told["phase"] != "loading":
        return told
    bench.load(image(version))
    assert bench.start(ok=ok) == "b"
    bench.agent.online = bench.agent.settled = online

    def pass_second() -> None:
        bench.clock_ms += 1_000

    bench.go_on(pass_second)
    assert bench.start() == "a"
    found: dict[str, Any] = bench.agent.said()
    return found


def test_a_program_that_is_not_content_is_given_up_and_not_tried_again(bench: Bench) -> None:
    told = try_out(bench, 2, ok=lambda: False)
    assert (told["phase"], told["version"], told["slot"]) == ("idle", 1, "a")
    assert told["failed"] == [[2, "it was not content in 120 s"]]
    told = bench.offer(image(2).offer)
    assert (code(told), told["phase"]) == ("failed", "idle")
    assert not bench.agent.wishes()
    assert bench.agent.said("_update")["latest_version"] == "2"
    assert bench.offer(image(3).offer)["phase"] == "loading"


def test_a_program_whose_check_raises_is_not_content(bench: Bench) -> None:
    assert try_out(bench, 2, ok=lambda: 1 / 0)["failed"] == [[2, "it was not content in 120 s"]]


def test_a_program_that_did_not_reach_the_broker_is_tried_again_a_few_times(bench: Bench) -> None:
    """That may be the broker's fault. What is there is not loaded again."""
    for number in range(3):
        told = try_out(bench, 2, ok=lambda: True, online=False)
        assert told["failed"] == [[2, "it did not reach the broker in 120 s"]], number
    assert code(bench.offer(image(2).offer)) == "failed"


def test_what_failed_is_remembered_in_bounds(bench: Bench) -> None:
    for version in range(2, 14):
        try_out(bench, version, ok=lambda: False)
    assert [entry[0] for entry in Slots(bench.files).bad] == list(range(6, 14))
    assert len(bench.agent.said()["failed"]) == 3
    assert len(json.dumps(bench.agent.said())) < 991


def test_a_program_that_falls_over_is_given_up_after_three_starts(bench: Bench) -> None:
    """The power goes each time, as by a watchdog; nobody says anything."""
    bench.offer(image(2).offer)
    bench.load(image(2))
    assert [Slots(bench.files).start() for _ in range(5)] == ["b", "b", "b", "a", "a"]
    assert "started 3 times" in Slots(bench.files).bad[0][3]


def test_what_is_offered_during_a_trial_waits_for_its_end(bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start(ok=lambda: bench.clock_ms > 1_005_000)
    bench.agent.parts["_update"](image(3).offer, True)
    bench.agent.tick()
    assert bench.agent.said()["phase"] == "trial"
    bench.clock_ms += 10_000
    bench.agent.tick()
    told = bench.agent.said()
    assert (told["phase"], told["version"], told["offered"]) == ("loading", 2, 3)


def test_without_what_is_remembered_the_newest_whole_program_runs(bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start()
    bench.agent.tick()
    for content in (b"", b"garbage", b'[9,"c","",0,"",[]]\n00000000'):
        for copy in ("slots.0", "slots.1"):
            bench.files.write(copy, content)
        slots = Slots(bench.files)
        assert (slots.run, slots.version(), slots.trial) == ("b", 2, "")


@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_copy_of_what_is_remembered_does_not_matter(copy: int, bench: Bench) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    bench.start()
    bench.agent.tick()
    whole = bench.files.read(f"slots.{copy}")
    for at in range(len(whole)):
        bench.files.write(f"slots.{copy}", whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        slots = Slots(bench.files)
        assert slots.start() in ("a", "b")
        assert slots.manifest(slots.run)
        assert slots.run == "b" or copy == slots.number & 1 or slots.trial == "b"
        bench.files.write(f"slots.{copy}", whole)


def test_a_board_without_a_program_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boot(str(tmp_path))
    assert "there is no program" in capsys.readouterr().out


def full(*_: object) -> None:
    raise OSError(28, "no room")


def test_a_flash_that_takes_nothing_leaves_the_former_program(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.offer(image(2).offer)
    bench.load(image(2))
    with monkeypatch.context() as patch:
        patch.setattr(bench.files, "write", full)
        assert Slots(bench.files).start() == "a", "what cannot be counted is not tried"
    assert bench.start() == "b"
    with monkeypatch.context() as patch:
        patch.setattr(bench.files, "write", full)
        for _ in range(130):
            bench.clock_ms += 1_000
            with contextlib.suppress(OSError, rig.Restarted):
                bench.agent.tick()
        assert bench.updater._leaving
        assert Slots(bench.files).start() == "a"
    assert Slots(bench.files).version() == 1


MACHINE = """
import sys


class Timer:
    ONE_SHOT = 0
    callback = None

    def __init__(self, number):
        if number < 0:
            raise ValueError("there are timers of the hardware alone")

    def init(self, mode, period, callback):
        print("timer", period)
        Timer.callback = callback


def reset():
    print("reset")
    sys.exit(3)
"""


def test_a_timer_ends_a_trial_that_hangs(bench: Bench, tmp_path: Path) -> None:
    """A stand-in for a chip's module `machine`."""
    bench.offer(image(2).offer)
    bench.load(image(2))
    (tmp_path / "b" / "main.py").write_text("import machine\nmachine.Timer.callback(None)\nprint('never')\n")
    (tmp_path / "a" / "main.py").write_text("print('the former one')\n")
    (tmp_path / "machine.py").write_text(MACHINE)
    (tmp_path / "main.py").write_text("import slots\n\nslots.boot(rest_s=0)\n")
    (tmp_path / "slots.py").write_text((Path(micropython.__file__).parent / "upy" / "slots.py").read_text())
    said = [subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=False, capture_output=True, text=True) for _ in range(2)]
    assert [one.returncode for one in said] == [3, 3], said
    assert said[0].stdout.split("\n")[:2] == ["timer 300000", "reset"]
    assert "never" not in said[0].stdout
    assert said[1].stdout.startswith("the former one\n")
    assert Slots(bench.files).bad[0][3] == "it said nothing for 300 s"
