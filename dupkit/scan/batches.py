"""Have files read in batches by whatever dask scheduler is active, and hand the replies over as they come."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask.base
import dask.callbacks
import dask.config
import dask.local
import dask.multiprocessing
import dask.threaded
from dask.delayed import delayed

from dupkit.scan.formats import extension
from dupkit.scan.workers import ask, stop_run

SCHEDULERS = ("synchronous", "threads", "processes")
"""The schedulers by name; a distributed Client and an address such as tcp://127.0.0.1:8786 are allowed too."""

_GETS: dict[str, Callable[..., Any]] = {
    "synchronous": dask.local.get_sync,
    "threads": dask.threaded.get,
    "processes": dask.multiprocessing.get,
}

_ALIASES = {"sync": "synchronous", "single-threaded": "synchronous", "threading": "threads"}
_ADDRESSES = ("tcp://", "tls://", "ucx://", "inproc://")

_BATCH_FILES = 32
"""dask's cost of a task, 0.3 ms, is then 1 % of decoding a batch of small photos."""

_BATCH_BYTES = 4_000_000
"""Compressed bytes of a batch: some 0.1 s, so that no worker is left alone with the rest of a run."""

_OTHER_COST = 4
"""Decoding a byte of PNG and the like takes about this much longer than a byte of JPEG at a fraction of its size."""

_JPEG_EXTENSIONS = frozenset((b".jpg", b".jpeg", b".jpe", b".jfif", b".jif", b".mpo"))

_ROUND_BATCHES = 512
"""Batches that dask is given at once: it holds on to their results, 7 KB an image, until they all are done."""

Scheduler = Any
"""None, a name of SCHEDULERS, an address, or a distributed Client."""


Replies = list[tuple[bytes, bytes]]


def check_scheduler(scheduler: Scheduler) -> None:
    """Raise unless a scheduler is None, a name of :data:`SCHEDULERS`, an address or a distributed Client."""
    names = (*SCHEDULERS, *_ALIASES)
    if isinstance(scheduler, str):
        known = scheduler in names or scheduler.startswith(_ADDRESSES)
    else:
        known = scheduler is None or hasattr(scheduler, "scatter")
    if not known:
        msg = (
            f"scheduler: {scheduler!r} is unknown; allowed: {', '.join(map(repr, SCHEDULERS))}, an address like "
            "'tcp://127.0.0.1:8786', a distributed.Client, or None for the active one"
        )
        raise ValueError(msg)


def read_in_batches(
    job: str,
    root: bytes,
    files: Sequence[tuple[bytes, int]],
    on_replies: Callable[[list[int], Replies], None],
    *,
    scheduler: Scheduler = None,
    options: Callable[[list[int]], dict[str, object]] = lambda _: {},
) -> None:
    """Ask the decode workers about files, in parallel, and hand over their replies batch by batch, in any order.

    Parameters
    ----------
    job : str
        As for :func:`dupkit.scan.workers.ask`.
    root : bytes
    files : sequence of (path, size in bytes)
    on_replies : callable
        Called in this thread with the positions in `files` of a batch and the replies for them.
    scheduler : Scheduler
        The active one (dask's configuration or Client) where it is None, threads where there is none.
    options : callable
        Gives the job's options for a batch.
    """
    if not files:
        return
    batches = _batches(files)
    run = uuid.uuid4().hex
    with _client(scheduler) as (client, get):
        try:
            for start in range(0, len(batches), _ROUND_BATCHES):
                tasks = [
                    (batch, (job, root, [files[position][0] for position in batch], run, options(batch)))
                    for batch in batches[start : start + _ROUND_BATCHES]
                ]
                if client is None:
                    _run_local(tasks, on_replies, get)
                else:
                    _run_distributed(client, tasks, on_replies)
        except BaseException:
            # An interrupt, say. Threads cannot be stopped, but what they wait for can.
            stop_run(run)
            raise


def _ask(job: str, root: bytes, paths: list[bytes], run: str, options: dict[str, object]) -> Replies:
    return ask(job, root, paths, run=run, **options)


_Task = tuple[list[int], tuple[str, bytes, list[bytes], str, dict[str, object]]]


def _run_local(tasks: list[_Task], on_replies: Callable[[list[int], Replies], None], scheduler: Any) -> None:
    ask_delayed = delayed(_ask, pure=False, traverse=False)
    prefix = uuid.uuid4().hex
    batch_of = {f"read-{prefix}-{number}": batch for number, (batch, _) in enumerate(tasks)}
    values = [ask_delayed(*task, dask_key_name=key) for key, (_, task) in zip(batch_of, tasks, strict=True)]

    def finished(key: object, replies: Replies, *_: object) -> None:
        batch = batch_of.get(key) if isinstance(key, str) else None
        if batch is not None:
            on_replies(batch, replies)

    with dask.callbacks.Callback(posttask=finished):  # type: ignore[no-untyped-call]
        dask.base.compute(*values, scheduler=scheduler)  # type: ignore[no-untyped-call]


def _run_distributed(client: Any, tasks: list[_Task], on_replies: Callable[[list[int], Replies], None]) -> None:
    from distributed import as_completed  # noqa: PLC0415  (a second of imports, for clusters only)

    batch_of = {client.submit(_ask, *task, pure=False): batch for batch, task in tasks}
    try:
        for future, replies in as_completed(list(batch_of), with_results=True):  # type: ignore[no-untyped-call]
            on_replies(batch_of.pop(future), replies)
            future.release()
    finally:
        client.cancel(list(batch_of))


@contextmanager
def _client(scheduler: Scheduler) -> Iterator[tuple[Any, Callable[..., Any] | None]]:
    """Give the distributed client that is meant, or else None and the function of a local scheduler.

    dask would find out by itself, but imports distributed for it: 0.8 s for nothing where there is no cluster. Without
    that import there is no client.
    """
    if scheduler is None:
        scheduler = dask.config.get("scheduler", None)
    if isinstance(scheduler, str) and scheduler.startswith(_ADDRESSES):
        from distributed import Client  # noqa: PLC0415

        with Client(scheduler, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            yield client, None
    elif hasattr(scheduler, "scatter"):
        yield scheduler, None
    elif isinstance(scheduler, str) and "distributed" not in scheduler:
        yield None, _GETS[_ALIASES.get(scheduler, scheduler)]
    elif callable(scheduler):
        yield None, scheduler
    else:
        client = _active_client()
        yield client, None if client is not None else dask.threaded.get


def _active_client() -> Any:
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.get_client()
    except ValueError:
        return None


def _batches(files: Sequence[tuple[bytes, int]]) -> list[list[int]]:
    """Return positions in batches of neighbours; a file that is a batch's worth by itself comes first.

    A large one that came last would keep one worker busy when all others are done.
    """
    batches: list[list[int]] = []
    large: list[tuple[int, list[int]]] = []
    batch: list[int] = []
    room = _BATCH_BYTES
    for position, (path, size) in enumerate(files):
        cost = size if extension(path) in _JPEG_EXTENSIONS else _OTHER_COST * size
        if cost > _BATCH_BYTES:
            large.append((-cost, [position]))
            continue
        if batch and (cost > room or len(batch) == _BATCH_FILES):
            batches.append(batch)
            batch, room = [], _BATCH_BYTES
        batch.append(position)
        room -= cost
    if batch:
        batches.append(batch)
    return [single for _, single in sorted(large)] + batches
