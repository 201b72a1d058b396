"""No secret is in anything that a host says, stores or publishes, whatever the code of its agents does with it."""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess, skip_without
from cli_process import CALM, Running, call, no_traceback
from leak import Listener, files_below, forms, leaks

PIN = "pin\"'ü 4711/x+%"
"""Each way of writing it differs from the others."""
KEY = "key\"'ß 0815?=&y"
USER = "anna"
"""Operators' topics hold it: it may be kept in a file, but is not hidden."""
PASSWORD = "p@ss:w/rd?#[%]&+ü\"'"  # noqa: S105
CONTROL = "control\"'ö 2342/z+%"
"""As a pin, but no secret: it is found everywhere."""
SECRETS = {"door_pin": PIN, "api_key": KEY, "broker_user": USER, "broker_pw": PASSWORD}

CODE = f"""
import asyncio, base64, json, logging, urllib.parse
import edgematrix as em

CONTROL = {CONTROL!r}
log = logging.getLogger("somebody.elses")
known = []

def mishaps(value, ctx):
    yield lambda: ctx.emit("out", value)
    yield lambda: ctx.emit("out", {{"deep": [value]}})
    yield lambda: ctx.emit("out", {{value: 1}})
    yield lambda: ctx.emit("out", json.dumps(value))
    yield lambda: ctx.emit("out", base64.b64encode(value.encode()).decode())
    yield lambda: ctx.emit("out", urllib.parse.quote(value))
    yield lambda: ctx.emit("out", value.encode())
    yield lambda: ctx.emit(value, 1)
    yield lambda: ctx.send("ear.in", value)
    yield lambda: ctx.send(value, 1)
    yield lambda: ctx.call("ear.in", value)
    yield lambda: ctx.stream(value)
    yield lambda: ctx.publish(f"t/{{value}}", 1)
    yield lambda: ctx.publish("lock/set", value, retain=True)
    yield lambda: ctx.publish("em/out/home/ear/out", value)
    yield lambda: ctx.create("below", {{"triggers": {{"t": {{"on": {{"x": {{"topic": "t/x"}}}}, "do": [{{"emit": {{"out": value}}}}]}}}}}})
    yield lambda: ctx.remove(value)
    yield lambda: ctx.cancel(".", value)

async def door(what: str, ctx: em.Context) -> object:
    if what == "control":
        log.error("the control value is %s", CONTROL)
        await ctx.emit("out", CONTROL)
        raise ValueError(CONTROL)
    pin = ctx.secret("door_pin").reveal()
    key = ctx.secret("api_key").reveal()
    known.append(pin)
    if what == "publish":
        await ctx.publish("lock/set", {{"pin": pin, "times": 1}})
        return "published"
    if what == "return":
        return {{"pin": pin}}
    if what == "returned-secret":
        return [ctx.secret("door_pin")]
    if what == "raise":
        try:
            raise ValueError(f"the pin {{pin}}")
        except ValueError as error:
            raise KeyError(json.dumps(key)) from error
    if what == "raise-ours":
        raise em.EdgeMatrixError(f"pin {{pin}}", where=key, remedy=repr(pin))
    if what == "log":
        for level in (logging.WARNING, logging.ERROR):
            log.log(level, "the pin is %s and the key %r", pin, key)
            logging.getLogger("edgematrix.runtime.host").log(level, f"{{pin}}")
        log.error("too few %s %s", pin)
        try:
            raise ValueError(pin)
        except ValueError:
            log.exception(key)
        log.warning(ctx.secret("door_pin"))
        return "logged"
    if what == "not-mine":
        return ctx.secret("broker_pw").reveal()
    refused = []
    for value in (pin, key):
        for mishap in mishaps(value, ctx):
            try:
                await mishap()
                refused.append("not refused")
            except em.EdgeMatrixError as error:
                log.warning("refused: %s", error)
                refused.append("refused")
    return refused

def thread(what: str, ctx: em.Context) -> object:
    raise ValueError(ctx.secret("door_pin").reveal())

async def durable(what: str, ctx: em.Context) -> object:
    await asyncio.sleep(0)
    await ctx.publish("lock/set", ctx.secret("door_pin").reveal())

async def friend(what: str, ctx: em.Context) -> object:
    await asyncio.sleep(0)
    raise ValueError(f"heard {{known}}")
"""

ON = {"t": {"on": {"what": {"topic": "t/what"}}, "mode": "queued", "max": 100}}
MISHAPS = ["publish", "return", "returned-secret", "raise", "raise-ours", "log", "not-mine", "all", "control"]


