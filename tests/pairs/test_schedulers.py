"""One answer from every scheduler; a stop or an interrupt ends a search and says what was covered."""

import threading

import dask
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info

from dupkit import candidate_pairs, nearest_neighbours, rms_counts
from dupkit.pairs import MEASURES, running
from dupkit.schema import build_histograms


@pytest.fixture(scope="module")
def histograms():
    rng = np.random.default_rng(0)
    centres = rng.dirichlet(np.full(256, 0.3), (60, 3)).reshape(60, 768)
    rows = np.repeat(centres, 5, axis=0) * 480_000
    rows[:, :255] += (noise := rng.normal(0, 200, (300, 255)).clip(-rows[:, :255], rows[:, 1:256]))
    rows[:, 1:256] -= noise
    rows = np.abs(rows)
    rows.reshape(300, 3, 256)[:] *= 480_000 / rows.reshape(300, 3, 256).sum(axis=2, keepdims=True)
    return build_histograms(rows.astype(np.float32), index=rng.permutation(300))


@pytest.fixture(scope="module")
def expected(histograms):
    return {
        name: candidate_pairs(histograms, measure=name, max_rms=bound, scheduler="synchronous", progress=False)
        for name, bound in (("rms", 2000.0), ("hellinger", 14.0))
    }


def assert_same(histograms, expected, scheduler=None):
    for name, pairs in expected.items():
        assert len(pairs) > 100
        got = candidate_pairs(
            histograms, measure=name, max_rms=pairs.attrs["max_rms"], scheduler=scheduler, progress=False, tile_size=40
        )
        pd.testing.assert_frame_equal(got, pairs)


@pytest.mark.parametrize("scheduler", [None, "threads", "synchronous", "sync", "processes"])
def test_schedulers_by_name(histograms, expected, scheduler):
    assert_same(histograms, expected, scheduler)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_the_configured_scheduler_is_used(histograms, expected, scheduler, monkeypatch):
    used = []
    run = running.Runner.run
    monkeypatch.setattr(running.Runner, "run", lambda self, *args: used.append(self.get.__module__) or run(self, *args))
    with dask.config.set(scheduler=scheduler):
        assert_same(histograms, expected)
    assert set(used) == {{"synchronous": "dask.local", "threads": "dask.threaded"}[scheduler]}


def test_a_cluster_active_named_or_by_address(histograms, expected):
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        assert_same(histograms, expected)
        assert_same(histograms, {"rms": expected["rms"]}, client)
        assert_same(histograms, {"rms": expected["rms"]}, cluster.scheduler_address)
        with pytest.warns(UserWarning, match="more than 50 pairs"):
            few = candidate_pairs(histograms, max_rms=2000.0, max_pairs=50, progress=False)
    assert few["rms"].tolist() == expected["rms"]["rms"].tolist()[:49]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_any_number_of_threads(histograms, expected, n_threads):
    with dask.config.set(num_workers=n_threads):
        assert_same(histograms, expected, "threads")


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_blas_thread_from_any_thread_until_the_last_user_leaves():
    # threadpoolctl 3.7 ignores the limits of every thread but the first that set one, unless that one gives it up.
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def use():
        with running.one_blas_thread():
            inside.set()
            leave.wait(20)

    for _ in range(2):
        with running.one_blas_thread():
            assert set(blas_threads()) == {1}
            other = threading.Thread(target=use)
            other.start()
            assert inside.wait(20)
        assert set(blas_threads()) == {1}
        leave.set()
        other.join()
        assert blas_threads() == before
        inside.clear()
        leave.clear()
        alone = threading.Thread(target=use)
        alone.start()
        assert inside.wait(20)
        assert set(blas_threads()) == {1}
        leave.set()
        alone.join()
        assert blas_threads() == before
        inside.clear()
        leave.clear()


def test_overlapping_searches_leave_blas_as_it_was(histograms):
    before = blas_threads()
    searches = [
        threading.Thread(target=candidate_pairs, args=(histograms,), kwargs={"progress": False}) for _ in range(3)
    ]
    for thread in searches:
        thread.start()
    for thread in searches:
        thread.join()
    assert blas_threads() == before


def stop_after(n_calls):
    calls = []

    def stop():
        calls.append(True)
        return len(calls) > n_calls

    return stop


@pytest.mark.parametrize("n_waves", [-1, 0, 1, 2])
def test_a_stop_returns_what_was_found_and_says_what_was_covered(histograms, expected, n_waves, monkeypatch):
    monkeypatch.setattr(running, "WAVE_SECONDS", 0.0)
    with pytest.warns(UserWarning, match=r"stopped; \d+% of the pairs were compared"):
        got = candidate_pairs(
            histograms,
            max_rms=2000.0,
            tile_size=10,
            scheduler="synchronous",
            progress=False,
            stop=stop_after(1 + n_waves),  # the first one is asked while the features are made
        )
    assert not got.attrs["complete"]
    assert got.attrs["covered"] < 1
    assert (got.attrs["covered"] > 0) == (n_waves > 0)
    keys = ["image_a", "image_b", "rms"]
    merged = got[keys].merge(expected["rms"][keys], on=keys)
    assert len(merged) == len(got) < len(expected["rms"])
    assert (len(got) > 0) == (n_waves > 0)


def test_an_interrupt_says_what_was_covered(histograms):
    for n_calls, message in ((0, "before any of 44,850 pairs were"), (1, "after 0% of 44,850 pairs were")):
        stop = stop_after(n_calls)

        def interrupt(stop=stop):
            if stop():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt, match=f"stopped {message} compared"):
            candidate_pairs(histograms, progress=False, stop=interrupt)


def test_an_unused_stop_changes_nothing(histograms, expected):
    got = candidate_pairs(histograms, max_rms=2000.0, progress=False, stop=threading.Event().is_set)
    pd.testing.assert_frame_equal(got, expected["rms"])


def test_a_bar_appears_for_long_searches_only(histograms, capsys, monkeypatch):
    candidate_pairs(histograms)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(running, "BAR_DELAY_SECONDS", 0)
    candidate_pairs(histograms)
    assert "Comparing images" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(MEASURES))
def test_counts_and_neighbours_do_not_depend_on_the_scheduler(histograms, name):
    for function in (rms_counts, nearest_neighbours):
        wanted = function(histograms, measure=name, scheduler="synchronous", progress=False)
        pd.testing.assert_frame_equal(function(histograms, measure=name, progress=False), wanted)
