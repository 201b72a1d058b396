"""Power that fails at any write: afterwards the board runs the old program or the new one, whole, and gets to the new one in the end."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from ota_board import CHUNK, KEY, Files, Slots, image, rig

from edgematrix.errors import UsageError
from firmware_bridge import micropython
from firmware_bridge.ota.image import Image, make_image

HERE = Path(__file__).parent
LIVES_MAX = 30
SEEDS = 60


class PowerCutError(BaseException):
    """The power is gone: nothing catches this."""


class CutFile:
    """A file of which, when the power goes, anything between what was synced and what was written is there."""

    def __init__(self, file: BinaryIO, files: CutFiles, path: Path) -> None:
        self.file, self.files, self.path = file, files, path
        self.synced = path.stat().st_size

    def write(self, data: bytes) -> int:
        self.files.spend(lambda: (self.file.write(data[: len(data) // 2]), self.file.flush()))
        return self.file.write(data)

    def flush(self) -> None:
        self.files.spend()
        self.file.flush()
        self.synced = self.path.stat().st_size

    def fileno(self) -> int:
        return self.file.fileno()

    def readinto(self, buffer: bytearray) -> int:
        return self.file.readinto(buffer)  # type: ignore[attr-defined,no-any-return]

    def close(self) -> None:
        if not self.files.is_dead:
            self.flush()
        self.file.close()

    def lose(self, chance: random.Random) -> None:
        self.file.close()
        there = self.path.stat().st_size if self.path.exists() else 0
        if there > self.synced:
            with self.path.open("r+b") as file:
                file.truncate(chance.randint(self.synced, there))


class CutFiles(Files):  # type: ignore[misc]
    """Files whose power goes after so many changes. A file system that is no littlefs: what is written can be torn."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(str(folder))
        self.left = -1
        self.is_dead = False
        self._chance = random.Random(seed)
        self._open: list[CutFile] = []

    def spend(self, torn: Any = None) -> None:
        if self.is_dead or self.left == 0:
            if not self.is_dead and torn is not None and self._chance.random() < 0.7:
                torn()
            self.is_dead = True
            raise PowerCutError
        self.left -= 1

    def open(self, name: str, mode: str) -> Any:
        path = Path(self.base + name)
        if mode == "rb":
            return super().open(name, mode)
        self.spend()
        found = CutFile(super().open(name, mode), self, path)
        self._open.append(found)
        return found

    def sync(self, file: Any) -> None:
        file.flush()

    def rename(self, old: str, new: str) -> None:
        self.spend()
        super().rename(old, new)

    def make_folder(self, name: str) -> None:
        self.spend()
        super().make_folder(name)

    def remove(self, name: str) -> None:
        if Path(self.base + name).exists():
            self.spend()
        super().remove(name)

    def power_up(self, left: int) -> None:
        """As after the power was gone, and is back for so many changes (-1: for good)."""
        for file in self._open:
            file.lose(self._chance)
        self._open.clear()
        self.left, self.is_dead = left, False


def holds(files: Any, slot: str, program: Image) -> bool:
    return all(files.read(f"{slot}/{name}") == data for name, data in program.files())


def place(files: Any, program: Image) -> None:
    files.write("update.keys", KEY.line.encode())
    for name, data in program.files():
        files.make_folder(f"a/{name}".rpartition("/")[0])
        files.write(f"a/{name}", data)
    files.write("a/manifest", program.manifest_bytes)


def live(folder: Path, cuts: list[int], seed: int, *, content: bool) -> None:
    """A board from its first start until it has come to an end; each of its first lives ends after so many changes."""
    old, new = image(1), image(2)
    folder.mkdir(exist_ok=True)
    files = CutFiles(folder, seed)
    place(files, old)
    desk = rig.Desk(new.offer, new.body, CHUNK)
    for _ in range(LIVES_MAX):
        files.power_up(cuts.pop(0) if cuts else -1)
        try:
            ran = rig.one_life(files, desk, lambda: files.is_dead, content)
        except PowerCutError:
            ran = ""
        cut = files.is_dead
        files.power_up(-1)
        slots = Slots(files)
        assert holds(files, slots.run, old) or (content and holds(files, slots.run, new)), f"{slots.run} is good and holds neither"
        assert not slots.trial or holds(files, slots.trial, new), f"{slots.trial} is on trial and does not hold the new program"
        if not cut and ran not in ("", "again"):
            assert slots.version() == (2 if content else 1)
            assert not (content and slots.bad)
            return
    pytest.fail("it does not come to an end")


