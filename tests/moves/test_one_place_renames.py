"""Only moves/rename.py renames or removes a user's file: the source of every other module is read."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "dupkit"

REMOVES = frozenset(
    ["rename", "renames", "replace", "unlink", "remove", "removedirs", "rmdir", "rmtree", "move", "truncate"]
)
"""Functions of os and shutil that rename or remove files."""

OWN_FILES = {
    "moves/rename.py": "the one place",
    "moves/selftest.py": "its own folder",
    "moves/trial.py": "its own files",
    "scan/cache.py": "the cache",
    "scan/parts.py": "the cache",
    "scan/store.py": "the cache",
    "report/tables.py": "a report, written beside its place",
    "report/html.py": "a report, written beside its place",
    "review/exchange.py": "the CSV of decisions, written beside its place",
    "lab.py": "the notebook's copy",
    "demo.py": "the demo album",
}
"""Modules that may rename or remove files, and which: what dupkit itself wrote, but for the first."""


def calls(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of = node.func.value
        module = of.id if isinstance(of, ast.Name) else ""
        name = node.func.attr
        if module in ("os", "shutil") and name in REMOVES:
            found.append((node.lineno, f"{module}.{name}"))
        # A Path's method; str.replace takes two arguments, Path.replace one, dataclasses.replace is no attribute.
        elif name in ("unlink", "rmdir", "rename", "hardlink_to") and module not in ("os", "shutil"):
            found.append((node.lineno, f".{name}"))
        elif name == "replace" and len(node.args) == 1 and not node.keywords:
            found.append((node.lineno, ".replace"))
    return found


def test_only_rename_touches_a_users_files() -> None:
    guilty = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        found = calls(path)
        if found and name not in OWN_FILES:
            guilty[name] = found
    assert guilty == {}


def test_no_room_moves_a_file_by_shutil_or_removes_a_tree_of_the_users() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        words = {call for _, call in calls(path)}
        assert "shutil.move" not in words, name
        assert "os.rename" not in words, name
        assert "os.removedirs" not in words, name


def test_the_rule_sees_what_it_forbids(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import os, shutil\nos.replace(a, b)\nshutil.move(a, b)\np.unlink()\n'x'.replace('a', 'b')\n")
    assert [call for _, call in calls(module)] == ["os.replace", "shutil.move", ".unlink"]
