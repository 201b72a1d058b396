"""Hosts with keys run what somebody has signed who may deploy, whatever else stands on the broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_process import call
from deploy_site import Site

from edgematrix.config.deployed import deployment_of
from edgematrix.config.opening import open_matrix
from edgematrix.hosting.manifest import encode_manifest
from edgematrix.identity.signing_keys import SigningKey, write_keys
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.sealed import Seal

NAMES = ("a", "b", "anna", "ben")
PLACES = {AgentPath("home/near"): ("a",), AgentPath("home/far"): ("b",)}
ACCESS = {"access": {"hosts": ["a", "b"], "operators": {"anna": {"deploys": True}, "ben": {}}}, "sign": True}


class SignedSite(Site):
    """Everybody has a folder with keys and the address of a broker that anybody may use."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        keys = {name: SigningKey.make() for name in NAMES}
        for name, key in keys.items():
            own = folder / "access" / name
            own.mkdir(parents=True)
            key.write(own)
            write_keys(own, {other: [known.public] for other, known in keys.items()}, ["anna"])
            (own / "broker.url").write_text(self.broker.url)
            (own / "broker.url").chmod(0o600)

    def address(self, user: str) -> str:
        name = "anna" if user == "deployer" else user
        return f"@{self.folder / 'access' / name / 'broker.url'}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SignedSite]:
    found = SignedSite(tmp_path)
    yield found
    found.close()


def agents(offset: int) -> dict[str, Any]:
    on = {"v": {"topic": "t/in"}}
    far = {"v": {"from": "near.out"}}
    return {
        "near": {"host": "a", "triggers": {"t": {"on": on, "do": [{"emit": {"out": f"${{v.value + {offset}}}"}}]}}},
        "far": {"host": "b", "triggers": {"t": {"on": far, "do": [{"publish": {"topic": "t/out", "payload": "${v.value}"}}]}}},
    }


def test_what_is_deployed_has_to_be_signed_by_who_may_deploy(site: SignedSite) -> None:
    site.started("a", "b")
    forged = deployment_of(open_matrix(site.file(agents(9), sign=False)).spec, PLACES, 1, "")
    for path, definition in forged.definitions.items():
        site.ear.say(f"em/spec/{path}", definition, retain=True)
    site.ear.say("em/spec/home", encode_manifest(forged.manifest), retain=True)
    for name in "ab":
        site.hosts[name].wait_for("is refused: it is not signed")
    site.deploy(agents(1), **ACCESS)
    site.ear.say("t/in", 1)
    site.ear.wait_for("t/out", 2)
    manifest = site.ear.of("em/spec/home")[-1]
    assert "signature" in manifest

    for hostile in (
        {key: value for key, value in manifest.items() if key != "signature"} | {"revision": 7},
        manifest | {"revision": 8},
    ):
        site.ear.say("em/spec/home", json.dumps(hostile, separators=(",", ":")), retain=True)
    site.hosts["a"].wait_for("is refused: it is not what anna has signed")

    # Ben has keys, and may not deploy.
    done = call("deploy", site.file(agents(5), **ACCESS), "--broker", site.address("ben"), cwd=site.folder)
    assert "ben may not deploy: hosts with keys would refuse it" in done.stderr
    seal = Seal(SigningKey.read(site.folder / "access" / "ben"), lambda: 0, worth_s=0, epoch=1)
    body = json.dumps({key: value for key, value in manifest.items() if key != "signature"} | {"revision": 9}, separators=(",", ":"))
    site.ear.say("em/spec/home", seal.sign("em/spec/home", body.encode(), ends=False), retain=True)
    site.hosts["b"].wait_for("it is signed by ben, who may not deploy")
    assert site.ear.birth("a")["revision"] == 1
    site.ear.say("t/in", 2)
    site.ear.wait_for("t/out", 3)

    site.deploy(agents(3), **ACCESS)
    site.ear.say("t/in", 3)
    site.ear.wait_for("t/out", 6)
