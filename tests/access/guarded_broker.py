"""Brokers that let in who is on an access list, each in the way that it is meant to be used, and an administrator who sees everything."""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from broker_process import BrokerProcess, skip_without
from wire_client import WireClient

from edgematrix.access.dynamic_security import wanted
from edgematrix.access.mosquitto import acl_file
from edgematrix.access.nats import authorization
from edgematrix.access.principal import Principal, Role
from edgematrix.access.users import Users, with_users
from edgematrix.cli.broker_access import apply_access
from edgematrix.identity.password import mosquitto_hash

ADMIN = "admin"
FORMS = ("acl_file", "dynamic_security", "nats")
_ADMIN_ACL = "\nuser admin\ntopic readwrite #\ntopic readwrite $SYS/#\ntopic readwrite $other/#\ntopic readwrite $CONTROL/#\n"
_MOSQUITTO = """
max_queued_messages 0
sys_interval 1
connection_messages false
log_type error
log_type warning
password_file {directory}/passwords
"""
_PER_LISTENER = "use_username_as_clientid true\n"
_PEOPLE = """
listener {port} 127.0.0.1
allow_anonymous false
clientid_prefixes op:
password_file {directory}/people
acl_file {directory}/acl
"""


def password_of(user: str) -> str:
    return f"word-of-{user}"


class GuardedBroker:
    """One of `FORMS`, with the access list of `principals`."""

    def __init__(
        self,
        form: str,
        directory: Path,
        matrix: str,
        principals: Sequence[Principal],
        users: Users | None = None,
        *,
        listener_of_people: int = 0,
    ) -> None:
        self.form = form
        self.matrix = matrix
        self.principals = principals
        self.users = users or {}
        self._directory = directory
        directory.mkdir(parents=True)
        self._numbers = 0
        kind = "nats" if form == "nats" else "mosquitto"
        skip_without(kind)
        self._listener_of_people = listener_of_people
        more = {"acl_file": self._acl_file, "dynamic_security": self._dynamic_security, "nats": self._nats}[form]()
        self.process = BrokerProcess(kind, directory / "broker", more=more, anonymous=False)
        if listener_of_people:
            file = directory / "broker" / "mosquitto.conf"
            file.write_text(f"per_listener_settings true\n{file.read_text()}")
        self.process.start()
        if form == "dynamic_security":
            self.apply()

    def apply(self, principals: Sequence[Principal] | None = None, users: Users | None = None) -> list[dict[str, object]]:
        """Bring the plugin to a list, as `edgematrix acl --apply` does."""
        wish = wanted(self.matrix, self.principals if principals is None else principals, self.users if users is None else users)
        return asyncio.run(apply_access(f"mqtt://{ADMIN}:{password_of(ADMIN)}@127.0.0.1:{self.process.port}", self.matrix, wish))

    def client(self, user: str, client_id: str = "", **more: Any) -> WireClient:
        self._numbers += 1
        return WireClient(self.process.port, client_id or f"probe{self._numbers}", user, password_of(user), **more)

    def connect(self, user: str, client_id: str = "", **more: Any) -> WireClient:
        found = self.client(user, client_id, **more).connect()
        assert found.refusal == 0, f"{user} is not let in: {found.refusal}"
        return found

    def stop(self) -> None:
        self.process.kill()

    def _passwords(self) -> None:
        users = dict(with_users(self.principals, self.users))
        if self._listener_of_people:
            machines = [user for user, principal in users.items() if principal.role in (Role.HOST, Role.DEVICE)]
            self._write_passwords("passwords", machines)
            self._write_passwords("people", [ADMIN, *(user for user in users if user not in machines)])
        else:
            self._write_passwords("passwords", [ADMIN, *users])

    def _write_passwords(self, name: str, names: Sequence[str]) -> None:
        file = self._directory / name
        file.write_text("".join(f"{user}:{mosquitto_hash(password_of(user), iterations=1)}\n" for user in names))
        file.chmod(0o600)

    def _acl_file(self) -> str:
        self._passwords()
        (self._directory / "acl").write_text(acl_file(self.principals, self.users) + _ADMIN_ACL)
        (self._directory / "acl").chmod(0o600)
        text = _MOSQUITTO.format(directory=self._directory) + f"user {getpass.getuser()}\nacl_file {self._directory}/acl\n"
        if self._listener_of_people:
            text = f"{_PER_LISTENER}{text}" + _PEOPLE.format(directory=self._directory, port=self._listener_of_people)
        return text

    def _dynamic_security(self) -> str:
        plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
        if plugin is None or shutil.which("mosquitto_ctrl") is None:
            pytest.skip("mosquitto's dynamic security plugin is not installed")
        self._passwords()
        state = self._directory / "security.json"
        subprocess.run(["mosquitto_ctrl", "dynsec", "init", str(state), ADMIN, password_of(ADMIN)], check=True, capture_output=True)
        content = json.loads(state.read_text())
        acls = content["roles"][0]["acls"]
        acls += [{"acltype": "publishClientSend", "topic": topic, "allow": True} for topic in ("#", "$SYS/#", "$other/#")]
        acls += [{"acltype": kind, "topic": "$other/#", "allow": True} for kind in ("subscribePattern", "publishClientReceive")]
        state.write_text(json.dumps(content))
        lines = f"user {getpass.getuser()}\nplugin {plugin}\nplugin_opt_config_file {state}\n"
        return _MOSQUITTO.format(directory=self._directory) + lines

    def _nats(self) -> str:
        names = [user for user, _ in with_users(self.principals, self.users)]
        text = authorization(self.principals, self.users, {user: password_of(user) for user in names})
        admin = f'  users = [\n    {{ user: "{ADMIN}", password: "{password_of(ADMIN)}", allowed_connection_types: ["MQTT"] }}\n'
        return text.replace("  users = [\n", admin, 1).replace("{", "{{").replace("}", "}}")
