"""The command line: dupkit scan | lab | demo | plan | apply | undo | cache | selftest."""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

import dupkit
from dupkit import commands
from dupkit.moves.failures import describe_failure

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a move failed, or what was done could not be said; nothing was begun; Ctrl-C."""

# The words of the pairs table; written here too, because a parser must not import pandas to print its help.
MEASURE_NAMES = ("rms", "hellinger")
SAMPLING_NAMES = ("fast", "original")
VERDICT_NAMES = ("same bytes", "same pixels", "same picture", "look-alike", "unsure")
APPROVE_NAMES = ("same-bytes", "exact", "below-threshold")


_T = TypeVar("_T")


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line: what is wrong and where the help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; ``sys.argv[1:]`` where not given.

    Returns
    -------
    int
        0: done, whatever bad files there were; 1: a move failed, or the output could not be written; 2: a bad option,
        folder or plan, nothing was begun.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name or a sign that the terminal cannot show must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    output = sys.stdout
    try:
        with redirect_stdout(_Output(output)):
            code = int(options.run(options))
            sys.stdout.flush()
            return code
    except _OutputError as error:
        print(
            f"dupkit {options.command}: the output cannot be written ({error}); what was done stands", file=sys.stderr
        )
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), output.fileno())  # or Python tries once more as it ends
        return FAILED
    except (ValueError, OSError, RuntimeError) as error:
        # The rooms check their input before any work and say thing, value, allowed and remedy in one line.
        print(f"dupkit {options.command}: {' '.join(describe_failure(error).split())}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"dupkit {options.command}: interrupted; what was read is kept, run it again to go on", file=sys.stderr)
        return INTERRUPTED


class _OutputError(Exception):
    """Standard output is full or closed; what was done stands."""


class _Output(io.TextIOBase):
    """Standard output, whose errors are not taken for those of a command."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._tried(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._tried(self._stream.flush)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def _tried(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except OSError as error:
            raise _OutputError(error.strerror) from error


# ---- options ----


def _parser() -> _Parser:
    parser = _Parser(
        prog="dupkit",
        description="Find the duplicate photos of a folder. Nothing is moved before a plan is applied; nothing is "
        "deleted or overwritten; nothing leaves this machine.",
    )
    parser.add_argument("--version", action="version", version=f"dupkit {dupkit.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    scan = subparsers.add_parser("scan", help="find duplicate candidates and write them as CSV files")
    _add_scan_options(scan)
    scan.add_argument(
        "--out", type=Path, metavar="DIR", help=f"folder of the CSV files (default: ./{commands.DEFAULT_REPORT})"
    )
    scan.add_argument(
        "--verdict", action="append", choices=VERDICT_NAMES, metavar="VERDICT",
        help=f"write only pairs of this verdict ({', '.join(VERDICT_NAMES)}); may be given several times",
    )  # fmt: skip
    scan.set_defaults(run=commands.run_scan)

    lab = subparsers.add_parser("lab", help="open JupyterLab on a folder, or on a demo album")
    lab.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="folder of photos (default: a demo album)")
    lab.add_argument("--no-browser", action="store_true", help="only print the URL")
    lab.add_argument("--port", type=_port, metavar="P", help="TCP port on 127.0.0.1 (default: a free one from 8888 on)")
    lab.set_defaults(run=commands.run_lab)

    demo = subparsers.add_parser(
        "demo", help="write an album of painted pictures with planted duplicates and truth.csv"
    )
    demo.add_argument("folder", type=Path, metavar="DIR", help="an absent or empty folder")
    demo.set_defaults(run=commands.run_demo)

    plan = subparsers.add_parser("plan", help="print the moves that approved pairs lead to; moves nothing")
    _add_scan_options(plan)
    plan.add_argument(
        "--approve", choices=APPROVE_NAMES,
        help="approve pairs without a look: same-bytes (files equal byte for byte), exact (RMS 0), below-threshold; "
        "without it the decisions of the review count",
    )  # fmt: skip
    plan.add_argument(
        "--decisions", type=Path, metavar="FILE.csv", help="take in decisions exported from a review first"
    )
    plan.set_defaults(run=commands.run_plan)

    apply = subparsers.add_parser("apply", help="do the moves of a plan")
    apply.add_argument("plan_id", metavar="ID", help="the plan, as `dupkit plan` printed it")
    apply.add_argument("--confirm", type=_count, metavar="N", help="the number of moves, where the plan asks for it")
    apply.set_defaults(run=commands.run_apply)

    undo = subparsers.add_parser("undo", help="move the files of a plan back")
    undo.add_argument("plan_id", nargs="?", metavar="ID", help="the plan (default: the last one applied)")
    undo.add_argument("--list", action="store_true", help="list the plans and how far they were carried out")
    undo.set_defaults(run=commands.run_undo)

    cache = subparsers.add_parser("cache", help="say what the cache holds, or empty it")
    choice = cache.add_mutually_exclusive_group()
    choice.add_argument("--info", action="store_true", help="folder, size and number of pictures (the default)")
    choice.add_argument("--clear", action="store_true", help="delete the cache; the next scan reads every picture anew")
    cache.set_defaults(run=commands.run_cache)

    selftest = subparsers.add_parser("selftest", help="try the moves' guarantees on a disk with files of our own")
    selftest.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: current folder")
    selftest.set_defaults(run=commands.run_selftest)
    return parser


def _add_scan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of photos")
    parser.add_argument("--measure", choices=MEASURE_NAMES, default="rms", help="distance of histograms (default: rms)")
    parser.add_argument(
        "--sampling", choices=SAMPLING_NAMES, default="fast",
        help="fast (default), or original: bit for bit the 800x600 histogram of the original script",
    )  # fmt: skip
    parser.add_argument("--threshold", type=_distance, metavar="T", help="candidates have RMS < T (default: rms 500)")
    parser.add_argument(
        "--max-rms", type=_distance, metavar="M", help="search up to here (default: rms 1000, at least T)"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="leave out paths that match")
    parser.add_argument(
        "--reference", action="append", default=[], type=Path, metavar="FOLDER",
        help="folder of pictures that are never moved; only pairs with a new picture are searched",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", default="threads", type=_scheduler, metavar="S",
        help="threads (default), processes, synchronous, or a Dask cluster's address tcp://...",
    )  # fmt: skip


def _distance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        msg = f"{text!r} is no distance; give a number from 0 on, such as 500"
        raise argparse.ArgumentTypeError(msg)
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        msg = f"{text!r} is no number of moves; give a whole number from 0 on"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        msg = f"{text!r} is no port; give a whole number from 1 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _scheduler(text: str) -> str:
    if text not in ("threads", "processes", "synchronous") and not text.startswith(("tcp://", "tls://")):
        msg = f"{text!r} is no scheduler; give threads, processes, synchronous, or an address tcp://HOST:PORT"
        raise argparse.ArgumentTypeError(msg)
    return text
