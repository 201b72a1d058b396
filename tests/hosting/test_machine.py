"""What a machine says that it can do."""

from __future__ import annotations

from pathlib import Path

from edgematrix.config.machine import capability_here, load_here


def test_a_machine_tells_its_memory_packages_and_modules_without_importing_them(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "rules.py").write_text("raise RuntimeError\n")
    (tmp_path / "day.py").write_text("raise RuntimeError\n")
    able = capability_here(labels=("light",), devices=("lamp",), allowed=("installed",), code=tmp_path)
    assert able.modules == ("installed", "day", "night.rules")
    assert {"msgspec", "pydantic"} <= set(able.packages)
    assert all(name.isidentifier() for name in able.packages)
    assert able.memory_mb > 0
    assert (able.labels, able.devices) == (("light",), ("lamp",))
    assert load_here() >= 0
