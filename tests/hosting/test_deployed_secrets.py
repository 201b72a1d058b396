"""Which secrets a host needs for what is deployed."""

from edgematrix.config.deployed import deployment_of, secrets_of, spec_of
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.protocol.path import AgentPath


def code(*secrets: str, **more: object) -> AgentSpec:
    return AgentSpec(python="m:f", secrets=list(secrets), **more)


def test_a_host_needs_the_secrets_of_all_that_it_has_or_may_get() -> None:
    inner = {"in": code("inner"), "apart": code("apart")}
    agents = {"one": AgentSpec(agents=inner), "moves": code("moves"), "nobodys": code("nobodys"), "plain": AgentSpec(python="m:f")}
    places = {"home/one": ("a",), "home/one/apart": ("b",), "home/moves": ("b", "a"), "home/plain": ("a",)}
    spec = MatrixSpec(matrix="home", agents=agents)
    deployment = deployment_of(spec, {AgentPath(path): hosts for path, hosts in places.items()}, 1, "x")
    again = spec_of(deployment)
    assert secrets_of(deployment.manifest, again, "a") == [("home/one/in", "inner"), ("home/moves", "moves")]
    assert secrets_of(deployment.manifest, again, "b") == [("home/one/apart", "apart"), ("home/moves", "moves")]
    assert secrets_of(deployment.manifest, again, "c") == []
    assert b"secrets" in deployment.definitions[AgentPath("home/moves")]
