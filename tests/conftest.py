"""What every test gets: state and cache folders of its own, the shared photos, one way to say it cannot run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(os.environ.get("DUPKIT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")).absolute()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and cache of a test lie in its own temporary folder, never in the user's."""
    monkeypatch.setenv("DUPKIT_STATE", str(tmp_path / ".dupkit-state"))
    monkeypatch.setenv("DUPKIT_CACHE", str(tmp_path / ".dupkit-cache"))


def need(condition: object, reason: str) -> None:
    """Skip the test with a reason where the machine lacks something; fail it where DUPKIT_ALL_TESTS=1 forbids skips."""
    if condition:
        return
    if os.environ.get("DUPKIT_ALL_TESTS") == "1":
        pytest.fail(f"DUPKIT_ALL_TESTS=1 allows no skip, but: {reason}")
    pytest.skip(reason)


@pytest.fixture
def photos() -> Path:
    """The folder of real photos with ground truth beside it (`photos.parent`)."""
    folder = SHARED_DATA / "dev-photos" / "files"
    need(folder.is_dir(), f"the photos are not at {folder}")
    return folder


@pytest.fixture
def bad_files() -> Path:
    """The folder of odd, broken and hostile image files."""
    folder = SHARED_DATA / "dev-bad" / "files"
    need(folder.is_dir(), f"the hostile files are not at {folder}")
    return folder
