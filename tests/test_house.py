"""The house of the design, held by reading the imports: who may know whom, who may open or draw, at what cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dupkit"
MODULES = sorted(PACKAGE.rglob("*.py"))

GROUND = {"schema", "at", "handles", "files", "folders", "database", "cells"}
MAY_IMPORT = {
    "schema": set(),
    "handles": set(),
    "at": {"handles"},
    "files": {"at"},
    "cells": set(),
    "folders": set(),
    "database": {"folders"},
    "demo": {"folders"},
    "scan": GROUND,
    "pairs": GROUND,
    "moves": GROUND,
    "review": GROUND | {"pairs"},
    "report": GROUND,
    "applying": {"scan", "moves"},
    "widgets": GROUND | {"scan", "review", "moves", "report"},
    "lab": GROUND | {"demo"},
    "commands": GROUND | {"scan", "pairs", "review", "moves", "report", "demo", "lab"},
    "cli": {"commands", "moves"},
    "__main__": {"cli"},
}


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(module: Path) -> None:
    room = room_of(module)
    if room == "__init__":
        return
    known = {name.split(".")[1] for name in imports_of(module) if name.startswith("dupkit.")}
    assert known - {room, "__version__", *(n for n in known if not _is_room(n))} <= MAY_IMPORT[room]


def _is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def test_modules_of_the_package_form_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    names = {".".join(("dupkit", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in MODULES}
    for name, path in names.items():
        if name.endswith("__init__"):
            continue  # they resolve their names on first use
        graph[name] = {
            target for target in names if any(i == target or i.startswith(target + ".") for i in imports_of(path))
        }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"cycle: {' -> '.join((*trail, name))}"
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("ipywidgets", ("widgets/",)),
        ("anywidget", ("widgets/",)),
        ("matplotlib", ("report/plots",)),
        ("sqlite3", ("database.py", "moves/", "review/")),
        ("pickle", ()),
        ("requests", ()),
        ("urllib.request", ()),
        ("http", ()),
    ],
)
def test_only_one_place_imports_a_library(library: str, allowed: tuple[str, ...]) -> None:
    for module in MODULES:
        if any(name == library or name.startswith(library + ".") for name in imports_of(module)):
            assert str(module.relative_to(PACKAGE)).startswith(allowed or ("nowhere",)), f"{module} imports {library}"


def test_only_decode_opens_pictures() -> None:
    for module in MODULES:
        if module == PACKAGE / "scan" / "decode.py":
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "open" and isinstance(node.value, ast.Name):
                assert node.value.id not in ("Image", "PIL"), f"{module}:{node.lineno} opens a picture"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short_and_well_named(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400
    assert module.stem not in {"utils", "util", "helpers", "core", "common", "misc", "io", "types"}


def test_static_files_of_the_page_are_short() -> None:
    for static in (PACKAGE / "widgets" / "static").iterdir():
        assert len(static.read_text(encoding="utf-8").splitlines()) <= 400, static.name


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import dupkit", "numpy pandas PIL dask scipy matplotlib ipywidgets"),
        ("import dupkit.cli", "numpy pandas PIL dask scipy matplotlib ipywidgets jupyterlab"),
        ("import dupkit.scan.decode", "pandas dask scipy pyarrow matplotlib"),
        ("from dupkit.moves import apply, journal, undo", "numpy pandas PIL dask scipy"),
        ("import dupkit.review.state", "ipywidgets anywidget matplotlib"),
    ],
)
def test_an_import_costs_only_what_it_needs(statement: str, absent: str) -> None:
    code = f"{statement}; import sys; print(*[name for name in {absent.split()!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []


def test_every_public_name_of_dupkit_resolves_and_is_documented() -> None:
    import dupkit

    for name in dupkit.__all__:
        value = getattr(dupkit, name)
        assert name == "__version__" or value.__doc__
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        dupkit.absent  # noqa: B018
