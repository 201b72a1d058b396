"""The access list as brokers read it: nothing is lost or added on the way, and what a broker would misread is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgematrix.access.dynamic_security import BrokerAccess, Client, Command, commands, differences, in_parts, of_broker, wanted
from edgematrix.access.grant import Access, Grant, Grants, GrantsDraft
from edgematrix.access.mosquitto import acl_file
from edgematrix.access.mosquitto_list import mosquitto_differences, read_acl_file
from edgematrix.access.nats import authorization, permitted
from edgematrix.access.nats_list import nats_differences, read_authorization
from edgematrix.access.principal import NAME_LENGTH_MAX, Principal, Role, principal_name
from edgematrix.access.subject import subjects
from edgematrix.errors import ConfigError, EdgeMatrixError, StateError, TopicError

LEVELS = st.sampled_from(["em", "a", "b.c", "x y", "#x"[1:], "ü", "", "+"])
FILTERS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join).filter(lambda text: text.strip() == text and text != "")
WIDE = st.tuples(FILTERS, st.booleans()).map(lambda pair: f"{pair[0]}/#" if pair[1] else pair[0])
TOPICS = st.lists(st.sampled_from(["em", "a", "b.c", "x y", "ü", "", "q"]), min_size=1, max_size=6).map("/".join)


def drafted(writes: list[str], reads: list[str]) -> Grants:
    draft = GrantsDraft()
    for text in writes:
        draft.write(text, f"because of {text}\nand a second line")
    for text in reads:
        draft.read(text, "read")
    return draft.grants()


GRANTS = st.builds(drafted, st.lists(WIDE, max_size=6), st.lists(WIDE, max_size=6))
USERS = st.sampled_from(["pi", "home.hall.tank", "anna~2", "# anna", "with space", "user", "topic read x", "ü"])
PRINCIPALS = st.dictionaries(USERS, GRANTS, max_size=4).map(
    lambda found: [Principal(name, Role.CLIENT, name, grants) for name, grants in found.items()]
)


def matches(pattern: list[str], topic: list[str]) -> bool:
    """MQTT 3.1.1, 4.7, word by word."""
    if pattern == ["#"]:
        return True
    if not pattern or not topic:
        return pattern == topic
    return pattern[0] in ("+", topic[0]) and (matches(pattern[1:], topic[1:]) or (pattern[1:] == ["#"] and topic[1:] == []))


@given(GRANTS, TOPICS)
def test_what_is_allowed_is_what_some_filter_matches(grants: Grants, topic: str):
    for access in Access:
        naive = any(grant.access is access and matches(grant.filter.split("/"), topic.split("/")) for grant in grants)
        assert grants.allows(access, topic) is naive


@given(st.lists(WIDE, max_size=8), TOPICS)
def test_leaving_out_covered_grants_takes_nothing_away(filters: list[str], topic: str):
    grants = drafted(filters, [])
    assert grants.allows(Access.WRITE, topic) is any(matches(text.split("/"), topic.split("/")) for text in filters)


# mosquitto


@given(PRINCIPALS)
def test_an_acl_file_says_the_grants_and_nothing_else(principals: list[Principal]):
    found = read_acl_file(acl_file(principals))
    assert found.oddities == {}
    assert {name for name, user in found.users.items()} == {principal.name for principal in principals}
    for principal in principals:
        said = {(access, text) for access, granted in found.users[principal.name].granted.items() for text in granted}
        assert said == principal.grants.filters()
    assert mosquitto_differences(principals, {}, acl_file(principals)) == []
    assert acl_file(principals) == acl_file(principals)


def one(*grants: tuple[str, str], name: str = "pi", role: Role = Role.HOST) -> Principal:
    return Principal(name, role, name, Grants([Grant(Access(access), text, (f"reason for {text}",)) for access, text in grants]))


def test_an_acl_file_is_read_by_people():
    principal = one(("write", "a/#"), ("read", "b c/+"))
    assert acl_file([principal], {"pi": ("pi", "pi~2")}).splitlines() == [
        "# Who has no name may do nothing.",
        "topic deny #",
        "",
        *("# host pi", "user pi", "# reason for a/#", "topic write a/#", "# reason for b c/+", "topic read b c/+", ""),
        *("# host pi, as pi~2", "user pi~2", "# reason for a/#", "topic write a/#", "# reason for b c/+", "topic read b c/+"),
    ]


def test_whoever_has_no_valid_credential_is_not_in_it():
    assert "user" not in acl_file([one(("write", "a"))], {"pi": []})


@pytest.mark.parametrize("name", [" pi", "pi ", "a\nuser b", "", "a\x00", "a\tb"])
def test_a_name_that_mosquitto_would_read_otherwise_is_refused(name: str):
    with pytest.raises(ConfigError, match="no access list can hold it"):
        acl_file([one(("write", "a"))], {"pi": [name]})


@pytest.mark.parametrize("text", ["a/b ", " a/b", "a\ntopic write #", "a/#/b", "a+b", ""])
def test_a_filter_that_mosquitto_would_read_otherwise_is_refused(text: str):
    for form in (acl_file, authorization):
        with pytest.raises(ConfigError):
            form([one(("write", text))])


def test_one_user_name_is_one_principal():
    with pytest.raises(ConfigError, match=r"'pi~2' stands for 'pi' and for 'anna'"):
        acl_file([one(), one(name="anna")], {"pi": ["pi~2"], "anna": ["pi~2"]})


def test_a_list_edited_by_hand_is_told_line_by_line():
    principals = [one(("write", "a/#"), ("read", "b")), one(("read", "c"), name="anna", role=Role.OPERATOR)]
    text = "user pi\ntopic write a/#\ntopic readwrite x/#\ntopic a/b\nuser eve\ntopic write y\npattern read %u/#\n"
    text += "user anna\ntopic reed c\ntopic read c/#\nbogus\n"
    told = [(difference.line, difference.what) for difference in mosquitto_differences(principals, {}, text)]
    assert told == [
        (3, "host pi may read x/#, which the matrix does not grant"),
        (3, "host pi may write x/#, which the matrix does not grant"),
        (4, "host pi may read a/b, which the matrix does not grant"),
        (5, "nobody is called 'eve', who may do 1 thing here"),
        (7, "`pattern read %u/#` grants to everybody"),
        (9, "'reed' is none of read, write, readwrite: mosquitto refuses the whole file"),
        (10, "operator anna may read c/#, which the matrix does not grant"),
        (11, "`bogus` is no line of an access list: mosquitto refuses the whole file"),
        (0, "host pi may not read b, which the matrix grants"),
    ]


def test_a_list_that_grants_nothing_lets_everybody_do_everything():
    assert [each.what for each in mosquitto_differences([], {}, "")] == [
        "it grants nothing to anybody, and mosquitto lets everybody do everything then"
    ]
    assert mosquitto_differences([], {}, acl_file([])) == []


@pytest.mark.parametrize("between", ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0\n"])
def test_a_line_that_mosquitto_takes_for_a_comment_is_none_here_either(between: str):
    principals = [one(("write", "a/#"), name="anna", role=Role.OPERATOR), one(("write", "b/#"), name="ben", role=Role.OPERATOR)]
    hidden = acl_file(principals).replace("\nuser ben", f"{between}user ben")
    assert mosquitto_differences(principals, {}, hidden)


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\x1f", "\x85"])
def test_a_blank_that_mosquitto_does_not_strip_is_part_of_the_name(blank: str):
    principals = [one(("write", "b/#"), name="ben", role=Role.OPERATOR)]
    assert mosquitto_differences(principals, {}, acl_file(principals).replace("user ben", f"user ben{blank}"))
    assert mosquitto_differences(principals, {}, acl_file(principals).replace("b/#", f"b/c{blank}"))


# NATS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a/b", ("a.b",)), ("a/#", ("a", "a.>")), ("a/+/b", ("a.*.b",)), ("a.b/c", ("a//b.c",)), ("a//b", ("a./.b",)), ("a/", ("a./",)),
        ("/a", ("/.a",)), ("+/a/#", ("*.a", "*.a.>")), ("em/op/+/+/home/#", ("em.op.*.*.home", "em.op.*.*.home.>")),
    ],
)  # fmt: skip
def test_topics_as_subjects(text: str, found: tuple[str, ...]):
    assert subjects(text) == found


@pytest.mark.parametrize("text", ["a b", "a/*", "a/>", "#", "$JS/API/#", "$MQTT/sub/#", "_INBOX/x", "a\tb", "a/#/b"])
def test_topics_that_nats_has_no_subject_for_are_refused(text: str):
    with pytest.raises(TopicError):
        subjects(text)
    with pytest.raises(ConfigError, match="host pi: "):
        authorization([one(("read", text))])


def test_a_wildcard_at_the_first_level_opens_nothing_of_the_servers_own():
    text = authorization([one(("read", "+/API/#"))])
    assert 'deny: ["$SYS.>", "$JS.>"' in text
    assert "deny" not in authorization([one(("read", "a/#"), ("write", "a"))])
    assert authorization([one(("read", "a"))]).count('publish: { deny: [">"] }') == 1


@given(st.dictionaries(USERS, st.builds(drafted, st.lists(WIDE, max_size=4), st.lists(WIDE, max_size=4)), max_size=3))
def test_a_nats_block_says_the_grants_and_nothing_else(found: dict[str, Grants]):
    principals = [Principal(name, Role.CLIENT, name, grants) for name, grants in found.items()]
    try:
        text = authorization(principals)
    except ConfigError:
        assert any(" " in grant.filter or grant.filter.startswith(("#", "$")) for each in principals for grant in each.grants)
        return
    said = read_authorization(text)
    assert said.oddities == {}
    for principal in principals:
        for access in Access:
            assert set(said.users[principal.name].granted[access]) == set(permitted(principal.grants, access))
    assert nats_differences(principals, {}, text) == []


def test_a_nats_block_edited_by_hand_is_told_line_by_line():
    text = authorization([one(("write", "a/#"), ("read", "b"))], passwords={"pi": "$2a$04$abc"})
    edited = text.replace('"a.>"', '"a.>", "x.*"').replace('"b"', '"c"').replace('["MQTT", "MQTT_WS"]', '["STANDARD", "MQTT"]')
    edited = edited.replace("  users = [", '  default_permissions: { publish: ">" }\n  users = [\n    { user: eve, password: x }')
    assert [each.what for each in nats_differences([one(("write", "a/#"), ("read", "b"))], {}, edited)] == [
        "authorization.default_permissions lets others in, or gives them more",
        "'eve' may come in over other ways than MQTT: allowed_connection_types is not MQTT alone",
        "nobody is called 'eve', who may do everything here",
        "'pi' may come in over other ways than MQTT: allowed_connection_types is not MQTT alone",
        "host pi may write x.*, which the matrix does not grant",
        "host pi may read c, which the matrix does not grant",
        "host pi may not read b, which the matrix grants",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("authorization", 'include "more.conf"\nauthorization'),
        ("authorization", "Authorization { users = [{ user: eve, password: x }] }\nauthorization"),
        ("authorization", "mqtt { port: 1883, no_auth_user: pi }\nauthorization"),
        ("authorization", "websocket { NO_AUTH_USER: pi }\nauthorization"),
        ("permissions: {", 'permission: { publish: ">" }\npermissions: {'),
        ("permissions: {", 'PERMISSIONS: { publish: ">" }\npermissions: {'),
        ("allow: [", 'Allow: [">"]\nallow: ['),
        ("publish: {", 'pub: ">"\npublish: {'),
        ("users = [", 'users = [ {user: pi, password: x, allowed_connection_types: [MQTT], permissions: {publish: ">", subscribe: b}}'),
    ],
)
def test_what_a_nats_block_grants_beside_the_known_keys_is_told(before: str, after: str):
    principals = [one(("write", "a/#"), ("read", "b"))]
    text = authorization(principals, passwords={"pi": "$2a$04$abc"})
    assert nats_differences(principals, {}, text) == []
    assert nats_differences(principals, {}, text.replace(before, after, 1))


def test_a_comment_of_a_nats_block_hides_nothing_and_no_denial_is_lost():
    principals = [one(("read", "+/set"))]
    text = authorization(principals, passwords={"pi": "$2a$04$abc"})
    assert nats_differences(principals, {}, text) == []
    assert nats_differences(
        principals,
        {},
        text.replace("# because", "# \rno_auth_user: pi\n# because").replace("authorization", "# x\rno_auth_user: pi\nauthorization", 1),
    )
    assert nats_differences(principals, {}, text.replace('"$SYS.>", ', ""))


@pytest.mark.parametrize("mark", ['publish: ">"\npublish: {', 'publish: (\n">"\n)\nx: {'])
def test_what_a_nats_server_may_read_otherwise_is_refused(mark: str):
    text = authorization([one(("write", "a/#"))])
    with pytest.raises(StateError, match="twice|in \\( \\)"):
        nats_differences([one(("write", "a/#"))], {}, text.replace("publish: {", mark, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: {",
        "authorization: [",
        'authorization { users: "x" }',
        "authorization { users = [ 1 ] }",
        "}",
        "{" * 50,
        '"\\q"',
        "a" * 10,
        "authorization {\n users = [{user: {}}]}",
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text: str):
    with pytest.raises(StateError):
        nats_differences([], {}, text)


@given(st.text(alphabet="{}[]:=\"'#a \n\\,", max_size=60))
def test_no_file_breaks_the_reader(text: str):
    try:
        read_authorization(text)
    except EdgeMatrixError:
        pass
    read_acl_file(text)


# The dynamic security plugin


class Plugin:
    """What mosquitto's plugin does with commands, as far as we send them; it refuses what names something that is not there."""

    def __init__(self, start: BrokerAccess) -> None:
        self.roles = {name: set(acls) for name, acls in start.roles.items()}
        self.clients = {name: (client.mark, set(client.roles), set(client.groups)) for name, client in start.clients.items()}
        self.defaults = dict(start.defaults)

    def obey(self, told: list[Command]) -> None:
        for each in told:
            getattr(self, each["command"])(each)

    def setDefaultACLAccess(self, each: Command) -> None:  # noqa: N802 - as the plugin calls it
        self.defaults |= {acl["acltype"]: acl["allow"] for acl in each["acls"]}

    def createRole(self, each: Command) -> None:  # noqa: N802
        assert each["rolename"] not in self.roles
        self.roles[each["rolename"]] = {(acl["acltype"], acl["topic"]) for acl in each["acls"]}

    def modifyRole(self, each: Command) -> None:  # noqa: N802
        assert each["rolename"] in self.roles
        self.roles[each["rolename"]] = {(acl["acltype"], acl["topic"]) for acl in each["acls"]}

    def addRoleACL(self, each: Command) -> None:  # noqa: N802
        assert (each["acltype"], each["topic"]) not in self.roles[each["rolename"]]
        self.roles[each["rolename"]].add((each["acltype"], each["topic"]))

    def deleteRole(self, each: Command) -> None:  # noqa: N802
        del self.roles[each["rolename"]]
        for _, roles, _ in self.clients.values():
            roles.discard(each["rolename"])

    def createClient(self, each: Command) -> None:  # noqa: N802
        assert each["username"] not in self.clients
        assert all(role["rolename"] in self.roles for role in each["roles"])
        self.clients[each["username"]] = (each["textname"], {role["rolename"] for role in each["roles"]}, set())

    def deleteClient(self, each: Command) -> None:  # noqa: N802
        del self.clients[each["username"]]

    def addClientRole(self, each: Command) -> None:  # noqa: N802
        assert each["rolename"] in self.roles
        assert each["rolename"] not in self.clients[each["username"]][1]
        self.clients[each["username"]][1].add(each["rolename"])

    def removeClientRole(self, each: Command) -> None:  # noqa: N802
        self.clients[each["username"]][1].remove(each["rolename"])

    def answers(self) -> list[dict[str, Any]]:
        roles = [
            {"rolename": name, "acls": [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in sorted(acls)]}
            for name, acls in self.roles.items()
        ]
        clients = [
            {
                "username": name,
                "textname": mark,
                "roles": [{"rolename": role} for role in roles],
                "groups": [{"groupname": group} for group in groups],
            }
            for name, (mark, roles, groups) in self.clients.items()
        ]
        return [
            {"command": "listRoles", "data": {"roles": list(self.roles)}},
            {"command": "listClients", "data": {"clients": clients}},
            {
                "command": "getDefaultACLAccess",
                "data": {"acls": [{"acltype": key, "allow": value} for key, value in self.defaults.items()]},
            },
            *({"command": "getRole", "data": {"role": role}} for role in roles if role["rolename"].startswith("em:home:")),
        ]


