"""States to review, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dupkit.review import ReviewState
from tests.review.tables import letters, make_images, make_pairs


@pytest.fixture
def open_state() -> Iterator[Callable[..., ReviewState]]:
    """Open a state on images and pairs (a small album where not given); several of them share one database."""
    opened = []

    def make(images=None, pairs=None, **options) -> ReviewState:
        images = make_images(letters(8)) if images is None else images
        if pairs is None:
            pairs = make_pairs([(0, 1, 0.0), (1, 2, 100.0), (2, 3, 300.0), (4, 5, 450.0), (5, 6, 700.0)])
        opened.append(ReviewState(images, None, pairs, **options))
        return opened[-1]

    yield make
    for state in opened:
        state.decisions.close()
