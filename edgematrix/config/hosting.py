"""The process of a host: it waits until a deployment gives it agents, runs them, and follows what is deployed next."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgematrix.access.audit import Outcome
from edgematrix.config.build import build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.deployed import leased_units, places_of, secrets_of, spec_of
from edgematrix.config.kept_deployment import KeptDeployment
from edgematrix.config.launch import Launch, Launched, client_id, endings_of, launch
from edgematrix.config.on_demand import workshop_maker
from edgematrix.config.opened import Opened
from edgematrix.config.places import Places
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.unsigned import keys_folder
from edgematrix.errors import BusError, EdgeMatrixError, StateError
from edgematrix.hosting.capability import Capability
from edgematrix.hosting.manifest import Manifest
from edgematrix.hosting.revision import Deployment
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.audit_file import AuditFile
from edgematrix.runtime.birth import Announcer
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.deploy_log import DeployLog, deployed
from edgematrix.runtime.following import Following
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.topology import Prepared
from edgematrix.runtime.waiting import Waiting
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

if TYPE_CHECKING:
    from edgematrix.identity.secrets import SecretStore
    from edgematrix.runtime.deploy_proof import DeployProof

__all__ = ["Hosting", "host_here"]

_LOAD_S = 180.0
"""How often the load is looked at, and told at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """How a host is to run.

    `folder` is where it keeps its states and its deployment, `code` where modules of agents are; `allowed` names installed modules
    that agents may come from; `matrix` is what it is to run, the empty text for the first that gives it agents. `load` tells how
    busy the machine is; `changed` is called with a sentence when something happens. `secrets` is the folder of its secrets; None for
    what the environment names, else `secrets/` in `folder`.
    """

    name: str
    url: str
    root: str
    matrix: str
    folder: Path
    code: Path | None
    allowed: tuple[str, ...]
    capability: Capability
    version: str
    load: Callable[[], float]
    changed: Callable[[str], None]
    secrets: Path | None = None


async def host_here(how: Hosting) -> None:
    """Run a host until SIGINT or SIGTERM.

    Raises:
        AccessRefusedError: the broker refuses it.
        UsageError: the broker's address is none.
    """
    process = _Process(how)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, process.stop)
    await process.run()