ROLES = st.sampled_from(["em:home:pi", "em:home:anna", "em:home:gone", "em:other:pi", "admin"])
ACLS = st.sets(
    st.tuples(st.sampled_from(["publishClientSend", "subscribePattern", "not publishClientSend"]), st.sampled_from(["a/#", "b", "#"])),
    max_size=4,
).map(frozenset)


@st.composite
def broker_states(draw: st.DrawFn) -> BrokerAccess:
    roles = draw(st.dictionaries(ROLES, ACLS, max_size=5))
    some = st.sets(st.sampled_from(sorted(roles)), max_size=3).map(frozenset) if roles else st.just(frozenset())
    client = st.builds(
        Client, st.sampled_from(["", "em:home:pi", "em:home:gone", "em:other:pi", "by hand"]), some, st.sets(st.just("g")).map(frozenset)
    )
    clients = draw(st.dictionaries(st.sampled_from(["pi", "pi~2", "anna", "gone", "admin", "eve"]), client, max_size=5))
    return BrokerAccess(
        roles, clients, draw(st.dictionaries(st.sampled_from(["publishClientSend", "subscribe", "unsubscribe"]), st.booleans()))
    )


HOME = [one(("write", "a/#"), ("read", "b"), ("read", "c/+")), one(name="anna", role=Role.OPERATOR)]


