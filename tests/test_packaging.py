"""What installs dupkit: the two lists of dependencies agree, the wheel carries the notebooks, no host is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import need

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The names that conda-forge gives to the parts that dupkit uses.
CONDA_NAMES = {"dask": "dask-core", "matplotlib": "matplotlib-base"}

# Nothing imports them: the kernel that JupyterLab starts, what distributed makes its TLS certificates with, and the
# front end that anywidget's widgets live in.
USED_UNSEEN = {"ipykernel", "cryptography", "ipywidgets"}


def test_environment_yml_names_the_dependencies_of_pyproject_with_their_bounds() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = set(re.findall(r"^  - (\S+)$", text, flags=re.MULTILINE)) - {"conda-forge", "pip"}
    expected = {f"python{PROJECT['requires-python']}"}
    for dependency in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([a-z0-9-]+)(.*)", dependency).groups()
        expected.add(CONDA_NAMES.get(name, name) + bound)
    assert conda == expected


def test_every_dependency_is_imported_somewhere() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "dupkit").rglob("*.py"))
    names = {"pillow": "PIL", "jupyterlab": "jupyterlab"}
    for dependency in PROJECT["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency).group()
        if name in USED_UNSEEN:
            continue
        assert re.search(rf"\b(import|from) {names.get(name, name)}\b", sources), f"{name} is not used"


def test_the_wheel_carries_the_notebooks_and_the_page(tmp_path: Path) -> None:
    need(shutil.which("uv"), "uv is not installed; it builds the wheel")
    subprocess.run(["uv", "build", "--wheel", "-q", "-o", tmp_path, ROOT], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"dupkit/notebooks/{notebook.name}" in names
    for static in (ROOT / "dupkit" / "widgets" / "static").iterdir():
        assert f"dupkit/widgets/static/{static.name}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.parametrize("pattern", [r"pypi\.(org|python)", r"pythonhosted", r"registry\.npm", r"deb\.debian"])
def test_no_committed_text_names_a_registry_host(pattern: str) -> None:
    # The pattern itself is not the host's name, so this file passes its own test.
    found = subprocess.run(
        ["git", "grep", "-lE", pattern, "--", ".", ":!tests/test_packaging.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
