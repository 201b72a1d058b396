"""A host of rules imports what rules need, so that it starts fast on a small machine."""

import subprocess
import sys
from pathlib import Path

MATRIX = """
matrix: home
agents:
  rule: {triggers: {hot: {on: {t: {topic: t/temp, above: 25}}, do: [{publish: {topic: t/fan, payload: "${t.value}"}}]}}}
"""


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules_of_a_host(folder: Path, matrix: str) -> set[str]:
    """What is loaded once a host of this matrix is launched."""
    (folder / "home.yaml").write_text(matrix)
    return modules_after(
        "import asyncio\n"
        "from pathlib import Path\n"
        "from edgematrix.config.launch import Launch, launch\n"
        "from edgematrix.config.opening import open_matrix\n"
        "async def main():\n"
        f"    how = Launch(name='pi', folder=Path({str(folder)!r}), url='mqtt://127.0.0.1:1')\n"
        f"    async with launch(open_matrix(Path({str(folder / 'home.yaml')!r})), how):\n"
        "        pass\n"
        "asyncio.run(main())"
    )


def test_the_package_itself_imports_next_to_nothing() -> None:
    loaded = modules_after("import edgematrix")
    assert {name for name in loaded if name.startswith("edgematrix")} == {"edgematrix"}
    assert loaded.isdisjoint({"asyncio", "msgspec", "pydantic", "yaml"})


def test_a_host_of_rules_imports_nothing_for_code_sentences_calendars_or_errors(tmp_path: Path) -> None:
    loaded = modules_of_a_host(tmp_path, MATRIX)
    assert "edgematrix.runtime.host" in loaded
    unneeded = {
        "apscheduler",
        "astral",
        "cel_expr_python",
        "edgematrix.agents.sentences",
        "edgematrix.config.agent",
        "edgematrix.config.refusal",
        "edgematrix.models.process",
        "edgematrix.runtime.broker",
        "edgematrix.runtime.code",
        "edgematrix.runtime.model_chooser",
        "edgematrix.runtime.workshop",
        "jsonschema_rs",
        "llama_cpp",
        "numpy",
        "rich",
        "tomllib",
        "typer",
    }
    assert loaded & unneeded == set()


def test_a_host_with_language_models_loads_no_model_in_its_own_process(tmp_path: Path) -> None:
    matrix = 'matrix: home\nagents:\n  heavy: {llm: {provider: openai, url: "http://127.0.0.1:1/v1"}}\n  tester: {llm: {provider: fake}}\n'
    loaded = modules_of_a_host(tmp_path, matrix)
    assert "edgematrix.models.openai_talker" in loaded
    assert loaded & {"edgematrix.models.process", "llama_cpp", "numpy", "onnxruntime"} == set()


def test_a_light_host_imports_nothing_that_heavy_agents_need(tmp_path: Path) -> None:
    """From the command line to a deployment that runs: numpy, model runtimes and web servers need not be installed."""
    loaded = modules_after(
        "import asyncio, os, signal\n"
        "from pathlib import Path\n"
        "import edgematrix.cli.host\n"
        "from edgematrix.cli.hosting import Wanted, run_host\n"
        "from edgematrix.config.deployed import deployment_of\n"
        "from edgematrix.config.kept_deployment import KeptDeployment\n"
        "from edgematrix.config.reading import read_matrix\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"(folder / 'home.yaml').write_text({MATRIX!r})\n"
        "spec = read_matrix(folder / 'home.yaml').spec\n"
        "KeptDeployment(folder).write(deployment_of(spec, {'home/rule': ('pi',)}, 1, 'me'))\n"
        "said = []\n"
        "def tell(text):\n"
        "    said.append(text)\n"
        "    if 'running revision 1' in text:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "none = dict(matrix='', labels=(), devices=(), allowed=(), code=None, state=None)\n"
        "wanted = Wanted(name='pi', broker='mqtt://127.0.0.1:1', root='em', **none)\n"
        "asyncio.run(run_host(wanted, folder, tell))\n"
        "assert any('running revision 1 of home: agents 1' in text for text in said), said"
    )
    heavy = {"fastapi", "llama_cpp", "numpy", "onnxruntime", "pandas", "scipy", "starlette", "torch", "uvicorn"}
    assert "edgematrix.runtime.following" in loaded
    assert loaded & heavy == set()
    assert loaded & {"edgematrix.config.agent", "edgematrix.runtime.model_chooser", "edgematrix.runtime.workshop"} == set()
