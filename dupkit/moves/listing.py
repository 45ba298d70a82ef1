"""The moved.csv in each destination: for people, never read back."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sqlite3

from dupkit import at
from dupkit.cells import neutral_cell, percent_encoded
from dupkit.files import DESTINATIONS, display_path, hash_descriptor, open_regular
from dupkit.moves import journal
from dupkit.moves.failures import describe_failure
from dupkit.moves.names import LISTING, part_name
from dupkit.moves.rename import remove_own_files, rename_no_replace
from dupkit.moves.tree import Tree

HEADER = ("file", "moved_from", "kept", "size_bytes", "sha256", "plan", "moved_from_exactly")
"""Columns of moved.csv; the last one is the path percent-encoded, byte for byte."""


def write_listings(tree: Tree, connection: sqlite3.Connection, plan_id: str) -> tuple[list[str], list[str]]:
    """Bring each destination's moved.csv in line with the journal; return, in words, what was left and what failed.

    A listing is removed where nothing is moved any more. One that dupkit did not write, or that a person edited, stays
    as it is.
    """
    notes, failures = [], []
    for folder in DESTINATIONS:
        try:
            note = _write_listing(tree, connection, plan_id, folder)
        except OSError as error:
            failures.append(f"{display_path(folder + b'/' + LISTING)} could not be written: {describe_failure(error)}")
        else:
            notes += [note] if note else []
    return notes, failures


def _write_listing(tree: Tree, connection: sqlite3.Connection, plan_id: str, folder: bytes) -> str:
    place = folder + b"/" + LISTING
    descriptor = tree.folder_if_there(folder)
    if descriptor is None:
        return ""
    new, old = part_name(plan_id, "listing"), part_name(plan_id, "listing-old")
    ours = journal.listing_hashes(connection, tree.root, place)
    remove_own_files(descriptor, (new,))
    if _hash(descriptor, old) in ours:
        remove_own_files(descriptor, (old,))
    text = _text(connection, tree.root, folder)
    wanted = hashlib.sha256(text).hexdigest() if text else ""
    there = _hash(descriptor, LISTING)
    if there == wanted:
        return ""
    if there and there not in ours:
        return f"{display_path(place)} is not as dupkit wrote it: left as it is"
    if text:
        _write(descriptor, new, text, mode=0o600 | (at.fstat(descriptor).st_mode & 0o044))
        journal.note_listing(connection, tree.root, place, wanted, only=False)
    way = tree.way(folder, plan_id)
    if there:
        rename_no_replace(descriptor, LISTING, descriptor, old, way=way)
        if _hash(descriptor, old) not in ours:
            rename_no_replace(descriptor, old, descriptor, LISTING, way=way)
            remove_own_files(descriptor, (new,))
            return f"{display_path(place)} is being edited: left as it is"
    if text:
        rename_no_replace(descriptor, new, descriptor, LISTING, way=way)
    os.fsync(descriptor)
    remove_own_files(descriptor, (old,))
    journal.note_listing(connection, tree.root, place, wanted, only=True)
    return ""


def _text(connection: sqlite3.Connection, root: bytes, folder: bytes) -> bytes:
    """Return the listing of what lies in a destination now; empty where nothing does."""
    moved = journal.moved_below(connection, root, folder)
    if not moved:
        return b""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for plan_id, move in moved:
        below = move.destination[len(folder) + 1 :]
        shown = (display_path(path) for path in (below, move.source, move.keeper))
        writer.writerow(
            [
                *map(neutral_cell, shown),
                move.size_bytes,
                move.content_hash,
                neutral_cell(plan_id),
                percent_encoded(move.source),
            ]
        )
    return stream.getvalue().encode()


def _write(folder: int, name: bytes, text: bytes, *, mode: int) -> None:
    descriptor = at.open_at(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | at.O_CLOEXEC, mode, dir_fd=folder)
    try:
        view = memoryview(text)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash(folder: int, name: bytes) -> str:
    """Return the content hash of a file; '' where there is none, 'no file' where it is something else."""
    try:
        descriptor = open_regular(name, dir_fd=folder)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno is not None:
            raise
        return "no file"
    try:
        return hash_descriptor(descriptor)
    finally:
        os.close(descriptor)
