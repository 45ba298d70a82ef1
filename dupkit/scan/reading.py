"""Read one file once: its state on the disk, its hash, its picture. Runs in a decode worker."""

from __future__ import annotations

import hashlib
import os
import time
from array import array
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from io import BytesIO, FileIO
from typing import BinaryIO, TypeVar

from dupkit.files import NotARegularFileError, open_regular, opened_folder
from dupkit.scan.decode import SCALES, UnreadableError, decode_histogram
from dupkit.scan.header import NEEDS_MEMORY
from dupkit.scan.limits import LARGEST_IN_MEMORY
from dupkit.scan.records import Record

_HAS_DIR_FD = os.open in os.supports_dir_fd

_NO_LOCK: AbstractContextManager[object] = nullcontext()

_N_STATE = Record._fields.index("inode") + 1
"""The first fields of a record say which state of a file was read."""

_T = TypeVar("_T")


class FileReader:
    """Opens files below one root without following a link in any part of their paths.

    Holds the descriptor of the folder that it read from last: neighbours mostly come one after another.
    """

    def __init__(self, root: bytes, *, large: AbstractContextManager[object] = _NO_LOCK) -> None:
        self._root = root
        self._large = large
        self._folder: bytes | None = None
        self._descriptor = -1
        self._open_folder = ExitStack()

    def close(self) -> None:
        """Let go of the folder."""
        self._open_folder.close()
        self._folder = None

    def open(self, path: bytes) -> int:
        """Return the descriptor of a regular file below the root."""
        if not _HAS_DIR_FD:
            return open_regular(os.path.join(self._root, path))  # noqa: PTH118  (bytes)
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self.close()
            self._descriptor = self._open_folder.enter_context(opened_folder(self._root, folder))
            self._folder = folder
        return open_regular(name, dir_fd=self._descriptor)

    def record(self, path: bytes, sampling: str, known: Collection[bytes] = ()) -> Record:
        """Return what is found out about a file; whatever is wrong with it stands in ``error``.

        Parameters
        ----------
        path : bytes
            Below the root.
        sampling : {"fast", "original"}
        known : collection of bytes
            Hashes of files whose pictures were decoded before: such a file is not decoded again.
        """
        record = Record()
        try:
            with self._opened(path) as descriptor:
                record = _state(descriptor)
                with _stream(descriptor, record.size_bytes) as stream:
                    content_hash = _hash(stream)
                    if _state(descriptor)[:_N_STATE] != record[:_N_STATE]:
                        return record.failed("changed while it was read")
                    record = record._replace(content_hash=content_hash)
                    if content_hash in known:
                        return record._replace(known=True)
                    decoded = decode_histogram(stream, sampling, large=self._large)
        except UnreadableError as error:
            return record.failed(str(error))
        except OSError as error:
            return record.failed(why_not_read(error))
        except MemoryError:
            return record.failed(NEEDS_MEMORY)
        return record._replace(
            format=decoded.format,
            width=decoded.width,
            height=decoded.height,
            orientation=decoded.orientation,
            frames=decoded.frames,
            counts=array("I" if SCALES[sampling] == 1 else "H", decoded.counts).tobytes(),
            thumbnail=decoded.thumbnail,
        )

    def hash(self, path: bytes) -> Record:
        """Return a file's state and hash, nothing decoded."""
        record = Record()
        try:
            with self._opened(path) as descriptor:
                record = _state(descriptor)
                with _stream(descriptor, record.size_bytes) as stream:
                    return record._replace(content_hash=_hash(stream))
        except OSError as error:
            return record.failed(why_not_read(error))

    def apply(self, path: bytes, function: Callable[[BinaryIO], _T]) -> _T:
        """Return what a function of :mod:`dupkit.scan.decode` makes of a file.

        Raises
        ------
        UnreadableError
            With the reason.
        """
        try:
            with self._opened(path) as descriptor, _stream(descriptor, os.fstat(descriptor).st_size) as stream:
                return function(stream)
        except OSError as error:
            raise UnreadableError(why_not_read(error)) from error
        except MemoryError as error:
            raise UnreadableError(NEEDS_MEMORY) from error

    @contextmanager
    def _opened(self, path: bytes) -> Iterator[int]:
        descriptor = self.open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def why_not_read(error: OSError) -> str:
    """Return the reason, in the words of the column ``error``, why the system does not give a file's bytes."""
    if isinstance(error, NotARegularFileError):
        kind = str(error).rpartition(" is ")[2].partition(",")[0]
        return f"not a regular file: {kind}"
    if isinstance(error, FileNotFoundError):
        return "no longer there"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return f"could not be read: {error.strerror or 'unknown cause'}"


def _state(descriptor: int) -> Record:
    status = os.fstat(descriptor)
    return Record(
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        device=_signed(status.st_dev),
        inode=_signed(status.st_ino),
        read_ns=time.time_ns(),
    )


def _signed(number: int) -> int:
    return number if number < 1 << 63 else number - (1 << 64)


def _hash(stream: BytesIO | FileIO) -> bytes:
    """Return the SHA-256 of a stream's bytes and go back to its start."""
    if isinstance(stream, BytesIO):
        return hashlib.sha256(stream.getbuffer()).digest()
    digest = hashlib.file_digest(stream, "sha256").digest()
    stream.seek(0)
    return digest


@contextmanager
def _stream(descriptor: int, size: int) -> Iterator[BytesIO | FileIO]:
    """Give a file's bytes: in memory, read once, unless they are too many for that."""
    if size > LARGEST_IN_MEMORY:
        with FileIO(descriptor, "rb", closefd=False) as file:
            yield file
        return
    data = os.read(descriptor, size + 1)
    if len(data) < size:  # a signal, or a file system that gives less at a time
        with FileIO(descriptor, "rb", closefd=False) as file:
            data += file.read()
    yield BytesIO(data)
