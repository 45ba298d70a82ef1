"""What each command of the command line does: the stages in their order, with a summary in words."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dupkit
from dupkit.files import display_path

if TYPE_CHECKING:
    import pandas as pd

    from dupkit.moves import Outcome

# A command imports its stages when it runs: `dupkit undo --list` must not wait for pandas, scipy and dask.

DONE, SOME_FAILED, REFUSED = 0, 1, 2
"""Exit codes: everything done, whatever bad files there were; a move failed; nothing was begun."""

DEFAULT_REPORT = "dupkit-report"
"""Folder of the report, in the current folder, where --out is not given."""


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start


@contextmanager
def _dask(scheduler: str) -> Iterator[str | None]:
    """Give what the stages take as their scheduler: a cluster's client is active while the block runs."""
    if "://" not in scheduler:
        yield scheduler
        return
    from distributed import Client

    with Client(scheduler):  # type: ignore[no-untyped-call]
        yield None


def _thresholds(options: argparse.Namespace) -> tuple[float, float]:
    """Return the threshold and max_rms of a run, the measure's own where not given."""
    from dupkit.pairs import MEASURES

    measure = MEASURES[options.measure]
    threshold = measure.threshold if options.threshold is None else options.threshold
    if options.max_rms is None:
        return threshold, max(measure.max_rms, threshold)
    if options.max_rms < threshold:
        msg = (
            f"--max-rms {options.max_rms:g} is below the threshold {threshold:g}; "
            "it must be at least the threshold: raise it, or lower --threshold"
        )
        raise ValueError(msg)
    return threshold, options.max_rms


def _read_images(
    options: argparse.Namespace, seconds: dict[str, float], scheduler: str | None
) -> tuple[pd.DataFrame, ...]:
    with _timed(seconds, "scan"):
        files = dupkit.scan_folder(options.folder, exclude=options.exclude, reference=options.reference)
    with _timed(seconds, "histograms"):
        images, histograms = dupkit.compute_histograms(files, sampling=options.sampling, scheduler=scheduler)
        return images, histograms, dupkit.read_thumbnails(images)


def _find_pairs(
    options: argparse.Namespace,
    tables: Sequence[pd.DataFrame],
    seconds: dict[str, float],
    scheduler: str | None,
    *,
    below: float,
) -> pd.DataFrame:
    """Return the described pairs whose distance is below a bound, and those beside them that structure proposes."""
    from dupkit.review.keepers import in_reference

    images, histograms, thumbnails = tables
    with _timed(seconds, "pairs"):
        old = in_reference(images.loc[histograms.index])
        old_ids = histograms.index[old]
        pairs = dupkit.candidate_pairs(
            histograms, max_rms=below, measure=options.measure, old_ids=old_ids, scheduler=scheduler
        )
    with _timed(seconds, "structure"):
        pairs = dupkit.propose_pairs(pairs, histograms, thumbnails, images=images, old_ids=old_ids)
        pairs = dupkit.describe_pairs(pairs, images, thumbnails, pixel_hashes=dupkit.pixel_hashes)
    return dupkit.confirmed_pairs(pairs)


