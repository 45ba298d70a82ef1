"""How many altered copies are found, and how many false pairs come with them.

From any folder of distinct photos::

    python -m benchmarks.quality PHOTOS --seed 2 --photos 1000 --files 4566
    python -m benchmarks.quality PHOTOS --kinds all --half odd --curve curve.csv
    python -m benchmarks.quality --labels FILES groundtruth_pairs.csv

The first form writes seeded altered copies beside the originals into a temporary folder, runs dupkit and the peers on
it and prints recall by kind of alteration, false pairs, precision, the share of photos whose files all come together in
one group, groups that mix photos, and seconds. ``--half odd`` and ``--half even`` split
the photos, by a hash of their names, into those that thresholds were chosen on and those that are reported.
``--curve`` writes recall and false pairs for every threshold of structure. The last form scores a labelled set.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from benchmarks.alterations import FIGURES_KINDS, KINDS, altered_copy, photo_seed
from benchmarks.peers import PEERS, Pair, pair_of

ORIGINAL = "original"
"""Kind of a file that is the photo itself."""

MOST_PIXELS = 500
"""Longer side that photos are reduced to before they are altered, as the sets of DESIGN.md section 6 were."""


@dataclass
class Album:
    """Files and what they are.

    Attributes
    ----------
    folder : Path
        Where the files lie.
    photo, kind : dict
        The photo that each file is made of, and how.
    """

    folder: Path
    photo: dict[str, str] = field(default_factory=dict)
    kind: dict[str, str] = field(default_factory=dict)

    def true_pairs(self) -> Iterable[Pair]:
        """Give every pair of files of one photo."""
        files = defaultdict(list)
        for name in sorted(self.photo):
            files[self.photo[name]].append(name)
        for names in files.values():
            yield from combinations(names, 2)


def write_album(album: Album, photos: list[Path], kinds: tuple[str, ...], seed: int, files: int | None) -> None:
    """Write each photo and altered copies of it into the album's folder.

    Without ``files`` each photo gets one copy of every kind; with it, each gets some kinds, drawn by the seed, so that
    there are about so many files in all.
    """
    share = 1.0 if files is None else max(0.0, (files - len(photos)) / (len(photos) * len(kinds)))
    jobs = []
    for path in photos:
        draw = np.random.default_rng(photo_seed(seed, path.name)).random(len(kinds))
        chosen = tuple(kind for kind, number in zip(kinds, draw, strict=True) if number < share)
        jobs.append((path, str(album.folder), chosen, seed))
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for path, written in zip(photos, workers.map(_write_photo, jobs, chunksize=8), strict=True):
            for name, kind in written:
                album.photo[name], album.kind[name] = path.name, kind


def _write_photo(job: tuple[Path, str, tuple[str, ...], int]) -> list[tuple[str, str]]:
    path, folder, kinds, seed = job
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    stem = path.stem.replace(".", "_")
    written = [(f"{stem}.jpg", ORIGINAL)]
    picture.save(Path(folder, written[0][0]), quality=95)
    for kind in kinds:
        rng = np.random.default_rng(photo_seed(seed, path.name + kind))
        extension, data = altered_copy(picture, kind, rng)
        name = f"{stem}.{kind}.{extension}"
        Path(folder, name).write_bytes(data)
        written.append((name, kind))
    return written


def describe(folder: Path, seconds: dict[str, float]) -> pd.DataFrame:
    """Return dupkit's described pairs of a folder with the file names; adds the seconds of the two halves."""
    import dupkit

    begin = time.perf_counter()
    images, histograms = dupkit.compute_histograms(dupkit.scan_folder(folder), progress=False)
    pairs = dupkit.candidate_pairs(histograms, progress=False)
    seconds["dupkit, RMS < 500"] = time.perf_counter() - begin
    thumbnails = dupkit.read_thumbnails(images)
    pairs = dupkit.propose_pairs(pairs, histograms, thumbnails, images=images, progress=False)
    pairs = dupkit.describe_pairs(pairs, images, thumbnails, pixel_hashes=dupkit.pixel_hashes)
    seconds["dupkit, verdict"] = time.perf_counter() - begin
    paths = images["path"]
    return pairs.assign(a=paths.loc[pairs["image_a"]].to_numpy(), b=paths.loc[pairs["image_b"]].to_numpy())


