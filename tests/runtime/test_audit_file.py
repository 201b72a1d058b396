"""The audit log on the disk: what a kill, a full disk, a second host and the hand of somebody else leave of it."""

import errno
import json
import os
from pathlib import Path

import pytest

from edgematrix.access.audit import Fact, Head, Outcome, Verdict, verify
from edgematrix.errors import StateError
from edgematrix.runtime.audit_file import AuditFile, audit_files

AT = "2026-07-27T08:00:00.000000Z"


def fact(path: str = "home") -> Fact:
    return Fact(AT, "anna", "pause", path, {}, Outcome.DONE)


def verdict_of(folder: Path, head: Head | None = None) -> Verdict:
    return verify([line for file in audit_files(folder) for line in file.read_bytes().split(b"\n") if line], head)


def verbs(folder: Path) -> list[str]:
    return [json.loads(line)["verb"] for file in audit_files(folder) for line in file.read_text().splitlines()]


def test_a_log_goes_on_after_each_start_and_none_is_made_for_nothing(tmp_path: Path) -> None:
    log = AuditFile(tmp_path / "state", "pi")
    log.open(AT)
    log.close()
    assert not (tmp_path / "state").exists()
    for start in range(3):
        log = AuditFile(tmp_path / "state", "pi")
        log.open(AT)
        assert not log.found
        assert log.append([fact(), fact()]) == start * 2 + 1
        log.close()
    assert (verdict_of(tmp_path / "state", log.head).trouble, log.head.n) == (None, 6)
    assert (tmp_path / "state" / "audit.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", [1, 30, -2])
def test_a_torn_line_is_told_and_the_chain_goes_on(tmp_path: Path, kept: int) -> None:
    log = AuditFile(tmp_path, "pi")
    log.append([fact("home/a"), fact("home/b")])
    log.close()
    file = tmp_path / "audit.jsonl"
    whole, torn = file.read_bytes().rstrip(b"\n").rsplit(b"\n", 1)
    file.write_bytes(whole + b"\n" + torn[:kept])
    assert verdict_of(tmp_path).trouble is not None
    again = AuditFile(tmp_path, "pi")
    again.open(AT)
    assert "not whole" in again.found
    again.append([fact("home/c")])
    again.close()
    assert verdict_of(tmp_path, again.head).trouble is None
    assert verbs(tmp_path) == ["pause", "torn", "pause"]


def test_a_file_that_is_full_is_renamed_and_what_is_dropped_is_said(tmp_path: Path) -> None:
    log = AuditFile(tmp_path, "pi", file_bytes_max=2_000, files_max=2)
    for number in range(100):
        log.append([fact(f"home/a{number}")])
        if number % 30 == 29:  # over a restart too
            log.close()
            log = AuditFile(tmp_path, "pi", file_bytes_max=2_000, files_max=2)
            log.open(AT)
    verdict = verdict_of(tmp_path, log.head)
    assert verdict.trouble is None
    assert verdict.first > 50
    assert len(audit_files(tmp_path)) == 3
    assert "dropped" in verbs(tmp_path)
    assert sum(file.stat().st_size for file in audit_files(tmp_path)) < 9_000
    audit_files(tmp_path)[0].unlink()
    missing = verdict_of(tmp_path).trouble
    assert missing is not None
    assert "no entry says that it was dropped" in missing.what
    log.close()


def test_a_line_that_was_changed_is_left_to_be_found(tmp_path: Path) -> None:
    log = AuditFile(tmp_path, "pi")
    log.append([fact("home/a"), fact("home/b")])
    log.close()
    file = tmp_path / "audit.jsonl"
    file.write_bytes(file.read_bytes().replace(b"home/b", b"home/x"))
    again = AuditFile(tmp_path, "pi")
    again.open(AT)
    assert "was damaged" in again.found
    again.append([fact("home/c")])
    again.close()
    trouble = verdict_of(tmp_path).trouble
    assert trouble is not None
    assert (trouble.line, trouble.n) == (2, 2)
    assert verbs(tmp_path) == ["pause", "pause", "damaged", "pause"]


def test_what_cannot_be_written_is_refused_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditFile(tmp_path, "pi")
    log.append([fact()])
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("os.write", lambda descriptor, data: half(descriptor, data[:15]))
        with pytest.raises(StateError, match="cannot be written to the audit log: No space left"):
            log.append([fact(), fact()])
    assert log.append([fact()]) == 2
    assert verdict_of(tmp_path, log.head).trouble is None
    log.close()


def test_two_hosts_do_not_share_a_log(tmp_path: Path) -> None:
    log = AuditFile(tmp_path, "pi")
    log.append([fact()])
    other = AuditFile(tmp_path, "attic")
    with pytest.raises(StateError, match="another host writes the audit log here"):
        other.append([fact()])
    log.close()
    other.append([fact()])
    other.close()
    assert verdict_of(tmp_path).trouble is None
