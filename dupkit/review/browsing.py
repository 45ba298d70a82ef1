"""Look and go about: threshold, counts, the list of pairs, the pair in view, and where one stopped.

The list of pairs stays as it is while pairs are decided, also where its filter is about decisions; a change of filter,
order or threshold and ``refresh`` make it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import traitlets

from dupkit.pairs.measures import MEASURES
from dupkit.review.calibration import band_edges
from dupkit.review.decisions import DECISION_WORDS, Decisions, Step, open_decisions
from dupkit.review.grouping import GROUPINGS
from dupkit.review.groups import check_threshold, image_positions, proposed_by_structure
from dupkit.review.keepers import KEEPER_RULES, check_rules, in_reference, keeper_order
from dupkit.review.listing import Listing, check_filters, check_order
from dupkit.review.standing import Standing
from dupkit.review.thresholds import ThresholdCounts, count_thresholds, link_pairs
from dupkit.schema import check_table, table_root

_CHUNK = 4096


class Browsing(traitlets.HasTraits):
    """The tables of a scan as a list of pairs to go through.

    Parameters
    ----------
    images, histograms, pairs : DataFrame
        The tables of one scan; ``pairs`` sorted by rms.
    rms_counts, nearest, thumbnails : DataFrame, optional
        Kept for the page as they are.
    decisions : Decisions, optional
        Where decisions are stored; the database of the state folder where not given.
    threshold : float, optional
        The threshold to begin with; else that of the last session in this folder, else the measure's.
    keeper_rules : sequence of str, optional
        See :func:`dupkit.review.keepers.check_rules`; else those of the last session, else the usual ones.

    Attributes
    ----------
    threshold : float
        The slider, 0 to ``max_rms``.
    current : int
        Row of ``pairs`` in view; -1 none.
    order : str
        Sort key of the list, one of :data:`dupkit.review.listing.ORDERS`.
    filters : dict
        See :mod:`dupkit.review.listing`.
    grouping : str
        '' for a list of pairs; one of :data:`dupkit.review.grouping.GROUPINGS` for a list of groups: ``visible`` then
        holds the pairs of one group after another.
    keeper_rules : list of str
    revision : int
        Rises with each change of decisions.
    list_revision : int
        Rises whenever ``visible`` is made anew.
    n_visible : int
        Length of ``visible``.
    message : str
        What just happened, for people.
    visible : ndarray of int64
        Rows of ``pairs`` in the list, in its order.

    Raises
    ------
    ValueError
        A table is not of the schema, ``pairs`` is not sorted by rms, or the threshold is not between 0 and max_rms.
    """

    threshold = traitlets.Float(0.0)
    current = traitlets.Int(-1)
    order = traitlets.Unicode("rms")
    filters = traitlets.Dict()
    grouping = traitlets.Unicode("")
    keeper_rules = traitlets.List(traitlets.Unicode())
    revision = traitlets.Int(0)
    list_revision = traitlets.Int(0)
    n_visible = traitlets.Int(0)
    message = traitlets.Unicode("")

    def __init__(
        self,
        images: pd.DataFrame,
        histograms: pd.DataFrame | None,
        pairs: pd.DataFrame,
        *,
        rms_counts: pd.DataFrame | None = None,
        nearest: pd.DataFrame | pd.Series | None = None,
        thumbnails: pd.DataFrame | None = None,
        decisions: Decisions | None = None,
        threshold: float | None = None,
        keeper_rules: Sequence[str] | None = None,
    ) -> None:
        check_table(images, "images")
        check_table(pairs, "pairs")
        self.images, self.histograms, self.pairs = images, histograms, pairs
        self.rms_counts, self.nearest, self.thumbnails = rms_counts, nearest, thumbnails
        self.root = table_root(images, "images")
        self.rms = pairs["rms"].to_numpy()
        if (np.diff(self.rms) < 0).any():
            msg = "pairs: the table must be sorted by rms, but is not; sort it by rms, image_a, image_b"
            raise ValueError(msg)
        self.measure = str(pairs["measure"].iloc[0]) if len(pairs) else str(pairs.attrs.get("measure", "rms"))
        self.sampling = str(images.attrs.get("sampling", "fast"))
        measure = MEASURES[self.measure]
        # What the measure compares in place of the bins: whoever explains a pair needs it.
        self.transform = measure.transform
        self.max_rms = int(np.floor(pairs.attrs.get("max_rms", measure.max_rms)))
        if threshold is not None and not check_threshold(threshold) <= self.max_rms:
            msg = f"threshold: {threshold} is above max_rms {self.max_rms}, where pairs end; scan with a larger max_rms"
            raise ValueError(msg)
        self.first, self.second = image_positions(pairs, images)
        self.by_structure = proposed_by_structure(pairs)
        self.reference = in_reference(images)
        counted = ~self.by_structure
        self._counted_rms = self.rms[counted]
        self._linkage = link_pairs(self.first[counted], self.second[counted], self._counted_rms, len(images))
        self.decisions = open_decisions(images) if decisions is None else decisions
        self.standing = Standing(images, self.first, self.second, self.decisions.root)
        self._listing = Listing(pairs, images, self.first, self.second, self.by_structure, self.standing.by_images)
        # Steps of this session; earlier ones are looked up, the latest below this decision_id first.
        self._batches: list[Step] = []
        self._undo_before = 0
        self._seen = 0
        self._ready = False
        self._path: list[str] = images["path"].tolist()
        self._hash: list[str] = images["content_hash"].tolist()
        self.visible = np.zeros(0, dtype=np.int64)
        self._place: np.ndarray | None = None
        super().__init__()
        self._load()
        self._resume(threshold, keeper_rules, measure.threshold)
        self._ready = True

    # What a setter may not be given

    @traitlets.validate("threshold")
    def _valid_threshold(self, proposal: traitlets.Bunch) -> float:
        return min(check_threshold(proposal["value"]), float(self.max_rms))

    @traitlets.validate("order")
    def _valid_order(self, proposal: traitlets.Bunch) -> str:
        return check_order(proposal["value"])

    @traitlets.validate("filters")
    def _valid_filters(self, proposal: traitlets.Bunch) -> dict[str, object]:
        return check_filters(proposal["value"])

    @traitlets.validate("grouping")
    def _valid_grouping(self, proposal: traitlets.Bunch) -> str:
        value = str(proposal["value"])
        if value and value not in GROUPINGS:
            msg = f"grouping: {value!r} is none; allowed are '' (a list of pairs), {', '.join(GROUPINGS)}"
            raise ValueError(msg)
        return value

    @traitlets.validate("keeper_rules")
    def _valid_rules(self, proposal: traitlets.Bunch) -> list[str]:
        return list(check_rules(proposal["value"]))

    @traitlets.validate("current")
    def _valid_current(self, proposal: traitlets.Bunch) -> int:
        value = int(proposal["value"])
        return value if 0 <= value < len(self.pairs) else -1

    @traitlets.observe("threshold", "order", "filters", "grouping")
    def _relist(self, _change: object = None) -> None:
        if self._ready:
            self._make_list()
            self._remember_view()

    @traitlets.observe("keeper_rules")
    def _recount(self, _change: object = None) -> None:
        rank = keeper_order(self.images, self.keeper_rules).rank
        self.counts: ThresholdCounts = count_thresholds(
            self._linkage, self._counted_rms, self.images, rank, self.reference
        )
        if self._ready:
            if self.grouping:
                self._make_list()
            self._remember_view()

    @traitlets.observe("current")
    def _current_changed(self, _change: object = None) -> None:
        if self._ready:
            self._remember_view()

    # Lookups

    def counts_at(self, threshold: float) -> dict[str, int]:
        """Return ``n_pairs``, ``n_groups``, ``n_files`` that would move and their ``n_bytes`` below a threshold."""
        return self.counts.at(threshold)

    def curve(self) -> dict[str, np.ndarray]:
        """Return ``threshold`` 0 to max_rms in steps of 1, and ``pairs``, ``groups``, ``files``, ``bytes`` below it."""
        return self.counts.curve(self.max_rms)

    def counts_by_folder(self, threshold: float) -> pd.DataFrame:
        """Return folder, n_files and n_bytes of the files that would move, most bytes first."""
        return self.counts.by_folder(threshold)

    def tally(self) -> dict[str, int]:
        """Return how many pairs stand approved, rejected and skipped."""
        return {word: int(self.standing.counts[code]) for code, word in enumerate(DECISION_WORDS[1:4], start=1)}

    def decision_of(self, position: int) -> str:
        """Return the standing decision of a pair: approved, rejected, skipped, or '' undecided."""
        return DECISION_WORDS[int(self.standing.code[position])]

    def row_of_image(self, image_id: int) -> int:
        """Return the row of ``images`` that an image stands in.

        Raises
        ------
        ValueError
            There is no such image.
        """
        row = int(self.images.index.get_indexer(pd.Index([image_id]))[0])
        if row < 0:
            msg = f"image_id: {image_id!r} is no image of this scan; take it from images.index"
            raise ValueError(msg)
        return row

    # Moving about

    def go_to(self, position: int) -> None:
        """Bring a pair into view, in the list or not."""
        self.current = position

    def next_pair(self) -> bool:
        """Go to the next pair of the list; return False at its end."""
        return self._step(1)

    def previous_pair(self) -> bool:
        """Go to the previous pair of the list; return False at its start."""
        return self._step(-1)

    def _step(self, by: int) -> bool:
        place = self.place_of(self.current) + by
        if not 0 <= place < len(self.visible):
            return False
        self.current = int(self.visible[place])
        return True

    def next_undecided(self) -> bool:
        """Go to the next undecided pair of the list, from its start again after its end; return False if none is."""
        start = self.place_of(self.current) + 1
        for low, high in ((start, len(self.visible)), (0, start)):
            for chunk in range(low, high, _CHUNK):
                rows = self.visible[chunk : min(chunk + _CHUNK, high)]
                undecided = np.flatnonzero(self.standing.code[rows] == 0)
                if len(undecided):
                    self.current = int(rows[undecided[0]])
                    return True
        return False

    def next_band(self) -> bool:
        """Go to the first pair of the list in the next band of rms; return False if there is none."""
        if self.current < 0 or not len(self.visible):
            return False
        edges = self.band_edges()
        right = edges[min(int(np.searchsorted(edges, self.rms[self.current], side="right")), len(edges) - 1)]
        beyond = np.flatnonzero(self.rms[self.visible] >= right)
        if not len(beyond):
            return False
        self.current = int(self.visible[beyond[np.argmin(self.rms[self.visible[beyond]])]])
        return True

    def band_edges(self) -> np.ndarray:
        """Return the edges of the rms bands that precision is estimated in, ascending, float64."""
        return band_edges(MEASURES[self.measure].threshold, float(self.max_rms))

    def place_of(self, position: int) -> int:
        """Return the place of a pair in the list; -1 if it is not there."""
        if self._place is None:
            self._place = np.full(len(self.pairs), -1, dtype=np.int64)
            self._place[self.visible] = np.arange(len(self.visible))
        return int(self._place[position]) if 0 <= position < len(self._place) else -1

    def _make_list(self) -> None:
        self.visible = self._arranged(self._found(self.filters, self.order))
        self._place = None
        self.n_visible = len(self.visible)
        self.list_revision += 1
        if self.current < 0 and len(self.visible):
            self.current = int(self.visible[0])

    def _found(self, filters: Mapping[str, object], order: str) -> np.ndarray:
        standing = self.standing
        before = {"approved before": standing.approved_before, "rejected before": standing.rejected_before}
        return self._listing.positions(filters, order, self.threshold, standing.code, before)

    def _arranged(self, positions: np.ndarray) -> np.ndarray:
        """Return the pairs of the list as they are shown."""
        return positions

    # Where one stopped, and what others did

    def refresh(self) -> int:
        """Take in what other notebooks and processes decided; return how many rows were read. Makes the list anew."""
        n_read = self._load()
        self._make_list()
        self.revision += 1
        return n_read

    def _load(self) -> int:
        with self.decisions.lock:
            stored = self.decisions.read(after=self._seen)
            self.standing.load(stored)
            if stored:
                self._seen = stored[-1][0]
        if not self._ready:
            self._undo_before = self._seen + 1
        return len(stored)

    def _view_name(self) -> str:
        return f"view {self.measure} {self.sampling}"

    def _remember_view(self) -> None:
        pair = None
        if self.current >= 0:
            pair = [self._path[self.first[self.current]], self._path[self.second[self.current]]]
        view = {
            "threshold": self.threshold,
            "order": self.order,
            "filters": {name: value for name, value in self.filters.items() if name != "positions"},
            "grouping": self.grouping,
            "keeper_rules": self.keeper_rules,
            "current": pair,
        }
        self.decisions.remember(self._view_name(), view)

    def _resume(self, threshold: float | None, keeper_rules: Sequence[str] | None, usual: float) -> None:
        kept = self.decisions.recall(self._view_name())
        view: Mapping[str, Any] = kept if isinstance(kept, dict) else {}
        self.keeper_rules = list(KEEPER_RULES if keeper_rules is None else keeper_rules)
        self.threshold = min(usual, self.max_rms) if threshold is None else threshold
        given = {"threshold"} if threshold is not None else set()
        given |= {"keeper_rules"} if keeper_rules is not None else set()
        for name in ("threshold", "order", "filters", "grouping", "keeper_rules"):
            if name in view and name not in given:
                # What an older or newer dupkit remembered may mean nothing here: then the usual stays.
                with suppress(ValueError, TypeError, traitlets.TraitError):
                    setattr(self, name, view[name])
        self._make_list()
        match view.get("current"):
            case [str(path_a), str(path_b)]:
                position = self.standing.position_of(path_a, path_b)
                self.current = position if position >= 0 else self.current
