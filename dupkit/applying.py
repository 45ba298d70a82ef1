"""Apply moves with the decoder that shows a keeper opens: where ``scan`` and ``moves`` meet, for notebooks."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dupkit import moves as mover
from dupkit.moves.proof import DecodeCheck
from dupkit.scan import check_decodes


def apply_moves(
    moves: pd.DataFrame | str,
    *,
    confirm: int | None = None,
    decode_check: DecodeCheck = check_decodes,
    on_moved: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Move the files of a plan and return the moves table with what became of each.

    Every file and its keeper are read again before the file moves; what changed since the scan stays. Nothing is ever
    overwritten, and :func:`dupkit.undo_moves` brings everything back.

    Parameters
    ----------
    moves : DataFrame or str
        Moves table of :func:`dupkit.plan_moves`; or the id of a stored plan.
    confirm : int, optional
        The number of moves, needed where they are more than half of the pictures under the root or 10,000 files.
    decode_check : callable (root, path) -> str
        Decodes a keeper that holds other bytes than its duplicate; returns '' or why it does not decode.
    on_moved : callable, optional
        Called with the number of moves that ended since the last call.

    Returns
    -------
    DataFrame
        Moves table; ``attrs["notes"]`` and ``attrs["recovered"]`` say what else should be known.

    Raises
    ------
    ConfirmationNeededError
        ``confirm`` is needed and missing, or is another number; nothing moved.
    RootLockedError
        Another process moves files under the same root.
    """
    return mover.apply_moves(moves, confirm=confirm, decode_check=decode_check, on_moved=on_moved)
