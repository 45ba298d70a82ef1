"""Run one function on many argument lists, on whatever dask scheduler is active."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dask.base import compute
from dask.delayed import delayed

from dupkit.pairs.running import active_scheduler, one_blas_thread

Scheduler = str | None
"""What dask takes as ``scheduler=``; None: the active one."""


def run_tasks(
    function: Callable[..., Any], shared: Sequence[object], arguments: Iterable[Sequence[object]], scheduler: Scheduler
) -> list[Any]:
    """Return ``function(*shared, *each)`` for each argument list, in their order.

    Parameters
    ----------
    function : callable
        Pure; the results do not depend on the scheduler.
    shared : sequence
        First arguments of every call: arrays, sent to each worker once.
    arguments : iterable of sequences
        The other arguments of each call.
    scheduler : str, optional
        As dask's; where None, a ``distributed`` client or a scheduler set in dask's configuration, else threads.

    Notes
    -----
    BLAS is held to one thread while the tasks run, because dask's threads already use every core.
    """
    together = [delayed(value, traverse=False) for value in shared]
    call = delayed(function, pure=False, traverse=False)
    tasks = [call(*together, *each) for each in arguments]
    chosen = scheduler or active_scheduler() or "threads"
    with one_blas_thread():
        return list(compute(*tasks, scheduler=chosen))  # type: ignore[no-untyped-call]


def row_batches(n_rows: int, size: int) -> list[slice]:
    """Return slices of ``size`` rows that cover ``n_rows`` rows in order; the last one may be shorter.

    Examples
    --------
    >>> row_batches(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    return [slice(start, start + size) for start in range(0, n_rows, size)]
