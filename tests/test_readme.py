"""The README cannot rot: its code runs, its options exist, its tables are the schema's, its pictures are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dupkit.cli import _parser
from dupkit.demo import write_demo
from dupkit.schema import TABLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "\n".join(blocks("sh")).splitlines()
    return [line.split("dupkit ", 1)[1].split("  #")[0] for line in lines if re.search(r"(^|run )dupkit ", line)]


def test_start_has_exactly_two_commands() -> None:
    start = README.split("## Start")[1].split("\n## ")[0]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", start, flags=re.MULTILINE | re.DOTALL)).splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("dupkit lab")
    assert " pytest " in lines[1]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_parses(command: str) -> None:
    if command.strip() != "--version":
        _parser().parse_args(shlex.split(command))


def test_every_command_and_option_of_the_parser_is_in_the_readme() -> None:
    (subparsers,) = (action for action in _parser()._actions if action.dest == "command")
    for name, parser in subparsers.choices.items():
        assert re.search(rf"dupkit {name}\b", README), name
        for action in parser._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or option in README, f"{name} {option}"


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dupkit.demo.N_ORIGINALS", 4)
    monkeypatch.chdir(tmp_path)
    write_demo(tmp_path / "Pictures")
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_lists_every_column_of_every_table(name: str) -> None:
    table = TABLES[name]
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    if name == "histograms":
        assert "r_000 ... b_255" in row
    else:
        assert f"| {', '.join(table.column_names)} |" in row


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_to_a_file(target: str) -> None:
    assert target.startswith("http") or (ROOT / target).exists()
