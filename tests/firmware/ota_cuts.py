"""Cuts the power of a board at each write to its flash, in turn, and looks whether it comes up: littlefs on a flash in memory.

    micropython ota_cuts.py IMAGE_OLD IMAGE_NEW KEYS FIRST STEP BLOCK_BYTES [bad]

Every write and each erasing of a block counts; the one that is cut leaves the first half of its bytes. From FIRST on, each
STEP-th is cut, and once more a bit later in the life that follows. With `bad` the new program is never content.
"""

# ruff: noqa: ANN204, PTH123, RET503, UP031 - MicroPython has no typing and no pathlib

import json
import sys

import vfs
from ota_rig import Desk, one_life
from upy.slots import Files, Slots

BLOCKS = 40
LIVES_MAX = 40


class Flash:
    """A block device whose power can go."""

    def __init__(self, block_bytes):
        self._size = block_bytes
        self.data = bytearray(BLOCKS * block_bytes)
        self.writes = 0
        self.cut_at = -1

    def dead(self):
        return self.cut_at >= 0 and self.writes > self.cut_at

    def readblocks(self, number, buffer, offset=0):
        start = number * self._size + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        start = number * self._size + offset
        self.writes += 1
        if self.dead():
            if self.writes == self.cut_at + 1:
                half = len(buffer) // 2
                self.data[start : start + half] = buffer[:half]
            return -5
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return self._size
        if operation == 6:
            self.writes += 1
            if self.dead():
                return -5
            self.data[argument * self._size : (argument + 1) * self._size] = b"\xff" * self._size
        return 0


def read_image(path):
    """Offer, manifest as bytes and as it is, body."""
    with open(path, "rb") as file:
        data = file.read()[4:]
    size = int.from_bytes(data[1:3], "big")
    end = 3 + size + 11 + int.from_bytes(data[3 + size + 9 : 3 + size + 11], "big")
    return data[:end], data[3 : 3 + size], json.loads(data[3 : 3 + size]), data[end:]


def place(files, keys, manifest_bytes, manifest, body):
    """What is on a new board."""
    files.write("update.keys", keys)
    start = manifest["table"]
    for name, size in json.loads(body[: manifest["table"]]):
        full = "a/" + name
        files.make_folder(full.rpartition("/")[0])
        files.write(full, body[start : start + size])
        start += size
    files.write("a/manifest", manifest_bytes)


def holds(files, slot, manifest, body):
    start = manifest["table"]
    for name, size in json.loads(body[: manifest["table"]]):
        if files.read(slot + "/" + name) != body[start : start + size]:
            return False
        start += size
    return True


def live(flash, before, desk, old, new, content, cuts):
    """One board from the first power-on to the end, its power cut after so many writes of each life."""
    flash.data[:] = before
    lives = 0
    while True:
        lives += 1
        if lives > LIVES_MAX:
            return "it does not come to an end"
        flash.writes = 0
        flash.cut_at = cuts.pop(0) if cuts else -1
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
        files = Files("/flash")
        try:
            ran = one_life(files, desk, flash.dead, content)
        except OSError as error:
            if not flash.dead():
                return "OSError %s" % error
            ran = ""
        cut = flash.dead()
        vfs.umount("/flash")
        flash.cut_at = -1
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
        slots = Slots(files)
        runs = slots.trial or slots.run
        whole = holds(files, runs, old[0], old[1]) or holds(files, runs, new[0], new[1])
        good = holds(files, slots.run, old[0], old[1]) or (content and holds(files, slots.run, new[0], new[1]))
        done = not cut and ran not in ("", "again")
        right = slots.version() == (new[0]["version"] if content else old[0]["version"]) if done else True
        failed = len(slots.bad)
        vfs.umount("/flash")
        if not whole or not good:
            return "after life %d the slot %s holds neither program" % (lives, runs)
        if done:
            if content and failed:
                return "a good program was given up"
            return "" if right else "it runs the wrong version"


def main(old_path, new_path, keys_path, first, step, block_bytes, kind="good"):
    content = kind == "good"
    _, old_bytes, old, old_body = read_image(old_path)
    offer, _, new, new_body = read_image(new_path)
    desk = Desk(offer, new_body, new["chunk"])
    flash = Flash(int(block_bytes))
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    with open(keys_path, "rb") as file:
        place(Files("/flash"), file.read(), old_bytes, old, old_body)
    vfs.umount("/flash")
    before = bytes(flash.data)
    longest, cut, tried = longest_life(flash, before, desk, content), int(first), 0
    both = (old, old_body), (new, new_body)
    while True:
        flash.writes = 0
        # The first life ends with the restart into the trial; what follows is cut too, by where we are.
        wrong = live(flash, before, desk, both[0], both[1], content, [cut, cut * 7 % 13, cut * 5 % 11])
        if wrong:
            print("cut at %d: %s" % (cut, wrong))
            sys.exit(1)
        tried += 1
        cut += int(step)
        if cut > longest:
            break
    print("%d cuts of %d writes" % (tried, longest))


def longest_life(flash, before, desk, content):
    """How many writes the first life makes that nobody cuts."""
    flash.data[:] = before
    flash.writes, flash.cut_at = 0, -1
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    one_life(Files("/flash"), desk, lambda: False, content)
    vfs.umount("/flash")
    return flash.writes


main(*sys.argv[1:])