def answers_of(folder: Path, seconds: dict[str, float], *, peers: bool) -> tuple[dict[str, set[Pair]], pd.DataFrame]:
    """Return each tool's pairs of file names, and dupkit's described pairs."""
    from dupkit.pairs import SAME_VERDICTS

    described = describe(folder, seconds)
    same = described["verdict"].isin(SAME_VERDICTS)
    close = (described["rms"] < 500) & (described["proposed_by"] == "rms")
    answers = {
        "dupkit, verdict": _names(described[same]),
        "dupkit, RMS < 500": _names(described[close]),
    }
    for name, find in PEERS.items() if peers else ():
        begin = time.perf_counter()
        try:
            answers[name] = find(folder)
        except ImportError:
            print(f"{name}: not installed, left out")
            continue
        seconds[name] = time.perf_counter() - begin
    return answers, described


def _names(pairs: pd.DataFrame) -> set[Pair]:
    return {pair_of(first, second) for first, second in zip(pairs["a"], pairs["b"], strict=True)}


def print_scores(album: Album, answers: dict[str, set[Pair]], seconds: dict[str, float]) -> None:
    """Print recall by kind against the original, false pairs, precision and seconds of each tool."""
    originals = {album.photo[name]: name for name, kind in album.kind.items() if kind == ORIGINAL}
    copies = defaultdict(list)
    for name, kind in album.kind.items():
        if kind != ORIGINAL:
            copies[kind].append(pair_of(name, originals[album.photo[name]]))
    rows = {}
    for tool, found in answers.items():
        recall = {kind: sum(pair in found for pair in pairs) / len(pairs) for kind, pairs in copies.items()}
        true = sum(album.photo[first] == album.photo[second] for first, second in found)
        rows[tool] = {
            **recall,
            "mean recall": float(np.mean([*recall.values()])) if recall else float("nan"),
            "false pairs": len(found) - true,
            "precision": true / len(found) if found else float("nan"),
            **_group_scores(album, found),
            "seconds": seconds[tool],
        }
    n_files = len(album.photo)
    print(f"{n_files} files of {len(originals)} photos, {n_files * (n_files - 1) // 2:,} pairs")
    print(pd.DataFrame(rows).to_string(float_format=lambda number: f"{number:.3f}"))
    for first, second in sorted(
        pair for pair in answers["dupkit, verdict"] if album.photo[pair[0]] != album.photo[pair[1]]
    ):
        print(f"false: {first}  {second}")


def _group_scores(album: Album, found: set[Pair]) -> dict[str, float]:
    # A review works on groups: one pair missed may not matter there, and one false pair joins two photos.
    groups = _groups_of(found)
    joined = {name: number for number, names in enumerate(groups) for name in names}
    photos = [names for names in _groups_of(album.true_pairs()) if len(names) > 1]
    whole = sum(len({joined.get(name, name) for name in names}) == 1 for names in photos)
    mixed = sum(len({album.photo[name] for name in names}) > 1 for names in groups)
    return {"groups whole": whole / len(photos) if photos else float("nan"), "groups mixed": mixed}


def write_curve(path: Path, described: pd.DataFrame, same: Callable[[str, str], bool | None]) -> None:
    """Write recall and false pairs for every threshold of structure, whole pictures and crops apart.

    Recall is of the true pairs that were proposed; ``same`` says None for pairs that are not to be scored.
    """
    truth = [same(first, second) for first, second in zip(described["a"], described["b"], strict=True)]
    scored = described.assign(truth=truth).dropna(subset=["structure", "truth"])
    cropped = scored["transform"].str.contains("cropped", na=False)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["cropped", "threshold", "recall", "true_pairs", "false_pairs"])
        for name, part in (("no", scored[~cropped]), ("yes", scored[cropped])):
            true = part["truth"].astype(bool)
            for threshold in np.arange(0.4, 1.0, 0.01).round(2):
                above = part["structure"] >= threshold
                n_true = int((above & true).sum())
                n_false = int((above & ~true).sum())
                writer.writerow([name, threshold, n_true / max(1, int(true.sum())), n_true, n_false])


