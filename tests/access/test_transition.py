"""The access list while one version of a matrix gives way to another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgematrix.access.grant import Access
from edgematrix.access.transition import together
from edgematrix.cli.main import application
from edgematrix.config.authority import principals_of
from edgematrix.config.exchange import load
from edgematrix.errors import ConfigError

RULE = {"triggers": {"t": {"on": {"v": {"topic": "t/in"}}, "do": [{"emit": {"out": 1}}]}}}
OLD = {"matrix": "home", "agents": {"one": {"host": "a", **RULE}, "two": {"host": "b", "python": "x:y", "publishes": ["t/two"]}}}
NEW = {"matrix": "home", "agents": {"one": {"host": "b", **RULE}, "three": {"host": "c", "python": "x:y"}}}


def test_each_has_what_either_grants() -> None:
    old, new = principals_of(load(OLD)), principals_of(load(NEW))
    both = {one.name: one.grants for one in together(new, old)}
    assert set(both) == {"a", "b", "c"}
    for principals in (old, new):
        for principal in principals:
            for grant in principal.grants:
                assert both[principal.name].allows(grant.access, grant.filter)
    assert both["b"].allows(Access.WRITE, "t/two")
    assert not both["a"].allows(Access.WRITE, "em/state/home/two")
    assert not both["c"].allows(Access.WRITE, "em/state/home/one")


def test_a_name_is_not_that_of_a_host_here_and_of_an_operator_there() -> None:
    other = principals_of(load({"matrix": "home", "access": {"hosts": ["a"], "operators": ["b"]}}))
    with pytest.raises(ConfigError, match="'b' is the host b in the one, and the operator b in the other"):
        together(principals_of(load(OLD)), other)


def test_the_command_writes_both(tmp_path: Path) -> None:
    for name, host in (("old", "a"), ("new", "b")):
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"matrix": "home", "agents": {name: {"host": host, **RULE}}}))
    arguments = ["acl", str(tmp_path / "new.yaml"), "--with", str(tmp_path / "old.yaml")]
    told = CliRunner().invoke(application(arguments), arguments)
    assert told.exit_code == 0, told.output
    assert "user a\n" in told.output
    assert "user b\n" in told.output
