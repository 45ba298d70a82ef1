"""Run many small tasks on whatever dask scheduler is active: in waves, with progress, stoppable between any two.

A wave is a few tenths of a second of tasks. Between waves the caller takes in what was found, so a later wave can do
with less, and a stop or an interrupt takes effect.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dask.config
import dask.local
import dask.multiprocessing
import dask.threaded
import numpy as np
from dask.base import compute, get_scheduler
from dask.delayed import delayed
from dask.system import CPU_COUNT
from numpy.typing import NDArray
from threadpoolctl import OpenBLASController, threadpool_limits
from tqdm.auto import tqdm

WAVE_SECONDS = 0.25
"""Aim of a wave: a stop answers well within a second, and waiting for its last task stays a few percent."""

BAR_DELAY_SECONDS = 0.5
"""A progress bar appears after this long: short runs show none."""

SCHEDULERS = ("synchronous", "threads", "processes")
"""The schedulers by name; the address of a distributed scheduler (tcp://..., tls://...) is allowed too."""

_ADDRESSES = ("tcp://", "tls://", "ucx://", "inproc://")
_ALIASES = {"sync": "synchronous", "single-threaded": "synchronous", "threading": "threads"}

Arrays = dict[str, NDArray[Any]]
"""Arrays by name."""

_limit_lock = threading.Lock()
_limit_users = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread a caller: the tasks are the parallel part.

    The first of overlapping users sets the limit and the last one lifts it, in whatever threads they are. Limits of
    threadpoolctl that overlap in two threads would otherwise end with the first one's, or leave the whole process with
    one BLAS thread for good.
    """
    global _limit, _limit_users  # noqa: PLW0603  (BLAS threads are a setting of the process)
    with _limit_lock:
        if not _limit_users:
            _limit = threadpool_limits(1, user_api="blas")
        _limit_users += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit_users -= 1
            if not _limit_users:
                _disown_blas()
                _limit.restore_original_limits()
                _disown_blas()


def _disown_blas() -> None:
    # From 3.7 on threadpoolctl lets one thread only, the first, change OpenBLAS, and silently ignores the others until
    # that one gives it up; the last user here may be another thread, and so may the next one.
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


@dataclass(frozen=True)
class SavedArrays:
    """Arrays in a folder of this run, which every process of the machine maps instead of receiving a copy."""

    folder: str
    names: tuple[str, ...]

    def load(self) -> Arrays:
        """Return the arrays, mapped read-only."""
        return {
            name: np.load(Path(self.folder) / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in self.names
        }


@dataclass(frozen=True)
class Runner:
    """One way to compute tasks.

    Attributes
    ----------
    shared : bool
        Whether the tasks run in this process and see its memory.
    n_workers : int
        Tasks that run at once.
    """

    shared: bool
    n_workers: int
    get: Callable[..., Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    client: Any = None
    folder: Path | None = None

    def share(self, arrays: Arrays) -> Any:
        """Return what stands for arrays among a task's arguments; :func:`shared_arrays` reads it there."""
        if self.client is not None:
            # A list of one: scatter would take a dict apart.
            return self.client.scatter([arrays], broadcast=True, hash=False)[0]
        if self.folder is None:
            return arrays
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array, allow_pickle=False)
        return SavedArrays(str(self.folder), tuple(arrays))

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return a function's results for several lists of arguments, in their order."""
        if self.get is not None:
            # A graph of plain calls, without the half millisecond a task that dask.delayed and its optimisers take.
            graph = {("pairs", k): (partial(function, *some),) for k, some in enumerate(arguments)}
            return list(self.get(graph, list(graph)))
        task = delayed(function, pure=False, traverse=False)
        return list(compute(*[task(*some) for some in arguments], **self.options))  # type: ignore[no-untyped-call]


def shared_arrays(reference: Any) -> Arrays:
    """Return the arrays that :meth:`Runner.share` shared, inside a task."""
    arrays: Arrays = reference.load() if isinstance(reference, SavedArrays) else reference
    return arrays


def active_scheduler(scheduler: Any = None) -> Any:
    """Return dask's function for a scheduler, or for the active one; None where there is none.

    Without a name dask imports distributed to ask it for a client, which takes most of a second; where nobody imported
    it before there is no client.
    """
    if scheduler is None and dask.config.get("scheduler", None) is None and "distributed" not in sys.modules:
        return None
    return get_scheduler(scheduler=scheduler)  # type: ignore[no-untyped-call]