def run_scan(options: argparse.Namespace) -> int:
    """Write the pairs below the threshold and the other tables, and print what was found."""
    from dupkit.report.tables import check_report_folder

    out = options.out or Path(DEFAULT_REPORT)
    threshold, max_rms = _thresholds(options)
    if options.out is None and options.folder.resolve() in (out.resolve(), *out.resolve().parents):
        msg = f"the report {out.resolve()} would lie among the photos; name another folder with --out"
        raise ValueError(msg)
    check_report_folder(out)
    seconds: dict[str, float] = {}
    with _dask(options.scheduler) as scheduler:
        tables = _read_images(options, seconds, scheduler)
        images, histograms, _ = tables
        pairs = _find_pairs(options, tables, seconds, scheduler, below=threshold)
        with _timed(seconds, "counts"):
            counts = dupkit.rms_counts(histograms, measure=options.measure, max_rms=max_rms)
    if options.verdict:
        pairs = pairs[pairs["verdict"].isin(options.verdict)].reset_index(drop=True)
    groups = dupkit.group_pairs(pairs[pairs["rms"] < threshold].reset_index(drop=True), images, threshold=threshold)
    parameters = {
        "folder": display_path(os.fsencode(options.folder.resolve())),
        "measure": options.measure,
        "sampling": options.sampling,
        "threshold": threshold,
        "max_rms": max_rms,
        "exclude": options.exclude,
        "reference": [display_path(os.fsencode(folder)) for folder in options.reference],
        "verdict": options.verdict or [],
        "scheduler": options.scheduler,
    }
    manifest = dupkit.write_report(
        out, images=images, pairs=pairs, groups=groups, rms_counts=counts, parameters=parameters, seconds=seconds
    )
    _print_summary(images, pairs, groups, threshold, options.measure)
    print(f"{sum(seconds.values()):.1f} s; {manifest.parent}{os.sep}images.csv, pairs.csv, groups.csv, rms_counts.csv")
    return DONE


def _print_summary(
    images: pd.DataFrame, pairs: pd.DataFrame, groups: pd.DataFrame, threshold: float, measure: str
) -> None:
    from dupkit.files import size_words
    from dupkit.scan import problems

    faults = problems(images)
    unreadable = int(faults["n_files"].sum())
    print(f"{len(images):,} images · {unreadable:,} unreadable · {images.attrs['other_files']:,} other files")
    for reason, count in zip(faults["reason"], faults["n_files"], strict=True):
        print(f"  {count:6,}  {reason}")
    below = pairs[pairs["rms"] < threshold]
    moving = groups[~groups["is_keeper"]]
    size = size_words(int(images.loc[moving["image_id"], "size_bytes"].sum()))
    exact = int((below["kind"] == "exact").sum())
    n_groups = groups["group_id"].nunique()
    print(
        f"{len(below):,} pairs below {measure} {threshold:g} ({exact:,} exact) · {n_groups:,} groups · "
        f"{len(moving):,} files ({size}) beside their keepers"
    )
    if pairs.attrs["max_rms"] < threshold:
        print(f"  so many pairs that only those below {pairs.attrs['max_rms']:g} are listed; all of these are")
    for verdict, count in pairs["verdict"].value_counts().items():
        print(f"  {count:6,}  {verdict}")
    beyond = len(pairs) - len(below)
    if beyond:
        print(f"  {beyond:,} of them have another histogram and were proposed by structure")


def run_lab(options: argparse.Namespace) -> int:
    """Open JupyterLab on a folder, or on the demo album."""
    from dupkit.demo import demo_album
    from dupkit.lab import open_lab

    folder = options.folder or demo_album()

    def announce(url: str) -> None:
        print(url, flush=True)
        shown = display_path(os.fsencode(folder))
        print(f"JupyterLab shows {shown} and listens on this machine only; Ctrl-C twice ends it", flush=True)

    open_lab(folder, announce=announce, port=options.port, browser=not options.no_browser)
    return DONE


def run_demo(options: argparse.Namespace) -> int:
    """Write the demo album and print the path of its truth."""
    print(dupkit.write_demo(options.folder))
    return DONE


