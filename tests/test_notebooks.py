"""The notebooks: executed from a fresh kernel on the demo album, and kept in the form that a reader expects."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from dupkit.demo import ALBUM, write_demo
from dupkit.lab import copy_notebooks, fill_in_folder

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the demo album in it, painted once for all notebooks."""
    folder = tmp_path_factory.mktemp("state")
    write_demo(folder / ALBUM)
    return folder


def code_cells(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning")
def test_a_notebook_runs_from_top_to_bottom(path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPKIT_STATE", str(state))
    monkeypatch.setenv("DUPKIT_CACHE", str(state / "cache"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    before = sorted(os.listdir(state / ALBUM))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(state)}}).execute()
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert errors == []
    # Whatever a notebook moved it brought back.
    assert [name for name in sorted(os.listdir(state / ALBUM)) if "duplicates" not in name] == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_clean_and_readable(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    for source in code_cells(notebook):
        assert len(source.splitlines()) <= 12
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(source)))
    assert code_cells(notebook)[0].startswith('FOLDER = ""')


def test_the_folder_is_filled_in_and_a_users_copy_is_kept(tmp_path: Path) -> None:
    photos = tmp_path / "ein \"Name\" mit 'Zeichen'"
    photos.mkdir()
    place = copy_notebooks(photos)
    first = nbformat.read(place / "01_find_duplicates.ipynb", as_version=4)
    namespace: dict[str, str] = {}
    exec(code_cells(first)[0], namespace)
    assert namespace["FOLDER"] == str(photos)
    first.cells[0].source = "my own words"
    nbformat.write(first, place / "01_find_duplicates.ipynb")
    assert copy_notebooks(photos) == place
    assert nbformat.read(place / "01_find_duplicates.ipynb", as_version=4).cells[0].source == "my own words"


def test_a_copy_of_another_version_is_kept_under_another_name(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    place = copy_notebooks(photos)
    old = nbformat.read(place / "01_find_duplicates.ipynb", as_version=4)
    old.metadata["dupkit"]["version"] = "0.0.1"
    nbformat.write(old, place / "01_find_duplicates.ipynb")
    copy_notebooks(photos)
    assert (place / "01_find_duplicates (dupkit 0.0.1).ipynb").exists()
    assert nbformat.read(place / "01_find_duplicates.ipynb", as_version=4).metadata["dupkit"]["version"] != "0.0.1"


def test_two_folders_of_one_name_have_notebooks_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a" / "photos").mkdir(parents=True)
    (tmp_path / "b" / "photos").mkdir(parents=True)
    assert copy_notebooks(tmp_path / "a" / "photos") != copy_notebooks(tmp_path / "b" / "photos")


def test_a_folder_whose_name_is_no_utf8_is_filled_in(tmp_path: Path) -> None:
    photos = Path(os.fsdecode(os.fsencode(tmp_path) + b"/not\xffutf8"))
    photos.mkdir()
    first = nbformat.read(copy_notebooks(photos) / "01_find_duplicates.ipynb", as_version=4)
    namespace: dict[str, str] = {}
    exec(code_cells(first)[0], namespace)
    assert os.fsencode(namespace["FOLDER"]) == os.fsencode(photos)


def test_a_notebook_without_a_folder_line_is_refused() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")])
    with pytest.raises(ValueError, match="'FOLDER = '"):
        fill_in_folder(notebook, "x")
    with pytest.raises(ValueError, match="no code cell"):
        fill_in_folder(nbformat.v4.new_notebook(), "x")
