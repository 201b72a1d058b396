"""What `edgematrix deploy` does: hears who is there, places, tells what changes, publishes, and waits for the hosts."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.deploy_text import placed_lines, plan_lines
from edgematrix.cli.hosts_seen import HostsSeen, wait_quiet
from edgematrix.cli.operator import operator_name
from edgematrix.cli.signing import own_seal
from edgematrix.cli.visit import Visit, visit
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.deployed import deployment_of
from edgematrix.config.launch import address_of, secrets_beside
from edgematrix.config.spec import EMBEDDED_BROKERS, MatrixSpec
from edgematrix.config.units import units_of
from edgematrix.errors import BusError, CodecError, ConfigError, Issue, UsageError
from edgematrix.hosting.change import Change
from edgematrix.hosting.manifest import (
    DEFINITION_BYTES_MAX,
    Manifest,
    ProtocolMismatchError,
    definition_hash,
    encode_manifest,
    next_revision,
    read_manifest,
)
from edgematrix.hosting.placing import Offer, Placed, place
from edgematrix.hosting.revision import NOT_WHOLE, Deployment
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for

if TYPE_CHECKING:
    from edgematrix.runtime.deploy_proof import DeployProof

__all__ = ["Deploying", "broker_of"]

_CONFIRM_S_MAX = 30.0
_TAKEN_UP_S_MAX = 10.0
_POLL_S = 0.005
_LOOKED_AT = 100
_AT_ONCE = 1_000
"""Definitions that are on their way to the broker at a time."""


def broker_of(spec: MatrixSpec, broker: str | None, folder: Path) -> str:
    """The broker that the hosts are on; `folder` is where the matrix stands.

    Raises:
        SecretError: a secret in its address cannot be read.
        UsageError: the matrix names one that lives within a single run.
    """
    found = broker or address_of(spec, lambda: secrets_beside(folder))
    if found in EMBEDDED_BROKERS:
        what = f"the matrix has `broker: {found}`, which is started for one `edgematrix run`, and no host reaches it"
        raise UsageError(what, remedy="--broker mqtt://192.168.1.10, or `broker: mqtt://…` in the file")
    return found


class Deploying:
    """One deployment, from the question who is there to the answers of the hosts.

    Args:
        spec: the matrix.
        url: the broker.
        is_plan: whether it is only shown.
        is_removal: whether the matrix is taken from the hosts.
        wait_s: how long hosts may take.
    """

    def __init__(self, spec: MatrixSpec, url: str, *, is_plan: bool, is_removal: bool, wait_s: float) -> None:
        self._spec = spec
        self._url = url
        self._is_plan = is_plan
        self._is_removal = is_removal
        self._wait_s = wait_s
        self._seal = own_seal(url)
        self._proof: DeployProof | None = None
        """What tells which manifest is from somebody who may deploy; None where there are no keys."""
        if self._seal is not None:
            self._seal.check_deploys()
            self._proof = self._seal.proof(lambda said: complain(style(plain(said), fg="yellow")))
        name = operator_name(url) if self._seal is None else self._seal.name
        self._deployer = f"{name}{'/' if name else ''}{os.getpid()}-{secrets.token_hex(6)}"
        self._hosts = HostsSeen(spec.root)
        self._head = f"{spec.root}/{Kind.SPEC}/"
        self._heard = asyncio.Event()
        self._standing: Manifest | None = None
        """The manifest that is on the bus."""
        self._unread = ""
        self._specs: dict[AgentPath, str] = {}
        """The hashes of the definitions that are on the bus."""
        self._had: set[str] = set()
        """The hosts that run a part of the matrix before."""
        self._online: set[str] = set()
        """The hosts that were there at the beginning: a new connection is no absence."""
        self._deployment: Deployment | None = None
        self._guest: Visit | None = None

    async def run(self) -> int:
        """Do it; the exit code.

        Raises:
            BusError: no broker answers.
            ConfigError: the matrix cannot be deployed.
        """
        matrix = AgentPath(self._spec.matrix)
        filters = [self._hosts.filter, topic_for(self._spec.root, Kind.SPEC, matrix)]
        async with visit(self._url, filters, self._received, qos=1) as guest:
            self._guest = guest
            await wait_quiet(self._heard)
            if self._unread:
                complain(style(plain(self._unread), fg="yellow"))
            self._had = {name for name, birth in self._hosts.births.items() if birth.matrix == matrix and birth.follows and birth.revision}
            self._online = {name for name, birth in self._hosts.births.items() if birth.is_online}
            placed = Placed({}, [], []) if self._is_removal else self._place()
            for warning in placed.warnings:
                complain(style(f"warning: {plain(warning)}", fg="yellow"))
            if placed.refusals:
                raise ConfigError([Issue("error", refusal) for refusal in placed.refusals])
            deployment = self._make(placed.places)
            change = Change.between(self._standing, deployment.manifest)
            await self._look_at_definitions(guest, deployment.manifest)
            for line in self._told(deployment, change):
                say(line)
            if self._is_plan:
                return 0
            if change.is_nothing and self._standing is not None and self._is_followed(self._standing):
                return 0
            await self._publish(guest, deployment)
            return await self._settled(deployment.manifest)

    # What is there

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        if not self._hosts.take(topic, payload):
            path = AgentPath(topic.removeprefix(self._head))
            if path == self._spec.matrix:
                proved = payload if self._proof is None else self._proof.opened(topic, payload)
                if proved is not None:
                    self._take_manifest(proved)
            else:
                self._take_definition(path, payload)
        self._heard.set()

    def _take_manifest(self, payload: bytes) -> None:
        self._unread = ""
        try:
            self._standing = read_manifest(self._spec.matrix, payload) if payload else None
        except ProtocolMismatchError as error:
            raised = msgspec.structs.replace(_NOTHING, revision=max(error.revision, 1))
            self._unread, self._standing = f"what is deployed: {error}", raised
        except CodecError as error:
            self._unread, self._standing = f"what is deployed cannot be read: {error}", None

    def _take_definition(self, path: AgentPath, payload: bytes) -> None:
        if payload:
            self._specs[path] = definition_hash(payload)
        else:
            self._specs.pop(path, None)

    async def _look_at_definitions(self, guest: Visit, manifest: Manifest) -> None:
        """Hear whether those that stay as they are stand there: a few at a time, for brokers drop what they have to queue."""
        standing = {} if self._standing is None else self._standing.paths
        same = [path for path, hashed in manifest.paths.items() if standing.get(path) == hashed]
        for start in range(0, len(same), _LOOKED_AT):
            paths = same[start : start + _LOOKED_AT]
            topics = [f"{self._head}{path}" for path in paths]
            guest.transport.subscribe(dict.fromkeys(topics, 1))
            await wait_quiet(self._heard, lambda paths=paths: all(path in self._specs for path in paths))  # type: ignore[misc]

    # What is to be

    def _place(self) -> Placed:
        offers = []
        for name, birth in self._hosts.births.items():
            reason = self._hosts.why_not(name, self._spec.matrix)
            if not reason:
                offers.append(Offer(name, birth.capability, birth.load))
            elif not birth.is_online:
                offers.append(Offer(name, is_online=False))
            else:
                complain(style(f"{plain(name)} takes no part: {plain(reason)}", fg="yellow"))
        for name, reason in self._hosts.unread.items():
            complain(style(f"{plain(name)} takes no part: {plain(reason)}", fg="yellow"))
        if not any(offer.is_online for offer in offers):
            raise BusError("no host is online", where=self._url_shown(), remedy="edgematrix host --name pi --broker … on a machine")
        tree = AgentTree.of(self._spec)
        self._refuse_unnamed(tree)
        units = units_of(tree)
        standing = self._standing
        before = {} if standing is None else {unit.path: standing.hosts_of(unit.path) for unit in units if unit.path in standing.places}
        return place(units, offers, before)

    def _refuse_unnamed(self, tree: AgentTree) -> None:
        """Code that no other process can load.

        Raises:
            ConfigError: there is some.
        """
        issues = []
        for node in tree:
            place = node.spec.python or ""
            if place.startswith("__main__:") or "<" in place:
                what = f"{node.path}: its code, {place}, is no function of a module, so no host can load it"
                issues.append(Issue("error", what, remedy="put it in a module of its own, and that in the --code folder of hosts"))
        if issues:
            raise ConfigError(issues)

    def _make(self, places: Mapping[AgentPath, tuple[str, ...]]) -> Deployment:
        spec = replace(self._spec, agents={}) if self._is_removal else self._spec
        known = [birth.revision for birth in self._hosts.births.values() if birth.matrix == spec.matrix]
        revision = next_revision(0 if self._standing is None else self._standing.revision, known)
        boards = {node.path: () for node in AgentTree.of(spec) if node.is_board}
        deployment = deployment_of(spec, {**places, **boards}, revision, self._deployer)
        large = next((path for path, data in deployment.definitions.items() if len(data) > DEFINITION_BYTES_MAX), None)
        if large is not None:
            size = len(deployment.definitions[large])
            raise ConfigError([Issue("error", f"the definition of {large} has {size} bytes, hosts take {DEFINITION_BYTES_MAX}")])
        encode_manifest(deployment.manifest)
        return deployment

    def _told(self, deployment: Deployment, change: Change) -> list[str]:
        manifest = deployment.manifest
        if change.is_nothing:
            return [f"{manifest.matrix}: nothing changes, it is at revision {manifest.revision - 1}", *placed_lines(manifest, self._spec)]
        lines = plan_lines(manifest, self._standing, change)
        return lines if self._is_removal else [*lines, "", *placed_lines(manifest, self._spec)]

    # What is done

    async def _publish(self, guest: Visit, deployment: Deployment) -> None:
        """Publish the definitions that differ, and then the manifest: what was cut off before it has changed nothing."""
        manifest = deployment.manifest
        before = self._standing
        changed = [path for path, hashed in manifest.paths.items() if self._specs.get(path) != hashed]
        for start in range(0, len(changed), _AT_ONCE):
            paths = changed[start : start + _AT_ONCE]
            await self._confirmed(guest, [self._definition(path, deployment.definitions[path]) for path in paths])
        if self._standing != before:
            number = 0 if self._standing is None else self._standing.revision
            raise BusError(f"somebody else has deployed revision {number} meanwhile", remedy="look at it, then deploy again")
        self._deployment = deployment
        topic = topic_for(self._spec.root, Kind.SPEC, AgentPath(manifest.matrix))
        told = encode_manifest(manifest)
        signed = told if self._seal is None else self._seal.sign(topic, told, ends=False)
        await self._confirmed(guest, [Publication(topic, signed, 1, retain=True)])
        gone = [path for path in (before.paths if before else ()) if path not in manifest.paths]
        await self._confirmed(guest, [self._definition(path, b"") for path in gone])

    def _definition(self, path: AgentPath, data: bytes) -> Publication:
        return Publication(topic_for(self._spec.root, Kind.SPEC, path), data, 1, retain=True)

    async def _confirmed(self, guest: Visit, publications: list[Publication]) -> None:
        """Publish these, and wait until the broker has them all.

        Raises:
            BusError: it refused one, or said nothing in time.
        """
        transport, told = guest.transport, len(guest.trouble)
        wanted = transport.counts()["confirmed"] + len(publications)
        for publication in publications:
            transport.publish(publication)
        try:
            async with asyncio.timeout(_CONFIRM_S_MAX):
                while transport.counts()["confirmed"] < wanted and len(guest.trouble) == told:  # noqa: ASYNC110 - a transport counts PUBACKs
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise BusError(f"the broker did not take what is deployed within {_CONFIRM_S_MAX:g} s", where=guest.where) from None
        if len(guest.trouble) > told:
            raise BusError(guest.trouble[told], remedy=f"the broker's access list has to allow {self._head}#")

    async def _settled(self, manifest: Manifest) -> int:
        """Wait until the hosts follow, and tell which do not, and why."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s):
                while not self._is_over(manifest):
                    self._heard.clear()
                    await self._heard.wait()
                    self._repair(manifest)
        standing = self._standing
        if standing is not None and standing != manifest:
            what = f"revision {standing.revision}, deployed by somebody else at the same time, has taken the place of this one"
            raise BusError(what, remedy="look at it, then deploy again")
        await self._taken_up(manifest)
        code = 0
        for name in sorted(self._concerned(manifest)):
            told, is_well = self._outcome(name, manifest)
            code = code if is_well else 1
            sign = style("✓", fg="green") if is_well else style("✗", fg="red")
            say(f"{sign} {plain(name)}: {plain(told)}")
        return code

    def _repair(self, manifest: Manifest) -> None:
        """Publish all definitions again where a host lacks some: somebody who deployed at the same time has put others there."""
        refused = [birth.refused for birth in self._hosts.births.values() if birth.refused is not None]
        lacking = any(found.revision == manifest.revision and NOT_WHOLE in found.reason for found in refused)
        if lacking and self._deployment is not None and self._guest is not None and self._standing == manifest:
            for path, data in self._deployment.definitions.items():
                self._guest.transport.publish(self._definition(path, data))
            self._deployment = None  # once

    async def _taken_up(self, manifest: Manifest) -> None:
        """Wait a little until what may move has been taken up by a host: first its lease has to be held."""

        def is_taken_up() -> bool:
            births = [self._hosts.births.get(name) for name in manifest.hosts]
            online = {birth.name for birth in births if birth is not None and birth.is_online}
            due = sum(not online.isdisjoint(manifest.hosts_of(node.path)) for node in AgentTree.of(self._spec) if not node.is_board)
            return sum(birth.agents for birth in births if birth is not None and birth.is_online) >= due

        if self._is_removal or all(len(hosts) <= 1 for hosts in manifest.places.values()):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_TAKEN_UP_S_MAX):
                while not is_taken_up():
                    self._heard.clear()
                    await self._heard.wait()

    def _concerned(self, manifest: Manifest) -> set[str]:
        """The hosts that have to follow: those that have agents now, and those that had some."""
        return self._had | manifest.hosts

    def _is_over(self, manifest: Manifest) -> bool:
        if self._standing is not None and self._standing != manifest:
            return True
        return all(self._is_answered(name, manifest) for name in self._concerned(manifest))

    def _is_followed(self, manifest: Manifest) -> bool:
        """Whether all follow already what is deployed."""
        whole = all(self._specs.get(path) == hashed for path, hashed in manifest.paths.items())
        return whole and all(self._is_answered(name, manifest) and self._outcome(name, manifest)[1] for name in self._concerned(manifest))

    def _is_answered(self, name: str, manifest: Manifest) -> bool:
        birth = self._hosts.births.get(name)
        if birth is None or not birth.is_online:
            return name not in self._online
        if self._follows(name, manifest):
            return True
        return birth.refused is not None and birth.refused.revision == manifest.revision and NOT_WHOLE not in birth.refused.reason

    def _follows(self, name: str, manifest: Manifest) -> bool:
        birth = self._hosts.births[name]
        if name not in manifest.hosts:
            return birth.agents == 0
        return birth.matrix == manifest.matrix and birth.revision == manifest.revision

    def _outcome(self, name: str, manifest: Manifest) -> tuple[str, bool]:
        """What became of it on a host, and whether that is well."""
        birth = self._hosts.births.get(name)
        if (birth is None or not birth.is_online) and name in self._online:
            return f"it went offline before it followed revision {manifest.revision}; it does when it is back", False
        if birth is None or not birth.is_online:
            return f"offline; it follows revision {manifest.revision} when it is back", True
        if self._follows(name, manifest):
            return (f"revision {manifest.revision}, agents {birth.agents}" if name in manifest.hosts else "no agents any more"), True
        if birth.refused is not None and birth.refused.revision == manifest.revision:
            stays = f"; it goes on with revision {birth.revision}" if birth.revision else ""
            return f"refuses revision {manifest.revision}: {birth.refused.reason}{stays}", False
        at = f"it is at revision {birth.revision}" if birth.revision else "it runs nothing"
        return f"no answer within {self._wait_s:g} s; {at}", False

    def _url_shown(self) -> str:
        return "" if self._guest is None else self._guest.where


_NOTHING = Manifest(0, {}, {}, {})
