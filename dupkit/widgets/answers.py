"""What a part of the page answers with, and the pool that answers what takes time."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Question = Mapping[str, Any]
"""A message of the page: plain JSON values, and under ``buffers`` its binary parts."""


@dataclass(frozen=True)
class Answer:
    """JSON values for the page and the binary parts that go with them."""

    content: dict[str, Any] = field(default_factory=dict)
    buffers: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Later:
    """Work that is done in the pool, so that the next key does not wait for it; it must not touch the state."""

    work: Callable[[], Answer]
    soon: bool = False
    """A person waits for it: it does not queue behind the pictures that are fetched ahead."""


class Pool:
    """A few threads that start with the first work and keep the context of whoever gave it.

    The context names the cell whose output a message belongs to; a thread of its own has none.
    """

    def __init__(self, n_threads: int = 3) -> None:
        self._n_threads = n_threads
        self._executors: dict[bool, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None], *, soon: bool = False) -> Future[None]:
        """Do some work as soon as a thread is free; one thread is kept for what is wanted soon."""
        with self._lock:
            if soon not in self._executors:
                n_threads, name = (1, "dupkit-page-soon") if soon else (self._n_threads, "dupkit-page")
                self._executors[soon] = ThreadPoolExecutor(n_threads, thread_name_prefix=name)
            return self._executors[soon].submit(contextvars.copy_context().run, work)

    def close(self) -> None:
        """Drop work that waits; what has begun ends by itself."""
        with self._lock:
            for executor in self._executors.values():
                executor.shutdown(wait=False, cancel_futures=True)
            self._executors.clear()
