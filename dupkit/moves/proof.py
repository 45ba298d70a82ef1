"""Proof, taken from the disk at the moment of a move, that a kept copy of the picture exists.

A :class:`KeeperProof` is made only by :func:`prove_keeper`, which opens and reads the keeper now. Nothing that was read
before (at the scan, at the decision, for the move before) counts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from dupkit import at
from dupkit.files import display_path, hash_descriptor, in_destination, open_regular
from dupkit.moves.failures import RefusalError, at_path, near_path
from dupkit.moves.journal import Move
from dupkit.moves.tree import Tree, split_path

DecodeCheck = Callable[[bytes, bytes], str]
"""Takes a root and a path below it; decodes the picture whole; returns '' or the reason why it does not decode."""

_CHUNK_BYTES = 1 << 20


class Facts(NamedTuple):
    """What tells one state of one file from another, as far as the file system notes it."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @property
    def identity(self) -> str:
        """The file, whatever it holds and is called."""
        return f"{self.device}:{self.inode}"


def facts_of(status: os.stat_result) -> Facts:
    """Return the facts of a file."""
    return Facts(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@contextmanager
def opened_file(tree: Tree, path: bytes) -> Iterator[int]:
    """Give a descriptor of a regular file of the tree, reached through no link.

    Raises
    ------
    RefusalError
        Nothing is there any more, or it is no regular file.
    OSError
        It may not be read.
    """
    folder, name = split_path(path)
    try:
        with at_path(path):
            descriptor = open_regular(name, dir_fd=tree.folder(folder))
    except FileNotFoundError as error:
        msg = f"{display_path(path)}: ENOENT: it is not there any more"
        raise RefusalError(msg) from error
    except OSError as error:
        if error.errno is None:  # NotARegularFileError, with its own words
            raise RefusalError(f"{display_path(path)}: it is no regular file any more ({error})") from error
        raise
    try:
        with near_path(path):
            yield descriptor
    finally:
        # Nothing was written through it: no failure to close it can lose anything.
        with suppress(OSError):
            os.close(descriptor)


@dataclass(frozen=True, slots=True, init=False)
class KeeperProof:
    """That a keeper was opened, read and found to be a copy; made by :func:`prove_keeper` only."""

    path: bytes
    facts: Facts
    source: Facts

    def __init__(self) -> None:
        msg = "a KeeperProof is made by prove_keeper only: by reading the keeper"
        raise TypeError(msg)

    def check_again(self, tree: Tree) -> None:
        """Raise RefusalError unless the keeper is still the file that was read, unchanged, under its path."""
        found = tree.lstat(self.path)
        if found is None or facts_of(found) != self.facts:
            msg = f"the keeper {display_path(self.path)} changed while the move was made"
            raise RefusalError(msg)


def check_source(move: Move, source: int) -> Facts:
    """Return the facts of an opened file that is about to move, after comparing its size with the plan's.

    Raises
    ------
    RefusalError
        It is empty, or not as long as it was.
    """
    facts = facts_of(at.fstat(source))
    if facts.size_bytes != move.size_bytes or (facts.size_bytes == 0 and move.keeper_hash):
        msg = (
            f"{display_path(move.source)} changed since the plan: {facts.size_bytes} bytes, "
            f"not {move.size_bytes}; scan and plan again"
        )
        raise RefusalError(msg)
    return facts


def check_side_file(move: Move, source: int) -> Facts:
    """Return the facts of an opened side file, after comparing its content with the plan's.

    Raises
    ------
    RefusalError
        It changed since the plan.
    """
    facts = check_source(move, source)
    _same_hash(move.source, hash_descriptor(source), move.content_hash)
    return facts


def prove_keeper(
    tree: Tree,
    move: Move,
    source: int,
    *,
    moving: Collection[bytes],
    decode_check: DecodeCheck | None,
    decoded: set[str],
) -> KeeperProof:
    """Return the proof that the keeper of an opened source file is a kept copy, by reading both now.

    Of equal content by the plan: compared byte for byte. Else: both have the content that they had when the decision
    was taken, and the keeper decodes.

    Parameters
    ----------
    tree : Tree
    move : Move
    source : int
        Descriptor of the file that is about to move.
    moving : collection of bytes
        Every path that the plan moves; none of them can be kept.
    decode_check : callable, optional
        Needed where the contents differ.
    decoded : set of str
        Content hashes that decoded in this run already; the keeper's is added.

    Raises
    ------
    RefusalError
        There is no proof; the reason is named.
    OSError
        A file could not be read.
    """
    shown = display_path(move.keeper)
    if in_destination(move.keeper):
        raise RefusalError(f"the keeper {shown} lies in a folder of moved duplicates; it is not kept")
    if move.keeper in moving:
        raise RefusalError(f"the keeper {shown} moves itself in this plan; it is not kept")
    source_facts = check_source(move, source)
    with opened_file(tree, move.keeper) as keeper:
        facts = facts_of(at.fstat(keeper))
        if facts.identity == source_facts.identity:
            raise RefusalError(f"the keeper {shown} is the same file under another name (hard link), no copy")
        with at_path(move.source):
            if move.keeper_hash == move.content_hash:
                _compare(move, source, keeper)
            else:
                _same_hash(move.source, hash_descriptor(source), move.content_hash)
        if move.keeper_hash != move.content_hash:
            with at_path(move.keeper):
                _same_hash(move.keeper, hash_descriptor(keeper), move.keeper_hash)
            _decode(tree, move, decode_check, decoded)
        if facts_of(at.fstat(keeper)) != facts or facts_of(at.fstat(source)) != source_facts:
            raise RefusalError(f"{display_path(move.source)} or its keeper {shown} is being written to")
    proof = object.__new__(KeeperProof)
    for name, value in (("path", move.keeper), ("facts", facts), ("source", source_facts)):
        object.__setattr__(proof, name, value)
    proof.check_again(tree)
    return proof


def _same_hash(path: bytes, found: str, expected: str) -> None:
    if found != expected or not expected:
        msg = f"{display_path(path)} changed since the plan: its content is another; scan and plan again"
        raise RefusalError(msg)


def _compare(move: Move, source: int, keeper: int) -> None:
    """Compare two open files byte for byte, and the source's hash with the plan's."""
    digest = hashlib.sha256()
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(keeper, 0, os.SEEK_SET)
    while True:
        ours, kept = _read(source), _read(keeper)
        if ours != kept:
            msg = f"the keeper {display_path(move.keeper)} does not hold the same bytes as {display_path(move.source)}"
            raise RefusalError(msg)
        if not ours:
            break
        digest.update(ours)
    _same_hash(move.source, digest.hexdigest(), move.content_hash)


def _read(descriptor: int) -> bytes:
    """Return the next chunk, whole unless the file ends: one read may give less."""
    parts = []
    wanted = _CHUNK_BYTES
    while wanted and (part := os.read(descriptor, wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _decode(tree: Tree, move: Move, decode_check: DecodeCheck | None, decoded: set[str]) -> None:
    if move.keeper_hash in decoded:
        return
    shown = display_path(move.keeper)
    if decode_check is None:
        msg = f"the keeper {shown} holds other bytes and no decoder was given that shows it opens (decode_check)"
        raise RefusalError(msg)
    fault = decode_check(tree.root, move.keeper)
    if fault:
        raise RefusalError(f"the keeper {shown} does not decode: {fault}")
    decoded.add(move.keeper_hash)
