"""Every test and trap that docs/safety.md names is there, and so is every number."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.mutants import MUTANTS
from tests.faults.traps import TRAPS

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "safety.md"


def test_each_named_test_exists() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (PROJECT / "tests").rglob("*.py"))
    promises = PAGE.read_text("utf-8").split("## The promises")[1].split("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split("|")[3])
        assert named, row
        for name in named:
            if name.endswith(".py"):
                assert (PROJECT / name).is_file(), name
            else:
                assert name in TRAPS or f"def {name}(" in tests, name


def test_the_number_of_mutants_is_right() -> None:
    assert len(MUTANTS) == 22
    assert "twenty-two ways" in PAGE.read_text("utf-8")
