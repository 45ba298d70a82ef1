"""The decode workers of this process: started when first needed, kept for the next request, replaced when they die.

Plain subprocesses with pipes: forking a kernel full of threads can deadlock, and dask's own worker processes may not
have ``multiprocessing`` children. Measured (2 cores): two workers are ready 0.08 s after they are asked for; a request
of 32 small photos costs the parent 17 us a photo, decoding them 1,200 us.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import PIL

from dupkit.folders import cache_folder
from dupkit.scan.limits import CPU_SECONDS, WALL_SECONDS
from dupkit.scan.worker import GOES_ON, HELLO, LENGTH, UNREADABLE, WAITS

START = "from dupkit.scan.worker import main; main()"
"""What a worker runs; tests put decoders there that crash, loop and eat memory."""

CRASHED = "decoder crashed"
TOO_MUCH_CPU = f"took longer than {CPU_SECONDS} s"
TOO_LONG = f"took longer than {WALL_SECONDS} s"

_IDLE_SECONDS = 30.0
"""A worker that nobody asked for this long is let go: 40 MB each, and it starts again in a tenth of a second."""

_LARGEST_REPLY = 1 << 30
"""Bytes; a longer announced reply means that the worker has lost its mind."""

_LARGE_LOCK = "large-picture.lock"


class WorkersStoppedError(Exception):
    """The run that asked was stopped."""


class WorkerDiedError(Exception):
    """A decode worker ended in the middle of a file; the message is the reason for that file."""


class DecodeWorker:
    """One subprocess, its pipes, and the time by which it must have answered."""

    def __init__(self) -> None:
        self.deadline = float("inf")
        self.idle_since = time.monotonic()
        self._late = False
        self._process = subprocess.Popen(
            # -I -S: nothing from the user's folder, site or environment is imported or run.
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                f"import sys; sys.path += sys.argv.pop().split({os.pathsep!r}); {START}",
                _lock_path(),
                os.pathsep.join(_import_path()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd=os.path.abspath(os.sep),  # noqa: PTH100  (a worker keeps no folder of the user busy)
            process_group=0 if os.name == "posix" else None,  # Ctrl-C is the parent's to handle
        )

    def ask(self, request: dict[str, object], n_replies: int) -> Iterator[tuple[bytes, bytes]]:
        """Send a request and give its replies, kind and bytes, as they come.

        Raises
        ------
        WorkerDiedError
            At the reply that does not come.
        """
        data = json.dumps(request).encode()
        self.deadline = time.monotonic() + WALL_SECONDS
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(LENGTH.pack(len(data)) + data)
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDiedError(self._reason()) from error
        for _ in range(n_replies):
            kind, reply = self._read()
            while kind in (HELLO, WAITS, GOES_ON):
                self.deadline = float("inf") if kind == WAITS else time.monotonic() + WALL_SECONDS
                kind, reply = self._read()
            yield kind, reply
            self.deadline = time.monotonic() + WALL_SECONDS
        self.deadline = float("inf")

    def _read(self) -> tuple[bytes, bytes]:
        stream = self._process.stdout
        assert stream is not None
        length = stream.read(LENGTH.size)
        size = LENGTH.unpack(length)[0] if len(length) == LENGTH.size else 0
        data = stream.read(size) if 0 < size <= _LARGEST_REPLY else b""
        if not data or len(data) != size:
            raise WorkerDiedError(self._reason())
        return data[:1], data[1:]

    def _reason(self) -> str:
        """Wait for the process to end and say what its end means for the file it was at."""
        self._process.kill()
        code = self._process.wait()
        if self._late:
            return TOO_LONG
        return TOO_MUCH_CPU if code == -getattr(signal, "SIGXCPU", 0) and code else CRASHED

    def kill_if_late(self, now: float) -> None:
        """End the process if the clock has run out for its file."""
        if now > self.deadline:
            self._late = True
            self._process.kill()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # bytes for a process that is no more
        self._process.wait()


class _Workers:
    """The workers of this process: idle ones to borrow, busy ones to watch."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.idle: list[DecodeWorker] = []
        self.busy: set[DecodeWorker] = set()
        self.watcher: threading.Thread | None = None

    def borrow(self) -> DecodeWorker:
        with self.lock:
            worker = self.idle.pop() if self.idle else DecodeWorker()
            self.busy.add(worker)
            if self.watcher is None:
                self.watcher = threading.Thread(target=self.watch, name="dupkit-decode-watcher", daemon=True)
                self.watcher.start()
        return worker

    def give_back(self, worker: DecodeWorker) -> None:
        with self.lock:
            if worker in self.busy:
                self.busy.remove(worker)
                worker.idle_since = time.monotonic()
                self.idle.append(worker)

    def discard(self, worker: DecodeWorker) -> None:
        with self.lock:
            self.busy.discard(worker)
        worker.close()

    def watch(self) -> None:
        """End workers that are late, let go those that are idle; end with the last of them."""
        while True:
            time.sleep(0.5)
            now = time.monotonic()
            with self.lock:
                for worker in self.busy:
                    worker.kill_if_late(now)
                old = [worker for worker in self.idle if now - worker.idle_since > _IDLE_SECONDS]
                self.idle = [worker for worker in self.idle if worker not in old]
                for worker in old:
                    worker.close()
                if not self.busy and not self.idle:
                    self.watcher = None
                    return

    def close(self) -> None:
        with self.lock:
            everyone = [*self.idle, *self.busy]
            self.idle, self.busy = [], set()
        for worker in everyone:
            worker.close()


