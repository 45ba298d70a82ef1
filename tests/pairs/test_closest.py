import numpy as np
import pytest

from dupkit.pairs.closest import ClosestPairs


def answer(closest):
    first, second, rms = closest.finish()
    return sorted(zip(rms.tolist(), first.tolist(), second.tolist(), strict=True)), closest.bound, closest.lowered


def expected(pairs, bound, max_pairs):
    below = sorted(pair for pair in pairs if pair[0] < bound)
    if len(below) <= max_pairs:
        return below, bound, False
    bound = below[max_pairs - 1][0]
    return [pair for pair in below if pair[0] < bound], bound, True


@pytest.mark.parametrize("max_pairs", [1, 7, 3000, 5000, 19_999, 20_000])
@pytest.mark.parametrize("n_distances", [3, 500, 10**9])
def test_any_order_and_any_parts_lead_to_the_same_bound(max_pairs, n_distances):
    # 20,000 pairs in parts of all sizes, by one holder and by tasks that hold their own, with few and many ties.
    rng = np.random.default_rng(max_pairs)
    rms = rng.integers(1, n_distances, 20_000, endpoint=True).astype(float)
    second = np.arange(20_000)
    wanted = expected(list(zip(rms.tolist(), [0] * 20_000, second.tolist(), strict=True)), np.inf, max_pairs)
    for _ in range(3):
        order = rng.permutation(20_000)
        parts = np.split(order, np.sort(rng.integers(0, 20_000, 9)))
        one, by_tasks = ClosestPairs(np.inf, max_pairs), ClosestPairs(np.inf, max_pairs)
        for part in parts:
            for holder in (one, task := ClosestPairs(by_tasks.bound, max_pairs)):
                below = part[rms[part] < holder.bound]
                holder.add(np.zeros(len(below), dtype=np.int64), second[below], rms[below])
            by_tasks.lower(task.bound if task.lowered else np.inf)
            held = task.held()
            by_tasks.lower(task.bound)
            by_tasks.add(*held)
        assert answer(one) == wanted
        assert answer(by_tasks) == wanted


def test_nothing_added_is_nothing_held():
    assert answer(ClosestPairs(5.0, 3)) == ([], 5.0, False)
