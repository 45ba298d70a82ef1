"""A decode worker: a process that reads and decodes files for its parent, and may die doing it.

It imports Pillow (numpy only where a picture needs it) and reads requests from standard input until that ends. A file
that makes a decoder crash, loop or eat memory ends this process at most; the parent (:mod:`dupkit.scan.workers`) starts
another one. Frames: four bytes of length, then the bytes. A request is JSON, with paths as latin-1 text; a reply is a
kind (:data:`RESULT` ...) and its bytes, one for each path, in order. Replies are sent some at a time (waking the parent
for each costs 25 us of 1,200), unless the request asks for care: then each is sent before the next file is opened.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import struct
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from dupkit.scan.decode import UnreadableError, decode_facts, encode_picture, hash_pixels
from dupkit.scan.limits import CPU_SECONDS, MEMORY_MB
from dupkit.scan.reading import FileReader
from dupkit.scan.records import pack

try:
    import fcntl
    import resource
except ImportError:  # Windows: the parent's clock is the only limit there
    fcntl = resource = None  # type: ignore[assignment]

HELLO, RESULT, UNREADABLE, WAITS, GOES_ON = b"h", b"r", b"u", b"w", b"g"
"""Kinds of replies: the worker is ready; a result; a reason; it waits for its turn with a large picture; it has it."""

LENGTH = struct.Struct("<I")
"""The length that stands before each frame."""


_HELD_REPLIES = 8
_HELD_SECONDS = 0.1
"""Replies are held back up to this number and this long."""


class Worker:
    """Answers requests from one stream into another."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, lock_path: str) -> None:
        self._requests = requests
        self._replies = replies
        self._held: list[bytes] = []
        self._sent_at = 0.0
        self._large = _OneAtATime(lock_path, waits=lambda: self._send(WAITS), goes_on=lambda: self._send(GOES_ON))

    def run(self) -> None:
        """Answer requests until there are no more."""
        self._send(HELLO)
        while len(length := self._requests.read(LENGTH.size)) == LENGTH.size:
            self._answer(**json.loads(self._requests.read(LENGTH.unpack(length)[0])))

    def _answer(
        self,
        *,
        job: str,
        root: str,
        paths: list[str],
        careful: bool,
        sampling: str = "",
        known: tuple[str, ...] = (),
        side: int = 0,
    ) -> None:
        reader = FileReader(root.encode("latin-1"), large=self._large)
        hashes = {bytes.fromhex(text) for text in known}
        jobs: dict[str, Callable[[bytes], bytes]] = {
            "record": lambda path: pack(reader.record(path, sampling, hashes)),
            "hash": lambda path: pack(reader.hash(path)),
            "pixels": lambda path: reader.apply(path, self._pixels),
            "picture": lambda path: reader.apply(path, partial(encode_picture, side=side or None, large=self._large)),
            "facts": lambda path: json.dumps(reader.apply(path, decode_facts)).encode(),
        }
        try:
            for path in paths:
                _limit_cpu(CPU_SECONDS if careful else CPU_SECONDS // 2)
                try:
                    self._hold(RESULT, jobs[job](path.encode("latin-1")))
                except UnreadableError as error:
                    self._hold(UNREADABLE, str(error).encode())
                if careful or len(self._held) >= _HELD_REPLIES or time.monotonic() - self._sent_at > _HELD_SECONDS:
                    self._send()
        finally:
            reader.close()
        self._send()

    def _pixels(self, stream: BinaryIO) -> bytes:
        """Return the hash of a file's bytes and the hash of its pixels, 64 hex digits each."""
        content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        stream.seek(0)
        return (content + hash_pixels(stream, large=self._large)).encode()

    def _hold(self, kind: bytes, data: bytes = b"") -> None:
        self._held.append(LENGTH.pack(len(data) + 1) + kind + data)

    def _send(self, kind: bytes = b"") -> None:
        if kind:
            self._hold(kind)
        self._replies.write(b"".join(self._held))
        self._replies.flush()
        self._held.clear()
        self._sent_at = time.monotonic()


class _OneAtATime:
    """Held by one worker on this machine at a time; the parent is told about the wait, which costs the file nothing."""

    def __init__(self, path: str, *, waits: Callable[[], None], goes_on: Callable[[], None]) -> None:
        self._path = path
        self._waits = waits
        self._goes_on = goes_on
        self._descriptor = -1

    def __enter__(self) -> None:
        if fcntl is None or not self._path:
            return
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._waits()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._goes_on()

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _limit_cpu(seconds: int) -> None:
    """Let the system end this process when the file that comes next takes more processor time."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, most))


def _limit_memory() -> None:
    """Let allocations fail beyond what a picture within the limits on pixels needs."""
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a decode worker writes no file
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (pathlib costs a worker's start 10 ms)
            in_use = int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return  # not Linux: what is in use before the first picture is not known
    most = in_use + MEMORY_MB * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Run a worker on standard input and output; the argument is the path of the lock for large pictures."""
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)  # decoders print their complaints
    warnings.simplefilter("ignore")
    # What was imported stays; looking through it for garbage took 4 % of the time.
    gc.freeze()
    gc.set_threshold(20_000)
    _limit_memory()
    Worker(sys.stdin.buffer, replies, sys.argv[1] if len(sys.argv) > 1 else "").run()


if __name__ == "__main__":
    main()
