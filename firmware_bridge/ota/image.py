"""An image: the files of a board's program in one file, behind a manifest that can be signed (docs/spec/firmware.md, "Images")."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import parse_path

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_BYTES_MAX",
    "CHUNK_BYTES_MIN",
    "FILES_MAX",
    "IMAGE_BYTES_MAX",
    "VERSION_MAX",
    "Image",
    "Manifest",
    "Proof",
    "check_name",
    "make_image",
    "read_image",
]

_MAGIC = b"EMFW"
_FORM = 1
_HEAD_BYTES = 3
_PROOF_BYTES = 11
_TWO_BYTES_MAX = 65_535

CHUNK_BYTES = 768
"""Fits into packets of 1,024 bytes, which boards take unless they are told otherwise."""
CHUNK_BYTES_MIN = 64
CHUNK_BYTES_MAX = 16_384
FILES_MAX = 64
IMAGE_BYTES_MAX = 16 * 1024 * 1024
VERSION_MAX = 2**30 - 1
"""A whole number that no board needs more than a word for."""
_SHOWN_BYTES_MAX = 200
_NAME_LENGTH_MAX = 64
_DEPTH_MAX = 4
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_MAINS = ("main.py", "main.mpy")
_TAKEN = ("files", "manifest", "manifest.new")
_TABLE_BYTES_MAX = 6_144


class Proof(NamedTuple):
    """A signature of a manifest: 0 none, 1 RSA-2048 with SHA-256, 2 HMAC-SHA256; the first 8 bytes of the key's SHA-256; the signature."""

    algorithm: int = 0
    key_id: bytes = bytes(8)
    signature: bytes = b""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an image is: for which board (a path, or the name of a kind), which version, and what is in it.

    `size` and `sha256` are of the body, which begins with a table of `table` bytes; `chunk` is how many bytes go into a message,
    `made` is a moment (RFC 3339). `title` and `summary` are for people.
    """

    board: str
    version: int
    size: int
    sha256: str
    chunk: int
    table: int
    made: str
    title: str = ""
    summary: str = ""


class Image:
    """A manifest as the bytes that are signed, a proof, and the body."""

    def __init__(self, manifest: Manifest, manifest_bytes: bytes, proof: Proof, body: bytes) -> None:
        self.manifest = manifest
        self.manifest_bytes = manifest_bytes
        self.proof = proof
        self.body = body

    @property
    def offer(self) -> bytes:
        """What boards are offered: form, manifest, proof."""
        head = bytes([_FORM]) + len(self.manifest_bytes).to_bytes(2, "big") + self.manifest_bytes
        algorithm, key_id, signature = self.proof
        return head + bytes([algorithm]) + key_id + len(signature).to_bytes(2, "big") + signature

    @property
    def digest(self) -> str:
        """By which requests and chunks name the image: the first 16 hexadecimal digits of the body's SHA-256."""
        return self.manifest.sha256[:16]

    def signed(self, proof: Proof) -> Image:
        """The same with another proof."""
        return Image(self.manifest, self.manifest_bytes, proof, self.body)

    def chunk(self, at: int) -> bytes:
        """The message with the bytes from `at` on: digest, place, bytes."""
        return bytes.fromhex(self.digest) + at.to_bytes(4, "big") + self.body[at : at + self.manifest.chunk]

    def files(self) -> list[tuple[str, bytes]]:
        """Each file with what it holds."""
        found, start = [], self.manifest.table
        for name, size in read_table(self.manifest, self.body):
            found.append((name, self.body[start : start + size]))
            start += size
        return found

    def to_bytes(self) -> bytes:
        """As it is kept in a file."""
        return _MAGIC + self.offer + self.body


def make_image(
    files: Sequence[tuple[str, bytes]], *, board: str, version: int, made: str, chunk: int = CHUNK_BYTES, title: str = "", summary: str = ""
) -> Image:
    """Pack files. The same arguments make the same bytes.

    Args:
        files: names with `/`, and what they hold; one of them is `main.py` or `main.mpy`.
        board: a path, or the name of a kind of boards.
        version: only a higher one than the board's is taken.
        made: when, RFC 3339.
        chunk: bytes of a message.
        title: for people; of both `title` and `summary` 200 bytes at most.
        summary: what is new.

    Raises:
        UsageError: something is beyond its bounds, or there is no `main`.
    """
    table = json.dumps([[name, len(data)] for name, data in files], separators=(",", ":")).encode()
    body = b"".join([table, *(data for _, data in files)])
    manifest = Manifest(
        board=board,
        version=version,
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        chunk=chunk,
        table=len(table),
        made=made,
        title=title,
        summary=summary,
    )
    check_manifest(manifest)
    read_table(manifest, body)
    told = {name: value for name, value in msgspec.to_builtins(manifest).items() if value != ""}
    written = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return Image(manifest, written, Proof(), body)