def run_plan(options: argparse.Namespace) -> int:
    """Print the moves that the approved pairs lead to and the plan's id; move nothing."""
    import pandas as pd

    from dupkit.files import size_words
    from dupkit.moves import save_plan
    from dupkit.review import ReviewState

    threshold, max_rms = _thresholds(options)
    if options.decisions is not None and not options.decisions.is_file():
        msg = f"--decisions {options.decisions} is not there; name a CSV file that a review exported"
        raise FileNotFoundError(msg)
    with _dask(options.scheduler) as scheduler:
        tables = _read_images(options, {}, scheduler)
        pairs = _find_pairs(options, tables, {}, scheduler, below=max_rms)
    images, histograms, _ = tables
    state = ReviewState(images, histograms, pairs)
    if options.decisions is not None:
        conflicts = state.import_csv(options.decisions)
        for line in conflicts.to_string(index=False).splitlines() if len(conflicts) else ():
            print(f"decided differently: {line}", file=sys.stderr)
    if options.approve is None:
        approved, groups = state.approved_pairs(), state.approved_groups()
    else:
        chosen = {
            "same-bytes": pairs["same_bytes"].fillna(False).astype(bool),
            "exact": pairs["kind"] == "exact",
            "below-threshold": (pairs["rms"] < threshold) & (pairs["proposed_by"] != "structure"),
        }[options.approve]
        # What a person rejected stays rejected, whatever the option says.
        rejected = pd.Series([state.decision_of(row) == "rejected" for row in range(len(pairs))], dtype=bool)
        approved = pairs[chosen & ~rejected].reset_index(drop=True)
        groups = dupkit.group_pairs(approved, images, threshold=None, keeper_rules=state.keeper_rules)
    moves = dupkit.plan_moves(groups, approved, images)
    _print_moves(moves)
    planned = moves[moves["status"] == "planned"]
    size = size_words(int(planned["size_bytes"].sum()))
    print(f"{len(planned):,} files ({size}) would move; nothing has moved. A move within one disk frees no bytes.")
    print(f"plan {save_plan(moves)}")
    return DONE


def _print_moves(moves: pd.DataFrame) -> None:
    if not len(moves):
        print("no approved pairs, so nothing would move; approve pairs in a review, or give --approve")
    for move in moves.itertuples():
        if move.status == "planned":
            print(f"{move.source}\n    -> {move.destination}\n    keeps {move.keeper}")
        else:
            print(f"{move.source}\n    stays: {move.message}")


def run_apply(options: argparse.Namespace) -> int:
    """Do the moves of a plan; 1 where one failed, 2 where a number must be confirmed and no terminal can ask for it."""
    from dupkit.moves import ConfirmationNeededError, apply_plan
    from dupkit.scan import check_decodes

    try:
        outcome = apply_plan(options.plan_id, confirm=options.confirm, decode_check=check_decodes)
    except ConfirmationNeededError as error:
        if options.confirm is not None or not sys.stdin.isatty():
            raise
        print(error)
        answer = input(f"Type {error.n_moves} to go on, anything else to leave every file where it is: ").strip()
        if answer != str(error.n_moves):
            print("nothing has moved")
            return REFUSED
        outcome = apply_plan(options.plan_id, confirm=error.n_moves, decode_check=check_decodes)
    return _print_outcome(outcome, "moved")


def run_undo(options: argparse.Namespace) -> int:
    """Move the files of a plan back, or list the plans; 1 where a move back failed."""
    from dupkit.moves import list_plans, recover, undo_plan

    if not options.list:
        return _print_outcome(undo_plan(options.plan_id), "undone")
    for line in recover():
        print(line)
    plans = list_plans()
    if not plans:
        print("no plans yet")
    for plan in plans:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(plan.counts.items()))
        print(f"plan {plan.plan_id}  {plan.made_at}  {display_path(plan.root)}  {counts or 'no moves'}")
    return DONE


def _print_outcome(outcome: Outcome, done: str) -> int:
    for line in (*outcome.recovered, *outcome.notes):
        print(line)
    for move in () if outcome.already_done else outcome.moves:
        if move.shown_status != done or move.message:
            print(f"{move.shown_status}: {display_path(move.source)}{': ' if move.message else ''}{move.message}")
    statuses = (done, "skipped", "failed")
    print(" · ".join(f"{outcome.count(status):,} {status}" for status in statuses))
    return SOME_FAILED if outcome.count("failed") else DONE


def run_cache(options: argparse.Namespace) -> int:
    """Say what the cache holds, or empty it."""
    from dupkit.scan import cache_info, clear_cache

    if options.clear:
        clear_cache()
    print(cache_info())
    return DONE


def run_selftest(options: argparse.Namespace) -> int:
    """Try the moves' guarantees on the user's own disk and say what it guarantees; 1 where apply is not safe there."""
    from dupkit.moves import self_test

    result = self_test(options.folder)
    print(result)
    return DONE if result.passed else SOME_FAILED