def check_scheduler(scheduler: object) -> None:
    """Raise unless a scheduler is None, a name of :data:`SCHEDULERS`, an address or a distributed Client."""
    known = isinstance(scheduler, str) and (
        scheduler in SCHEDULERS or scheduler in _ALIASES or scheduler.startswith(_ADDRESSES)
    )
    if scheduler is None or known or hasattr(scheduler, "scatter"):
        return
    msg = (
        f"scheduler: {scheduler!r} is unknown; allowed: {', '.join(map(repr, SCHEDULERS))}, an address like "
        "'tcp://127.0.0.1:8786', a distributed.Client, or None for the active one"
    )
    raise ValueError(msg)


@contextmanager
def open_runner(scheduler: Any = None) -> Iterator[Runner]:
    """Return the runner of a scheduler: the active one (dask's configuration or Client) where it is None."""
    check_scheduler(scheduler)
    with ExitStack() as stack:
        if isinstance(scheduler, str) and scheduler.startswith(_ADDRESSES):
            from distributed import Client  # noqa: PLC0415  (a second of imports, for clusters only)

            scheduler = stack.enter_context(Client(scheduler, set_as_default=False))  # type: ignore[no-untyped-call]
        if isinstance(scheduler, str):
            scheduler = _ALIASES.get(scheduler, scheduler)
        get = scheduler.get if hasattr(scheduler, "scatter") else active_scheduler(scheduler)
        client: Any = getattr(get, "__self__", None)
        if hasattr(client, "scatter"):
            n_workers = max(1, sum(client.nthreads().values()))
            yield Runner(shared=False, n_workers=n_workers, options={"scheduler": client}, client=client)
        elif get is dask.multiprocessing.get:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dupkit-pairs-"))
            n_workers = int(dask.config.get("num_workers", None) or CPU_COUNT)
            # dask would start new processes for every wave. They are spawned: a fork of a threaded kernel can hang.
            pool = stack.enter_context(
                ProcessPoolExecutor(
                    n_workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=threadpool_limits,
                    initargs=(1, "blas"),
                )
            )
            options = {"scheduler": "processes", "pool": pool}
            yield Runner(shared=False, n_workers=n_workers, options=options, folder=Path(folder))
        else:
            yield local_runner("synchronous" if get is dask.local.get_sync else "threads")


def local_runner(scheduler: Any = None) -> Runner:
    """Return a runner in this process: this thread alone where dask is to be synchronous, else threads."""
    if isinstance(scheduler, str):
        scheduler = _ALIASES.get(scheduler, scheduler)
    configured = scheduler if scheduler is not None else dask.config.get("scheduler", None)
    if configured in ("synchronous", *(alias for alias, name in _ALIASES.items() if name == "synchronous")):
        return Runner(shared=True, n_workers=1, get=dask.local.get_sync)
    n_workers = int(dask.config.get("num_workers", None) or CPU_COUNT)
    return Runner(shared=True, n_workers=n_workers, get=dask.threaded.get)


def in_waves(
    runner: Runner,
    function: Callable[..., Any],
    jobs: Sequence[Any],
    arguments: Callable[[Any], tuple[Any, ...]],
    *,
    words: str,
    progress: bool,
    stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield each job with its result, wave by wave, until the jobs are done or `stop` says so.

    Parameters
    ----------
    runner : Runner
    function : callable
        The task; module level where the runner is not shared.
    jobs : sequence
        What there is to do.
    arguments : callable
        Gives the task's arguments for a job, asked when its wave starts.
    words : str
        What the progress bar says.
    progress : bool
        Whether there is a bar.
    stop : callable, optional
        Asked before each wave.
    """
    n_wave = 4 * runner.n_workers
    done = 0
    with tqdm(total=len(jobs), desc=words, unit="part", disable=not progress, delay=BAR_DELAY_SECONDS) as bar:
        while done < len(jobs) and not (stop and stop()):
            wave = jobs[done : done + n_wave]
            started = time.perf_counter()
            results = runner.run(function, [arguments(job) for job in wave])
            seconds = time.perf_counter() - started
            done += len(wave)
            bar.update(len(wave))
            yield from zip(wave, results, strict=True)
            n_wave = max(runner.n_workers, min(int(len(wave) * WAVE_SECONDS / max(seconds, 1e-6)), 4 * len(wave)))