@pytest.mark.parametrize("content", [True, False], ids=["a good program", "a bad program"])
def test_power_that_fails_at_random(content: bool, tmp_path: Path) -> None:
    """Up to two cuts in a board's life at random places, with torn and lost writes."""
    for seed in range(SEEDS):
        chance = random.Random(seed)
        cuts = [chance.randint(0, 110), *([chance.randint(0, 60)] if chance.random() < 0.5 else [])]
        try:
            live(tmp_path / str(seed), list(cuts), seed, content=content)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, cuts {cuts}: {error}") from error


@pytest.mark.slow
@pytest.mark.parametrize("content", [True, False], ids=["a good program", "a bad program"])
def test_power_that_fails_at_every_write(content: bool, tmp_path: Path) -> None:
    for cut in range(130):
        for again in range(0, 130, 5):
            live(tmp_path / f"{cut}-{again}", [cut, again], cut * 1_000 + again, content=content)


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Files of an old image, a new one, and the keys."""
    for version in (1, 2):
        files = [("data.bin", random.Random(version).randbytes(2_500)), ("lib/empty.py", b""), ("lib/x.py", b"x=%d\n" % version * 300)]
        made = make_image([*files, ("main.py", b"print(1)\n")], board=rig.PATH, version=version, made="2026-01-01T00:00:00Z", chunk=512)
        (tmp_path / f"{version}.emfw").write_bytes(made.signed(KEY.sign(made.manifest_bytes)).to_bytes())
    (tmp_path / "keys").write_text(f"{KEY.line}\n")
    return [str(tmp_path / "1.emfw"), str(tmp_path / "2.emfw"), str(tmp_path / "keys")]


def cut_littlefs(images: list[str], first: int, step: int, block_bytes: int, kind: str) -> int:
    """How many cuts were made; the board says more in between."""
    try:
        words = micropython.command("4M")
    except UsageError as error:
        pytest.skip(str(error))
    arguments = [*images, str(first), str(step), str(block_bytes), kind]
    program = [*words, str(HERE / "ota_cuts.py"), *arguments]
    done = subprocess.run(program, check=False, env=micropython.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.splitlines()[-1].split()[0])


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_a_littlefs_whose_power_fails_at_every_write(kind: str, images: list[str]) -> None:
    """Real MicroPython on a real littlefs: each write and erase of the flash is cut in turn, and two more in the lives that follow."""
    assert cut_littlefs(images, 0, 1, 1_024, kind) > 60


@pytest.mark.slow
@pytest.mark.parametrize("block_bytes", [1_024, 2_048, 4_096])
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_a_littlefs_of_other_blocks(kind: str, block_bytes: int, images: list[str]) -> None:
    assert cut_littlefs(images, 0, 1, block_bytes, kind) > 50


def test_the_rig_finds_a_board_that_writes_over_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test."""
    monkeypatch.setattr(Slots, "other", property(lambda self: self.run))
    with pytest.raises(AssertionError, match="holds neither"):
        live(tmp_path, [40], 1, content=True)


def test_proofs_hold_on_micropython(tmp_path: Path) -> None:
    """RSA and HMAC in the memory of a chip."""
    pytest.importorskip("cryptography")
    from firmware_bridge.ota.key import make_key

    try:
        words = micropython.command()
    except UsageError as error:
        pytest.skip(str(error))
    lines, cases = [], []
    for key in (make_key(tmp_path / "rsa"), make_key(tmp_path / "hmac", is_hmac=True)):
        algorithm, key_id, signature = key.sign(b"data")
        lines.append(key.line)
        wrong = bytes([signature[0], signature[1] ^ 1]) + signature[2:]
        cases += [(algorithm, key_id.hex(), signature.hex(), True), (algorithm, key_id.hex(), wrong.hex(), False)]
        cases += [(algorithm, "00" * 8, signature.hex(), None), (algorithm, key_id.hex(), "ff" * len(signature), False)]
    text = "\n".join(lines)
    program = tmp_path / "proofs.py"
    program.write_text(
        "import binascii, gc\nfrom upy.proof import is_proof\n"
        f"for algorithm, key, signature, wanted in {cases!r}:\n"
        f"    found = is_proof({text.encode()!r}, algorithm, key, b'data', binascii.unhexlify(signature))\n"
        "    assert found is wanted, (algorithm, key, found)\n"
        "print('all hold')\n"
    )
    done = subprocess.run([*words, str(program)], check=False, env=micropython.environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout == "all hold\n", done.stderr


def test_the_interpreter_of_the_tests_is_no_board() -> None:
    assert "upy" in sys.modules
    assert str(Path(micropython.__file__).parent) not in sys.path