@given(broker_states(), st.sampled_from([{}, {"pi": ["pi", "pi~2"]}, {"pi": [], "anna": ["anna~2"]}]))
@example(BrokerAccess(), {})
def test_whatever_a_plugin_knew_it_becomes_what_is_wanted_and_keeps_what_is_not_ours(start: BrokerAccess, users: dict[str, list[str]]):
    plugin, wish = Plugin(start), wanted("home", HOME, users)
    plugin.obey(differences("home", wish, start))

    for name, acls in wish.roles.items():
        assert plugin.roles[name] == acls
    for name, client in wish.clients.items():
        assert {role for role in plugin.clients[name][1] if role.startswith("em:home:")} == client.roles
    for name, (_, roles, _) in plugin.clients.items():
        assert name in wish.clients or not any(role.startswith("em:home:") for role in roles)
    assert not any(name.startswith("em:home:") and name not in wish.roles for name in plugin.roles)
    assert plugin.defaults.items() >= wish.defaults.items()
    for name, acls in start.roles.items():
        assert name.startswith("em:home:") or plugin.roles[name] == acls
    for name, client in start.clients.items():
        if not client.mark.startswith("em:home:") or client.groups:
            assert {role for role in plugin.clients[name][1] if not role.startswith("em:home:")} == {
                role for role in client.roles if not role.startswith("em:home:")
            }
    assert differences("home", wish, of_broker(plugin.answers())) == [], "and then nothing is left to say"


