"""Hosts as processes on a real broker whose users and access list follow from the matrix, and whatever that broker refuses them."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from access_guard import Guard
from broker_process import BrokerProcess
from cli_process import call, no_traceback
from deploy_site import Ear, Site
from free_port import free_port
from guarded_broker import ADMIN, GuardedBroker, password_of

from edgematrix.access.grant import Access, Grant, Grants
from edgematrix.access.mosquitto import acl_file
from edgematrix.access.principal import Principal, Role
from edgematrix.access.transition import together
from edgematrix.config.authority import principals_of
from edgematrix.config.exchange import load
from edgematrix.identity.password import mosquitto_hash

EAR = "ear"
"""Who hears all, and may say all: the world, as a test has it."""
PASSWORD = "let-me-in"  # noqa: S105 - of brokers that live for a test
_HASHED = mosquitto_hash(PASSWORD)
_DENIED = re.compile(r"Denied PUBLISH from (\S+) \(d\d, q\d, r\d, m\d+, '([^']*)'")
_SUBSCRIBED = re.compile(r"^\d+: (\S+) [012] (\S+)$", re.MULTILINE)


class GuardedSite(Site):
    """mosquitto with an `acl_file`. Hosts and boards come to one listener, where the user's name is the client's id; others to a second.

    mosquitto grants every subscription and delivers what may be read: what was asked for is taken from its log, and held against the list.
    """

    has_ear = True
    """Whether the list has to name the ear."""
    others: set[str]
    """Who is neither a host nor a board."""

    def __init__(self, folder: Path, matrix: dict[str, Any]) -> None:
        self._list = folder / "acl"
        self._others = free_port()
        self._read_to = self._told = 0
        self._noted: list[str] = []
        self.matrix = matrix
        self.guard = Guard(load(matrix))
        self.grant(matrix)
        super().__init__(folder)

    # The broker

    def make_broker(self) -> BrokerProcess:
        more = f"""use_username_as_clientid true
log_type all
acl_file {self._list}
password_file {self._list}.users

listener {self._others} 127.0.0.1
set_tcp_nodelay true
"""
        return BrokerProcess("mosquitto", self.folder / "broker", anonymous=False, persistent=True, more=more)

    def make_ear(self) -> Ear:
        return Ear(self._others, EAR, PASSWORD)

    def address(self, user: str) -> str:
        is_other = user in self.others
        return f"mqtt://{user}:{PASSWORD}@127.0.0.1:{self._others if is_other else self.broker.port}"

    def grant(self, *matrices: dict[str, Any]) -> None:
        """Renew the access list from these matrices, while the broker runs."""
        everybody = self.everybody(*matrices)
        self._list.write_text(acl_file(everybody))
        Path(f"{self._list}.users").write_text("".join(f"{one.name}:{_HASHED}\n" for one in everybody))
        for file in (self._list, Path(f"{self._list}.users")):
            file.chmod(0o644)
        if hasattr(self, "broker"):
            os.kill(self.broker.pid, signal.SIGHUP)

    def everybody(self, *matrices: dict[str, Any]) -> list[Principal]:
        """Who is on the list of these matrices, and the ear."""
        if hasattr(self, "broker"):
            self._noted += self._look()  # by the list that held until now
        found: list[Principal] = []
        for matrix in matrices:
            found = together(found, principals_of(load(matrix)))
        self.others = {EAR, *(one.name for one in found if one.role in (Role.OPERATOR, Role.CLIENT))}
        everything = Grants([Grant(Access.READ, "#"), Grant(Access.WRITE, "#")])
        everybody = [*found, *([Principal(EAR, Role.CLIENT, EAR, everything)] if self.has_ear else ())]
        self.guard.grants = {one.name: one.grants for one in everybody}
        return everybody

    # What it refuses

    @property
    def log(self) -> str:
        return (self.folder / "broker" / "log").read_text(errors="replace")

    def denials(self) -> list[str]:
        """What was refused since the last time, or would have been if mosquitto judged subscriptions."""
        found, self._noted = [*self._noted, *self._look()], []
        return found

    def _look(self) -> list[str]:
        said = self.log
        fresh, self._read_to = said[self._read_to :], len(said)
        found = self.violations(fresh)
        before = len(self.guard.denied)
        for who, topic_filter in dict.fromkeys(_SUBSCRIBED.findall(fresh)):
            name = who if who in self.guard.grants else self.user_of(who)
            if name in self.guard.grants:
                self.guard.subscribes(name, topic_filter)
        return [*found, *self.guard.denied[before:], *self.refusals()]

    def refusals(self) -> list[str]:
        """What hosts have said of refusals since the last time."""
        found = [line for host in self.hosts.values() for line in host.printed.splitlines() if "the broker refuse" in line]
        fresh, self._told = found[self._told :], len(found)
        return fresh

    def violations(self, fresh: str) -> list[str]:
        """What the broker's log says that it refused."""
        return [f"{who} may not publish on {topic}" for who, topic in _DENIED.findall(fresh)]

    def user_of(self, client_id: str) -> str:
        found = re.findall(rf"New client connected from \S+ as {re.escape(client_id)} \(.*u'([^']*)'\)", self.log)
        return found[-1] if found else ""

    # Commands

    def deploy_as(self, user: str, matrix: dict[str, Any] | None = None, *options: object, code: int = 0) -> str:
        """Deploy as somebody, from a file with that matrix."""
        file = self.folder / "home.yaml"
        file.write_text(json.dumps(matrix or self.matrix))
        done = call("deploy", file, "--broker", self.address(user), *options, cwd=self.folder, timeout_s=60)
        no_traceback(done)
        assert done.returncode == code, (done.stdout, done.stderr, {name: host.printed for name, host in self.hosts.items()})
        return done.stdout + done.stderr

    def command(self, user: str, *words: object, code: int = 0) -> str:
        done = call(*words, "--url", self.address(user), cwd=self.folder)
        no_traceback(done)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr


class BrokerSite(GuardedSite):
    """The same on a broker that judges subscriptions: mosquitto with its dynamic security plugin, or NATS. It has one listener."""

    has_ear = False

    def __init__(self, folder: Path, matrix: dict[str, Any], form: str) -> None:
        self._form = form
        self._name = matrix["matrix"]
        super().__init__(folder, matrix)

    def make_broker(self) -> BrokerProcess:
        self._guarded = GuardedBroker(self._form, self.folder / "guarded", self._name, self.everybody(self.matrix))
        process = self._guarded.process
        if self._form == "dynamic_security":
            file = self.folder / "guarded" / "broker" / "mosquitto.conf"
            process.stop()
            file.write_text(file.read_text() + "log_type all\n")
        else:
            process.stop()
        return process

    def make_ear(self) -> Ear:
        return Ear(self.broker.port, ADMIN, password_of(ADMIN))

    def address(self, user: str) -> str:
        return f"mqtt://{user}:{password_of(user)}@127.0.0.1:{self.broker.port}"

    def grant(self, *matrices: dict[str, Any]) -> None:
        everybody = self.everybody(*matrices)
        if hasattr(self, "broker"):
            assert self._form == "dynamic_security", "nats-server reads a file"
            self._guarded.apply(everybody)

    @property
    def log(self) -> str:
        return (self.folder / "guarded" / "broker" / "log").read_text(errors="replace")

    def violations(self, fresh: str) -> list[str]:
        if self._form == "nats":
            return [line for line in fresh.splitlines() if "Violation" in line]
        return super().violations(fresh)