def print_labelled(labels: Path, answers: dict[str, set[Pair]], seconds: dict[str, float]) -> None:
    """Print how each tool answers labelled pairs, by pair and kind, and by group of duplicates."""
    with labels.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] != "uncertain"]
    true = {pair_of(row["a"], row["b"]) for row in rows if row["label"] in ("duplicate", "transformed")}
    different = {pair_of(row["a"], row["b"]) for row in rows if row["label"] == "different"}
    groups = _groups_of(true)
    for tool, found in answers.items():
        hits = Counter((row["label"], row.get("kind", "")) for row in rows if pair_of(row["a"], row["b"]) in found)
        total = Counter((row["label"], row.get("kind", "")) for row in rows)
        joined = {name: number for number, names in enumerate(_groups_of(found)) for name in names}
        whole = sum(len({joined.get(name, name) for name in names}) == 1 for names in groups)
        print(f"\n{tool}: {seconds[tool]:.1f} s")
        print(f"  true pairs found {len(true & found)} of {len(true)}; of the different {len(different & found)}")
        print(f"  groups found whole {whole} of {len(groups)}")
        for label, kind in sorted(total):
            print(f"  {label:12} {kind:40} {hits[label, kind]:4} of {total[label, kind]}")


def _groups_of(pairs: Iterable[Pair]) -> list[set[str]]:
    groups: dict[str, set[str]] = {}
    for first, second in pairs:
        together = groups.get(first, {first}) | groups.get(second, {second})
        for name in together:
            groups[name] = together
    return [*{id(names): names for names in groups.values()}.values()]


def _photos_in(folder: Path, half: str, limit: int | None) -> list[Path]:
    extensions = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions)
    if half != "all":
        found = [path for path in found if photo_seed(0, path.name) % 2 == (half == "odd")]
    return found[:limit]


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_folder", nargs="?", type=Path, help="folder of distinct photos")
    parser.add_argument("--seed", type=int, default=1, help="decides every alteration")
    parser.add_argument("--kinds", default="figures", help="'figures' (ten), 'all', or names with commas between")
    parser.add_argument("--photos", type=int, help="use the first so many photos")
    parser.add_argument("--files", type=int, help="draw kinds until there are about so many files")
    parser.add_argument("--half", choices=("all", "odd", "even"), default="all", help="which photos")
    parser.add_argument("--no-peers", action="store_true", help="dupkit only")
    parser.add_argument("--curve", type=Path, help="CSV of recall and false pairs by threshold of structure")
    parser.add_argument("--labels", nargs=2, type=Path, metavar=("FILES", "CSV"), help="score a labelled set")
    options = parser.parse_args(arguments)
    if not options.labels and not options.photos_folder:
        parser.error("name a folder of photos, or --labels FILES CSV")
    with tempfile.TemporaryDirectory() as work:
        # The cache and state of a benchmark are its own: a warm cache would measure something else.
        os.environ["DUPKIT_CACHE"], os.environ["DUPKIT_STATE"] = f"{work}/cache", f"{work}/state"
        seconds: dict[str, float] = {}
        if options.labels:
            answers, _ = answers_of(options.labels[0], seconds, peers=not options.no_peers)
            print_labelled(options.labels[1], answers, seconds)
            return
        kinds = {"figures": FIGURES_KINDS, "all": KINDS}.get(options.kinds) or tuple(options.kinds.split(","))
        album = Album(Path(work, "album"))
        album.folder.mkdir()
        photos = _photos_in(options.photos_folder, options.half, options.photos)
        write_album(album, photos, kinds, options.seed, options.files)
        answers, described = answers_of(album.folder, seconds, peers=not options.no_peers)
        print_scores(album, answers, seconds)
        if options.curve:
            write_curve(options.curve, described, lambda first, second: album.photo[first] == album.photo[second])


if __name__ == "__main__":
    sys.exit(main())