def test_a_role_that_is_too_long_for_one_command_is_told_in_several():
    many = one(*(("write", f"topic/{number}") for number in range(2_500)))
    told = commands("home", [many])
    plugin = Plugin(BrokerAccess())
    plugin.obey(told)
    assert len(plugin.roles["em:home:pi"]) == 2_500
    assert max(len(msgspec.json.encode(each)) for each in told) < 128 * 1024
    parts = list(in_parts(told))
    assert [each for part in parts for each in json.loads(part)["commands"]] == told
    assert max(len(part) for part in parts) < 512 * 1024


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [{"command": "listClients", "error": "no"}],
        [{"command": "listClients", "data": {"clients": [1]}}],
        [{"command": "listClients", "data": 1}],
    ],
)
def test_an_answer_that_is_none_is_told(answers: list[dict[str, Any]]):
    with pytest.raises(StateError, match="the dynamic security plugin"):
        of_broker(answers)


# Names


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True), min_size=2, max_size=16, unique=True).map("/".join))
def test_the_name_of_a_device_fits_into_a_certificate_and_is_no_other_principals(path: str):
    name = principal_name(Role.DEVICE, path)
    assert len(name) <= NAME_LENGTH_MAX
    assert "." in name or "~" in name
    assert ":" not in name
    assert principal_name(Role.HOST, "pi") == "pi"


def test_long_paths_that_begin_alike_have_different_names():
    head = "plant/" + "a" * 60
    assert principal_name(Role.DEVICE, f"{head}/x") != principal_name(Role.DEVICE, f"{head}/y")
