"""Measure moves a second: ``python -m benchmarks.moves [N_MOVES] [N_FOLDERS] [SIZE_BYTES] [DIR]``; files of its own."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

from dupkit.moves import apply_plan, journal, undo_plan
from dupkit.moves.journal import Move, Plan


def main(n_moves: int = 4_000, n_folders: int = 40, size_bytes: int = 20_000, place: str | None = None) -> None:
    """Apply and undo byte-identical duplicates, their state beside them on the same disk."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root = Path(folder) / "root"
        os.environ["DUPKIT_STATE"] = str(Path(folder) / "state")
        filler = os.urandom(size_bytes)
        moves = []
        for number in range(n_moves):
            data = filler + b"%d" % number
            source, keeper = f"f{number % n_folders}/{number}.jpg", f"kept/{number}.jpg"
            for path in (source, keeper):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            where = b"exact duplicates/" + source.encode()
            moves.append(Move(number, source.encode(), where, len(data), digest, keeper.encode(), digest))
        os.sync()
        with journal.opened_journal() as connection:
            journal.store_plan(connection, Plan("benchmark", os.fsencode(root), journal.now(), 2 * n_moves), moves)
        for name, act in (
            ("apply", lambda: apply_plan("benchmark", confirm=n_moves)),
            ("undo", lambda: undo_plan("benchmark")),
        ):
            start = time.perf_counter()
            act()
            seconds = time.perf_counter() - start
            print(f"{name}: {n_moves:,} moves in {seconds:.2f} s, {n_moves / seconds:,.0f} a second")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:5])