class _Process:
    """One life of a host. It has one connection at a time: while it waits, and while it runs."""

    def __init__(self, how: Hosting) -> None:
        self._how = how
        clock = SystemClock()
        session = id_maker()(clock.wall_us())
        self._announcer = Announcer(
            how.name, session, format_moment(clock.wall_us()), how.version, how.capability, how.load, matrix=how.matrix
        )
        self._kept = KeptDeployment(how.folder)
        self._proof = _proof(how)
        self._loader = CodeLoader(how.code, how.allowed)
        self._declined: Deployment | None = None
        self._logged: Manifest | None = None
        """Of the deployment that the audit log tells last: what a host begins with again is nobody's order."""
        self._is_stopped = False
        self._owes_farewell = False
        """Whether it has to connect once more before it ends, to say so: what it ran has ended without a word."""
        self._stop: Callable[[], None] = lambda: None
        self._announce: Callable[[], None] = lambda: None
        self._look: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Wait and run, by turns, until it is stopped."""
        Endpoint.parse(self._how.url)
        telling = asyncio.create_task(self._tell_load(), name="load")
        try:
            deployment = self._read()
            self._logged = None if deployment is None else deployment.manifest
            while not self._is_stopped or self._owes_farewell:
                deployment = await (self._wait() if deployment is None or self._is_stopped else self._run(deployment))
        finally:
            telling.cancel()

    def stop(self) -> None:
        """End `run`; may be called more than once."""
        self._is_stopped = True
        self._stop()

    # What it does

    async def _wait(self) -> Deployment | None:
        how = self._how
        endpoint = Endpoint.parse(how.url)
        own_id = endpoint.client_id or client_id(how.root, how.name, "host")
        settings = Settings(client_id=own_id, will=offline_will(how.root, how.name, self._announcer.session))
        transport = PahoTransport(endpoint, settings)
        self._announcer.endings = endings_of(endpoint, transport, SystemClock())
        waiting = Waiting(
            transport,
            self._announcer,
            root=how.root,
            name=how.name,
            matrix=how.matrix,
            declined=self._was_declined,
            changed=how.changed,
        )
        waiting.proof = self._proof
        self._stop, self._announce, self._look = waiting.stop, waiting.announce, waiting.look_for_endings
        if self._is_stopped:
            waiting.stop()
        self._owes_farewell = False
        return await waiting.run()

    async def _run(self, deployment: Deployment) -> Deployment | None:
        """Run a deployment, and those that follow it; what it is to be built from anew, or None where there is nothing for it to do."""
        try:
            async with launch(self._opened(deployment), self._launch(deployment)) as launched:
                log = None if launched.host.audit is None else DeployLog(launched.host.audit)
                if log is not None and deployment.manifest != self._logged:
                    log.begin(deployment.manifest)
                    self._kept.write(deployment)
                    log.end(deployment.manifest)
                    self._logged = deployment.manifest
                else:
                    self._kept.write(deployment)
                following = self._follow(deployment, launched, log)
                try:
                    await launched.host.run()
                finally:
                    self._owes_farewell = launched.host.session.goes_on
                    following.close()
        except BusError:
            raise
        except EdgeMatrixError as error:
            self._refuse(deployment, error)
            return None
        if following.has_left:
            self._kept.forget()
            return None
        return following.next or following.deployment

    def _follow(self, deployment: Deployment, launched: Launched, log: DeployLog | None) -> Following:
        host, topology, manifest = launched.host, launched.topology, deployment.manifest

        def prepare(newer: Deployment) -> Prepared:
            if log is not None:
                log.begin(newer.manifest)
            spec = spec_of(newer)
            self._check_secrets(newer.manifest, spec)
            prepared = topology.replan(self._places(newer.manifest, spec, host.holders), spec, revision=newer.revision)
            self._kept.write(newer)
            return prepared

        def held(holders: Mapping[AgentPath, str]) -> Prepared:
            spec = topology.definition()
            return topology.replan(self._places(following.deployment.manifest, spec, holders), before=spec)

        def lead(followed: Deployment) -> None:
            units = leased_units(followed.manifest, topology.definition())
            if units or host.holders:
                host.lead(units, held)

        following = Following(
            host,
            launched.transport,
            self._announcer,
            deployment,
            name=self._how.name,
            prepare=prepare,
            try_anew=self._try,
            changed=self._how.changed,
        )
        following.proof = self._proof

        def followed(newer: Deployment) -> None:
            self._logged = newer.manifest
            if log is not None:
                log.end(newer.manifest)
            lead(newer)

        def refused(newer: Deployment, reason: str) -> None:
            if log is not None:
                log.end(newer.manifest, reason)

        following.followed, following.refused = followed, refused
        lead(deployment)
        self._announcer.runs(manifest.matrix, manifest.revision)
        self._stop, self._announce, self._look = following.stop, host.session.herald.announce, host.session.herald.look_for_endings
        if self._is_stopped:
            self._stop()
        self._how.changed(f"running revision {manifest.revision} of {manifest.matrix}: agents {len(launched.assembly.agents)}")
        return following

    def _opened(self, deployment: Deployment) -> Opened:
        return Opened(spec_of(deployment), [], self._loader, make=lambda: spec_of(deployment))

    def _launch(self, deployment: Deployment) -> Launch:
        how, manifest = self._how, deployment.manifest
        self._check_secrets(manifest, spec_of(deployment))
        return Launch(
            name=how.name,
            folder=how.folder,
            url=how.url,
            changed=how.changed,
            places=self._places(manifest, spec_of(deployment), {}),
            announcer=self._announcer,
            revision=manifest.revision,
            secrets=self._secrets,
        )

    def _check_secrets(self, manifest: Manifest, spec: MatrixSpec) -> None:
        """Refuse what needs a secret that is not here, also for agents that may come later."""
        wanted = secrets_of(manifest, spec, self._how.name)
        if wanted:
            store = self._secrets()
            for path, name in wanted:
                store.read(name, path)

    def _secrets(self) -> SecretStore:
        from edgematrix.identity.secrets import FOLDER, SecretStore  # noqa: PLC0415 - a host whose agents use none needs none

        how = self._how
        if how.secrets is not None:
            return SecretStore(how.secrets, "--secrets")
        return SecretStore.found(how.folder / FOLDER, "the state folder")

    def _try(self, deployment: Deployment) -> None:
        """Build it, and throw that away: what cannot be built raises."""
        clock, spec = SystemClock(), spec_of(deployment)
        self._check_secrets(deployment.manifest, spec)
        around = Surroundings(
            clock=clock,
            new_id=id_maker(),
            workshop=workshop_maker(clock),
            loader=self._loader,
            places=self._places(deployment.manifest, spec, {}),
            secrets=self._secrets,
        )
        build(spec, around)

    # Inside

    def _places(self, manifest: Manifest, spec: MatrixSpec, holders: Mapping[AgentPath, str]) -> Places:
        """Where agents run. What moves runs on the host that holds its lease: on none, as long as nobody is known to."""
        nobody = {unit.path: "" for unit in leased_units(manifest, spec)}
        known = {path: name for path, name in holders.items() if path in nobody}
        return places_of(manifest, spec, self._how.name, nobody | known)

    def _read(self) -> Deployment | None:
        try:
            found = self._kept.read()
        except StateError as error:
            self._how.changed(f"the deployment that was kept {error}: waiting for it anew")
            return None
        if found is not None and self._how.matrix not in ("", found.manifest.matrix):
            self._how.changed(f"it ran {found.manifest.matrix} before, and is to run {self._how.matrix} now")
            return None
        return found if found is not None and self._how.name in found.manifest.hosts else None

    def _refuse(self, deployment: Deployment, error: EdgeMatrixError) -> None:
        manifest = deployment.manifest
        self._declined = deployment
        self._log_refusal(manifest, str(error))
        self._how.changed(f"revision {manifest.revision} of {manifest.matrix} is refused: {error}")
        self._announcer.runs(self._how.matrix, 0)
        self._announcer.refuses(manifest.revision, str(error))

    def _log_refusal(self, manifest: Manifest, reason: str) -> None:
        """Write it to the audit log, which no running host has now."""
        log = AuditFile(self._how.folder, self._how.name)
        try:
            log.append([deployed(manifest, Outcome.REFUSED, reason, format_moment(SystemClock().wall_us()))])
        except StateError as error:
            self._how.changed(str(error))
        finally:
            log.close()

    def _was_declined(self, deployment: Deployment) -> bool:
        return self._declined is not None and deployment.manifest == self._declined.manifest

    async def _tell_load(self) -> None:
        while True:
            await asyncio.sleep(_LOAD_S)
            self._look()
            if self._announcer.notices_load():
                self._announce()


def _proof(how: Hosting) -> DeployProof | None:
    """What a host with keys asks of manifests."""
    folder = keys_folder(None, how.url)
    if folder is None:
        return None
    from edgematrix.config.signing import deploy_proof  # noqa: PLC0415 - few hosts have keys

    return deploy_proof(folder, how.name, how.changed)