_workers: list[_Workers] = []
"""The one of this process, once there is one; a process that was forked from ours starts its own."""

_workers_lock = threading.Lock()

_stopped: set[str] = set()
"""Runs that were stopped; a name is used once."""


def _ours() -> _Workers:
    with _workers_lock:
        if not _workers or _workers[0].pid != os.getpid():
            _workers[:] = [_Workers()]
            atexit.register(_workers[0].close)
        return _workers[0]


def close_workers() -> None:
    """End every decode worker of this process; the next request starts new ones."""
    _ours().close()


def stop_run(run: str) -> None:
    """End the workers of this process; whoever asked for another run asks again, this one's tasks give up."""
    with _workers_lock:
        _stopped.add(run)
    close_workers()


def ask(
    job: str, root: bytes, paths: Sequence[bytes], *, run: str = "", **options: object
) -> list[tuple[bytes, bytes]]:
    """Return the reply, kind and bytes, for each path; a file that ends its worker gets its reason.

    When a worker ends in the middle, the rest is done again with care, each reply before the next file: the file at
    which a second worker ends is the one that ends workers. Whoever killed the first one from outside costs no file.

    Parameters
    ----------
    job : {"record", "hash", "pixels", "picture", "facts"}
    root : bytes
        Absolute path of the folder that the paths are relative to.
    paths : sequence of bytes
    run : str
        Name of the run that asks, for :func:`stop_run`.
    **options
        What the job needs besides, plain JSON.

    Returns
    -------
    list of tuple of bytes
        ``RESULT`` and bytes, or ``UNREADABLE`` and the reason.

    Raises
    ------
    WorkersStoppedError
        The run was stopped.
    """
    workers = _ours()
    replies: list[tuple[bytes, bytes]] = []
    careful = False
    while len(replies) < len(paths):
        if run in _stopped:
            msg = "the scan was stopped"
            raise WorkersStoppedError(msg)
        todo = paths[len(replies) :]
        worker = workers.borrow()
        try:
            request = {
                "job": job,
                "root": root.decode("latin-1"),
                "paths": [path.decode("latin-1") for path in todo],
                "careful": careful,
                **options,
            }
            for reply in worker.ask(request, len(todo)):
                replies.append(reply)
            workers.give_back(worker)
        except WorkerDiedError as death:
            workers.discard(worker)
            if careful:
                replies.append((UNREADABLE, str(death).encode()))
            careful = True
        except BaseException:
            workers.discard(worker)
            raise
    return replies


def _lock_path() -> str:
    try:
        return str(cache_folder() / _LARGE_LOCK)
    except OSError:
        return ""  # no folder of our own: large pictures are then decoded beside each other


def _import_path() -> list[str]:
    """Return the folders that hold what a worker imports: ours, Pillow's, and the standard places after them."""
    places = [Path(__file__).parents[2], Path(PIL.__path__[0]).parent]
    rest = [place for place in sys.path if place and Path(place).is_absolute()]
    return list(dict.fromkeys([*map(str, places), *rest]))


def _environment() -> dict[str, str]:
    """Return a worker's environment: no program can be found, no library starts threads of its own.

    And memory is kept for the next picture, up to 96 MB, instead of being given back and asked for again page by page:
    with the C library's own rules photos of 2 to 25 megapixels took 15 % longer, small ones 5 %.
    """
    return {
        **os.environ,
        "PATH": os.devnull if os.name == "posix" else os.environ.get("PATH", ""),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "100663296",
        "MALLOC_TOP_PAD_": "1048576",
    }
