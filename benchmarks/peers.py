"""Other tools' answers to "which of these files are the same picture?", where the tools are installed.

Each function takes a folder of files and returns pairs of file names. A tool that is not installed raises ImportError.
Distances are the tools' own defaults or what their documentation recommends for near duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

Pair = tuple[str, str]

CZKAWKA_SIMILARITY = 10
"""Bits of 64 that two hashes may differ in: "medium" in czkawka's window."""

PHASH_DISTANCE = 10
"""imagededup's default ``max_distance_threshold``."""

FASTDUP_THRESHOLD = 0.9
"""fastdup's cosine similarity for near duplicates."""


def pair_of(first: str, second: str) -> Pair:
    """Return two names in order."""
    return (first, second) if first < second else (second, first)


def czkawka_pairs(folder: Path) -> set[Pair]:
    """Return what czkawka groups: every pair of a group."""
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    finder.set_directories([folder])
    finder.set_similarity(CZKAWKA_SIMILARITY)
    groups = [[path.name for path in group] for group in finder.find_similar()]
    return {pair_of(*pair) for group in groups for pair in combinations(group, 2)}


def imagededup_pairs(folder: Path) -> set[Pair]:
    """Return what imagededup's pHash finds."""
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(str(folder), max_distance_threshold=PHASH_DISTANCE)
    return {pair_of(name, other) for name, others in found.items() for other in others}


def perception_pairs(folder: Path) -> set[Pair]:
    """Return what perception's PHash finds at its documented threshold."""
    from perception import hashers, tools

    dedupe = tools.deduplicate([str(path) for path in sorted(folder.iterdir())], hashers=[(hashers.PHash(), 0.2)])
    return {pair_of(Path(first).name, Path(second).name) for first, second in dedupe}


def fastdup_pairs(folder: Path) -> set[Pair]:
    """Return what fastdup calls similar from its near-duplicate threshold on."""
    import tempfile

    import fastdup

    with tempfile.TemporaryDirectory() as work:
        run = fastdup.create(work_dir=work, input_dir=str(folder))
        run.run(ccthreshold=FASTDUP_THRESHOLD, print_summary=False)
        table = run.similarity()
    near = table[table["distance"] >= FASTDUP_THRESHOLD]
    names = zip(near["filename_from"], near["filename_to"], strict=True)
    return {pair_of(Path(first).name, Path(second).name) for first, second in names}


PEERS: Mapping[str, Callable[[Path], set[Pair]]] = {
    "czkawka": czkawka_pairs,
    "imagededup pHash": imagededup_pairs,
    "perception pHash": perception_pairs,
    "fastdup": fastdup_pairs,
}
"""The tools by name."""
