"""Carry files to their places in batches: intent durable, check, rename, folders durable, end durable."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice

from dupkit.files import display_path
from dupkit.moves import journal
from dupkit.moves.copying import copy_across
from dupkit.moves.failures import RefusalError, at_path, describe_failure, near_path
from dupkit.moves.journal import Move, Plan
from dupkit.moves.proof import Facts, KeeperProof, facts_of, opened_file
from dupkit.moves.rename import rename_no_replace, unlink_second_name
from dupkit.moves.tree import Tree, split_path

BATCH_MOVES = 256
"""Moves that share the waits for the disk: measured, more gain little, and a crash leaves at most these to settle."""

Check = Callable[[Move, int], tuple[Facts, KeeperProof | None, str]]
"""Takes a move and its opened file; returns its facts, the proof where one is needed, and a message for people."""


@dataclass
class Carrier:
    """One run over one tree: the plan, the direction, what is checked before each rename."""

    tree: Tree
    connection: sqlite3.Connection
    plan: Plan
    check: Check
    undoing: bool = False
    batch_moves: int = BATCH_MOVES
    on_moved: Callable[[int], object] | None = None
    """Called with the number of moves that ended since the last call."""
    notes: list[str] = field(default_factory=list)
    left_open: bool = False
    """Whether an intent could be neither finished nor taken back: its status stays, recovery settles it."""

    def start_of(self, move: Move) -> bytes:
        """Return where a move's file lies before the rename."""
        return move.destination if self.undoing else move.source

    def end_of(self, move: Move) -> bytes:
        """Return where a move's file lies after the rename."""
        return move.back_to if self.undoing else move.destination

    def carry(self, bundles: Iterable[Sequence[Move]]) -> None:
        """Carry every bundle (a picture and its side files): all of it moves, or none.

        What stops one bundle (a refusal, an error of the operating system) is its moves' message. Whatever else is
        raised leaves intents in the journal for :func:`dupkit.moves.recovery.settle_plan`.
        """
        ended: list[Move] = []
        for batch in _batches(bundles, self.batch_moves):
            ready: list[list[Move]] = []
            refused: list[Move] = []
            folders: dict[bytes, None] = {}
            for bundle in batch:
                try:
                    intents = []
                    for move in bundle:
                        with near_path(self.start_of(move)):
                            intents.append(self._intent(move))
                        folders |= dict.fromkeys(self.tree.missing_folders(split_path(self.end_of(move))[0]))
                except (RefusalError, OSError) as error:
                    refused += self._not_moved(bundle, error)
                else:
                    ready.append(intents)
            journal.write_batch(
                self.connection,
                self.plan.plan_id,
                ended=ended,
                intents=[move for bundle in ready for move in bundle],
                folders=folders,
            )
            ended = [*refused, *self._settle_folders([move for bundle in ready for move in self._bundle(bundle)])]
            if self.on_moved is not None:
                self.on_moved(len(ended))
        journal.write_batch(self.connection, self.plan.plan_id, ended=ended)

    def _intent(self, move: Move) -> Move:
        """Return a move as intent: which file it is about."""
        start = self.start_of(move)
        found = self.tree.lstat(start)
        if found is None:
            raise RefusalError(f"{display_path(start)}: ENOENT: it is not there any more")
        # Free when the intent is written: then a second name found by recovery can only be ours.
        if self.tree.lstat(self.end_of(move)) is not None:
            raise FileExistsError(errno.EEXIST, "the place is taken", self.end_of(move))
        status = journal.UNDOING if self.undoing else journal.MOVING
        return replace(move, status=status, message="", identity=facts_of(found).identity, copy_identity="")

    def _bundle(self, bundle: list[Move]) -> list[Move]:
        """Check and rename the files of one bundle; return its moves as they ended."""
        done: list[tuple[Move, str]] = []
        proofs: list[KeeperProof] = []
        try:
            with ExitStack() as opened:
                checked = []
                for move in bundle:
                    descriptor = opened.enter_context(opened_file(self.tree, self.start_of(move)))
                    facts, proof, message = self.check(move, descriptor)
                    if facts.identity != move.identity:
                        raise RefusalError(f"{display_path(self.start_of(move))} was replaced while it was checked")
                    proofs += [proof] if proof is not None else []
                    checked.append((move, facts, message))
                for move, facts, message in checked:
                    done.append((move, message))
                    with near_path(self.end_of(move)):
                        self._relocate(move, facts)
                for proof in proofs:
                    proof.check_again(self.tree)
        except (RefusalError, OSError) as error:
            stuck = self._put_back([move for move, _ in done])
            if not stuck:
                return self._not_moved(bundle, error)
            back = (self._end_status(moved=False), "it was put back")
            ends = {move.move_id: stuck.get(move.move_id, back) for move in bundle}
            why = describe_failure(error)
            return [journal.ended(move, ends[move.move_id][0], f"{why}; {ends[move.move_id][1]}") for move in bundle]
        return [journal.ended(move, self._end_status(moved=True), message) for move, message in done]

    def _end_status(self, *, moved: bool) -> str:
        if self.undoing:
            return journal.UNDONE if moved else journal.MOVED
        return journal.MOVED if moved else journal.FAILED

    def _not_moved(self, bundle: Sequence[Move], error: Exception) -> list[Move]:
        status = journal.SKIPPED if isinstance(error, RefusalError) else journal.FAILED
        if self.undoing:
            status = journal.MOVED  # where it was; the message says why
        return [journal.ended(move, status, describe_failure(error)) for move in bundle]

    def _relocate(self, move: Move, facts: Facts) -> None:
        """Rename one checked file, and take it back where another one came into its place meanwhile."""
        start, end = self.start_of(move), self.end_of(move)
        (start_folder, start_name), (end_folder, end_name) = split_path(start), split_path(end)
        self.tree.make_folder(end_folder, like=start_folder if not self.undoing else _without_top(start_folder))
        self.tree.touched(start_folder)
        self.tree.touched(end_folder)
        try:
            with at_path(end):
                # Tried in the destination, never in a folder of the user's, where both are one mount.
                way = self.tree.way(start_folder if self.undoing else end_folder, self.plan.plan_id)
                rename_no_replace(
                    self.tree.folder(start_folder), start_name, self.tree.folder(end_folder), end_name, way=way
                )
        except OSError as error:
            if not self._arrived(start, end, facts):
                copied = copy_across(self.tree, self.connection, self.plan, move, start, end, facts, error)
                self.notes += [f"{display_path(end)}: not kept on the other device: {copied}"] if copied else []
                return
        landed = self.tree.lstat(end)
        if landed is None or facts_of(landed).identity != facts.identity:
            raise RefusalError(f"{display_path(start)} was replaced while it was moved")

    def _arrived(self, start: bytes, end: bytes, facts: Facts) -> bool:
        """Return whether a rename that reported an error happened all the same (a lost answer of a network mount)."""
        there = self.tree.lstat(end)
        return there is not None and facts_of(there).identity == facts.identity and self.tree.lstat(start) is None

    def _put_back(self, moves: list[Move]) -> dict[int, tuple[str, str]]:
        """Take moved files of a bundle back; return, by move, the status and the reason of one that could not be."""
        stuck = {}
        for move in reversed(moves):
            start, end = self.start_of(move), self.end_of(move)
            (start_folder, start_name), (end_folder, end_name) = split_path(start), split_path(end)
            try:
                there, here = self.tree.lstat(end), self.tree.lstat(start)
                if there is None:
                    continue  # it never left
                back, away = self.tree.folder(start_folder), self.tree.folder(end_folder)
                if here is None:
                    way = self.tree.way(start_folder if self.undoing else end_folder, self.plan.plan_id)
                    with at_path(start):
                        rename_no_replace(away, end_name, back, start_name, way=way)
                elif facts_of(here).identity == move.identity:
                    unlink_second_name(away, end_name, back, start_name)
                    if self.plan.across_devices and facts_of(there).identity != move.identity:
                        # Perhaps our copy: the journal knows, and recovery asks it.
                        self.left_open = True
                        stuck[move.move_id] = (move.status, f"{display_path(end)} is not settled yet")
                elif facts_of(there).identity == move.identity:
                    words = f"its place was taken meanwhile, so it lies at {display_path(end)}"
                    stuck[move.move_id] = (self._end_status(moved=True), words)
            except OSError as error:
                self.left_open = True
                stuck[move.move_id] = (move.status, f"it could not be put back: {describe_failure(error)}")
        return stuck

    def _back_from_strayed_folders(self, moves: list[Move]) -> list[Move]:
        """Take files back whose new folder somebody moved away meanwhile: it is open, but not under its path."""
        moved = self._end_status(moved=True)
        folders = {split_path(self.end_of(move))[0] for move in moves if move.status == moved}
        strayed = {folder: why for folder in folders if (why := self.tree.why_strayed(folder))}
        if not strayed:
            return moves
        settled = []
        for move in moves:
            folder = split_path(self.end_of(move))[0]
            if move.status == moved and folder in strayed:
                stuck = self._put_back([move]).get(move.move_id)
                status, words = stuck or (self._end_status(moved=False), "it was put back")
                settled.append(journal.ended(move, status, f"its new folder went away: {strayed[folder]}; {words}"))
            else:
                settled.append(move)
        for folder in strayed:
            self.tree.forget(folder)
        return settled

    def _settle_folders(self, moves: list[Move]) -> list[Move]:
        """Make the folders of a batch durable; say so at the moves whose folders could not be."""
        moves = self._back_from_strayed_folders(moves)
        failures = self.tree.sync()
        if not failures:
            return moves
        settled = []
        for move in moves:
            folders = {split_path(move.source)[0], split_path(move.destination)[0]} & set(failures)
            words = "; ".join(f"not sure to survive a power loss: {failures[folder]}" for folder in sorted(folders))
            settled.append(replace(move, message="; ".join(filter(None, [move.message, words]))))
        return settled


def _without_top(folder: bytes) -> bytes:
    return folder.partition(b"/")[2]


def _batches(bundles: Iterable[Sequence[Move]], n_moves: int) -> Iterator[list[Sequence[Move]]]:
    """Cut bundles into batches of about ``n_moves`` bundles."""
    iterator = iter(bundles)
    while batch := list(islice(iterator, n_moves)):
        yield batch