def read_image(file: Path) -> Image:
    """The image in a file.

    Raises:
        UsageError: it cannot be read, is cut, or is no image; its body is not the one of the manifest.
    """
    try:
        if file.stat().st_size > IMAGE_BYTES_MAX + 2 * _TWO_BYTES_MAX:
            raise UsageError(f"is larger than an image may be, {IMAGE_BYTES_MAX} bytes", where=str(file))
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file), remedy="edgematrix firmware build makes one") from None
    if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _HEAD_BYTES or data[len(_MAGIC)] != _FORM:
        raise UsageError("is no image, or of a newer form", where=str(file), remedy="edgematrix firmware build makes one")
    rest = data[len(_MAGIC) + 1 :]
    size, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    manifest_bytes, rest = rest[:size], rest[size:]
    signed = int.from_bytes(rest[9:11], "big")
    if len(manifest_bytes) < size or len(rest) < _PROOF_BYTES + signed:
        raise UsageError("is cut", where=str(file), remedy="build or copy it again")
    proof = Proof(rest[0], rest[1:9], rest[_PROOF_BYTES : _PROOF_BYTES + signed])
    body = rest[_PROOF_BYTES + signed :]
    try:
        manifest = msgspec.json.decode(manifest_bytes, type=Manifest)
        check_manifest(manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"its manifest cannot be read: {error}", where=str(file), remedy="build it again") from None
    except UsageError as error:
        raise UsageError(error.what, where=str(file), remedy=error.remedy) from None
    if len(body) != manifest.size or hashlib.sha256(body).hexdigest() != manifest.sha256:
        what = f"its body has {len(body)} bytes that are not the {manifest.size} of its manifest"
        raise UsageError(what, where=str(file), remedy="build or copy it again")
    try:
        read_table(manifest, body)
    except UsageError as error:
        raise UsageError(error.what, where=str(file), remedy=error.remedy) from None
    return Image(manifest, manifest_bytes, proof, body)


def check_name(name: str) -> str:
    """A file's name as boards take it: `a-z A-Z 0-9 _ - .`, four levels, 64 characters; no name that a slot has for itself.

    Raises:
        UsageError: it is another one.
    """
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH_MAX or name.count("/") >= _DEPTH_MAX or name in _TAKEN:
        remedy = f"letters, digits, _ - . and at most {_DEPTH_MAX} levels and {_NAME_LENGTH_MAX} characters; not {' or '.join(_TAKEN)}"
        raise UsageError(f"a board takes no file called {name[:80]!r}", remedy=remedy)
    return name


def check_manifest(manifest: Manifest) -> None:
    """Refuse what a board would refuse.

    Raises:
        UsageError: what is beyond its bounds.
    """
    try:
        parse_path(manifest.board)
    except PathError as error:
        raise UsageError(f"the board {manifest.board[:80]!r}: {error.what}", remedy="its path, or a name for its kind") from None
    if not 1 <= manifest.version <= VERSION_MAX:
        raise UsageError(f"the version is {manifest.version}, it has to be a whole number from 1 to {VERSION_MAX}")
    if not CHUNK_BYTES_MIN <= manifest.chunk <= CHUNK_BYTES_MAX:
        raise UsageError(f"chunks of {manifest.chunk} bytes, they have {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX}")
    if not 0 < manifest.table < manifest.size <= IMAGE_BYTES_MAX or manifest.table > _TABLE_BYTES_MAX:
        what = f"an image of {manifest.size} bytes with a table of {manifest.table}"
        raise UsageError(what, remedy=f"from 1 byte to {IMAGE_BYTES_MAX}, and fewer files, or shorter names")
    for name in ("title", "summary"):
        size = len(getattr(manifest, name).encode())
        if size > _SHOWN_BYTES_MAX:
            raise UsageError(f"the {name} has {size} bytes, {_SHOWN_BYTES_MAX} is the most")


def read_table(manifest: Manifest, body: bytes) -> list[tuple[str, int]]:
    """Names and sizes of the files of an image.

    Raises:
        UsageError: there is no such table, or what stands in it is beyond its bounds.
    """
    try:
        table = msgspec.json.decode(body[: manifest.table], type=list[tuple[str, int]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"its table of files cannot be read: {error}", remedy="build it again") from None
    names = [check_name(name) for name, _ in table]
    if len(set(names)) < len(names):
        raise UsageError("a file stands there twice")
    if len(names) > FILES_MAX:
        raise UsageError(f"there are {len(names)} files, {FILES_MAX} is the most")
    if sum(name in _MAINS for name in names) != 1:
        raise UsageError("there has to be one main.py (or main.mpy), with which the program begins")
    if manifest.table + sum(size for _, size in table) != manifest.size or any(size < 0 for _, size in table):
        raise UsageError(f"its files are not the {manifest.size} bytes of its manifest", remedy="build it again")
    return table