def agents(**more: object) -> dict[str, object]:
    names = ["door_pin", "api_key"]
    shared = {"triggers": ON, **more}
    return {
        "door": {"python": "door:door", "secrets": names, "sends": ["ear.in"], "outputs": {"out": {"retain": True}}, **shared},
        "thread": {"python": "door:thread", "secrets": names, **shared},
        "durable": {"python": "door:durable", "secrets": names, "delivery": "durable", **shared},
        "friend": {"python": "door:friend", **shared},
        "ear": {"inputs": {"in": {}}, "triggers": {"t": {"on": {"x": {"from": "self.in"}}, "do": [{"emit": {"out": CONTROL}}]}}, **more},
    }


def write_secrets(folder: Path, *without: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in SECRETS.items():
        if name not in without:
            (folder / name).write_text(value + "\n", encoding="utf-8")
            (folder / name).chmod(0o600)


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    skip_without("mosquitto")
    folder = tmp_path_factory.mktemp("broker")
    for first, (user, password) in enumerate({USER: PASSWORD, "listener": "listens"}.items()):
        subprocess.run(["mosquitto_passwd", *(["-c"] if not first else []), "-b", str(folder / "users"), user, password], check=True)
    (folder / "users").chmod(0o644)
    found = BrokerProcess("mosquitto", folder, anonymous=False, more=f"user {getpass.getuser()}\npassword_file {{directory}}/users")
    found.start()
    yield found
    found.stop()


@pytest.fixture
def listener(broker: BrokerProcess) -> Iterator[Listener]:
    found = Listener(broker.port, "listener", "listens")
    yield found
    found.close()


def act(listener: Listener) -> None:
    """Let the code do all that it should not, and wait until the last of it is over."""
    for what in MISHAPS:
        listener.say("t/what", what)
    letters = listener.wait_for("em/dead/home/door", 6)
    assert sum(b"may not have the secret 'broker_pw'" in letter for letter in letters) == 1
    listener.wait_for("em/dead/home/thread", len(MISHAPS))
    listener.wait_for("em/dead/home/durable", len(MISHAPS))
    listener.wait_for("em/dead/home/friend", len(MISHAPS))
    (pin,) = listener.of("lock/set")
    assert json.loads(pin) == {"pin": PIN, "times": 1}  # what it is for
    outs = [json.loads(payload)["data"] for payload in listener.of("em/out/home/door/out")]
    refused = next(out for out in outs if isinstance(out, list))
    assert set(refused) == {"refused"}
    assert len(refused) == 36


def none_leaks(places: dict[str, bytes]) -> None:
    for value in (PIN, KEY, PASSWORD):
        assert leaks(value, places) == []


def test_the_search_finds_each_way_of_writing() -> None:
    assert len(set(forms(PIN).values())) == len(forms(PIN))
    for form, text in forms(PIN).items():
        assert leaks(PIN, {"x": b"before" + text + b"after"}), form


def test_a_run_without_its_secrets_is_refused_and_a_check_warns(tmp_path: Path) -> None:
    address = "mqtt://${secret:broker_user}:${secret:broker_pw}@127.0.0.1:1"
    (tmp_path / "home.yaml").write_text(json.dumps({"matrix": "home", "broker": address, "agents": agents()}), encoding="utf-8")
    (tmp_path / "door.py").write_text(CODE, encoding="utf-8")
    refused = call("run", "home.yaml", cwd=tmp_path)
    no_traceback(refused)
    assert refused.returncode == 1
    assert "there is no secret 'door_pin', which home/door uses" in refused.stderr
    assert "looked for in secrets (beside the matrix file)" in " ".join(refused.stderr.split())
    warned = call("check", "home.yaml", cwd=tmp_path)
    assert warned.returncode == 0, warned.stderr
    assert "0 errors, 8 warnings" in warned.stdout


@pytest.mark.parametrize("log", ["text", pytest.param("json", marks=pytest.mark.slow)])
def test_nothing_that_a_run_says_stores_or_publishes_holds_a_secret(
    tmp_path: Path, broker: BrokerProcess, listener: Listener, start: Callable[..., Running], log: str
) -> None:
    address = f"mqtt://${{secret:broker_user}}:${{secret:broker_pw}}@127.0.0.1:{broker.port}"
    (tmp_path / "home.yaml").write_text(json.dumps({"matrix": "home", "broker": address, "agents": agents()}), encoding="utf-8")
    (tmp_path / "door.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "more.yaml").write_text("triggers: {t: {on: {x: {topic: t/x}}, do: [{emit: {out: 1}}]}}", encoding="utf-8")
    write_secrets(tmp_path / "secrets")

    running = start("run", "home.yaml", "--log", log, cwd=tmp_path)
    listener.wait_for("em/state/home/door")
    followers = [start("trace", "--follow", "--json", cwd=tmp_path), start("watch", "--json", cwd=tmp_path)]
    for follower in followers:
        follower.wait_for("home/door")
    act(listener)
    commands = {"create": ("create", "home/more", "more.yaml"), "dead list --json": ("dead", "list", "--json", "--last", "1000")}
    if log == "json":
        commands |= {"trace --json": ("trace", "--json", "--last", "1000"), "dead list": ("dead", "list", "--last", "1000")}
    else:
        commands |= {
            "trace": ("trace", "--last", "1000"),
            "runs": ("trace", "--runs"),
            "graph": ("graph", "home.yaml"),
            "doctor": ("doctor",),
        }
        commands |= {"check": ("check", "home.yaml")}
    said: dict[str, bytes] = {}
    for name, words in commands.items():
        done = call(*words, cwd=tmp_path)
        no_traceback(done)
        assert done.returncode == 0 or name == "doctor", (name, done.stderr)
        said[name] = (done.stdout + done.stderr).encode()
    letters = [json.loads(line) for line in said["dead list --json"].splitlines()]
    told = {letter["agent"]: letter["id"] for letter in letters if "***" in letter["reason"]}
    told["control"] = next(letter["id"] for letter in letters if CONTROL in letter["reason"])
    assert set(told) == {"home/door", "home/thread", "home/friend", "control"}
    for agent, letter in told.items():
        shown = call("dead", "show", letter, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        said[f"dead show of {agent}"] = (shown.stdout + shown.stderr).encode()
    running.stop()
    for follower in followers:
        follower.kill()
    assert running.process.returncode == 0
    assert address in running.printed or log == "json"

    files = files_below(tmp_path, frozenset({"secrets", "door.py", "home.yaml"}))
    bus = {"bus": listener.besides("lock/set", "t/what")}
    none_leaks(files | said | bus)
    assert any(name.endswith("its rows") for name in files)
    # A value that is no secret goes the same ways, and is found at the end of each.
    found = " ".join(leaks(CONTROL, files | said | bus))
    for place in ("bus:", "running0.log", "running1.log", "running2.log", ".edgematrix/home.sqlite, its rows", "dead show", "dead list"):
        assert place in found, (place, found)


def test_nothing_that_hosts_and_deployments_say_store_or_publish_holds_a_secret(
    tmp_path: Path, broker: BrokerProcess, listener: Listener, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.parse import quote

    address = f"mqtt://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@127.0.0.1:{broker.port}"
    monkeypatch.setitem(CALM, "EDGEMATRIX_BROKER", address)
    here = tmp_path / "deployer"
    write_secrets(here / "secrets")
    own = f"mqtt://${{secret:broker_user}}:${{secret:broker_pw}}@127.0.0.1:{broker.port}"
    (here / "home.yaml").write_text(json.dumps({"matrix": "home", "broker": own, "agents": agents(host="a")}), encoding="utf-8")
    code = tmp_path / "code"
    code.mkdir()
    (code / "door.py").write_text(CODE, encoding="utf-8")
    (here / "door.py").write_text(CODE, encoding="utf-8")
    host = start("host", "--name", "a", "--code", code, "--state", tmp_path / "a", cwd=tmp_path)
    host.wait_for("connected")
    listener.wait_for("em/host/a")

    write_secrets(tmp_path / "a" / "secrets", "api_key")
    monkeypatch.delitem(CALM, "EDGEMATRIX_BROKER")  # the matrix names it too
    refused = call("deploy", "home.yaml", cwd=here, timeout_s=60)
    assert refused.returncode == 1, refused.stdout
    assert "there is no secret 'api_key', which home/door uses" in refused.stdout + refused.stderr
    write_secrets(tmp_path / "a" / "secrets")
    changed = agents(host="a") | {"late": {**agents()["ear"], "host": "a"}}  # type: ignore[dict-item]
    (here / "home.yaml").write_text(json.dumps({"matrix": "home", "broker": own, "agents": changed}), encoding="utf-8")
    deployed = call("deploy", "home.yaml", cwd=here, timeout_s=60)
    assert deployed.returncode == 0, (deployed.stdout, deployed.stderr, host.printed)
    monkeypatch.setitem(CALM, "EDGEMATRIX_BROKER", address)
    act(listener)
    said = {"deploy": (deployed.stdout + deployed.stderr + refused.stdout + refused.stderr).encode()}
    for words in (("host", "list"), ("host", "list", "--json")):
        done = call(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said[" ".join(words)] = (done.stdout + done.stderr).encode()
    for words in (("trace", "home", "--json"), ("dead", "list", "home", "--json")):
        done = call(*words, "--url", address, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said[" ".join(words)] = (done.stdout + done.stderr).encode()
    host.stop()

    files = {name: data for name, data in files_below(tmp_path, frozenset({"code", "deployer"})).items() if "secrets/" not in name}
    bus = {"bus": listener.besides("lock/set", "t/what")}
    none_leaks(files | said | bus)
    found = " ".join(leaks(CONTROL, files | said | bus))
    for place in ("bus:", "running0.log", "a/deployment.json, decoded", "a/home.sqlite, its rows", "dead list"):
        assert place in found, (place, found)
