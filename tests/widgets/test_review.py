"""The page's messages in both directions, without a browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dupkit.schema import empty_table
from dupkit.widgets import ReviewWidget
from dupkit.widgets.review import SCRIPTS, STATIC, read_script

MakeWidget = Callable[..., ReviewWidget]


def test_first_answer_holds_facts_status_and_the_first_pair(make_widget: MakeWidget) -> None:
    widget = make_widget()
    hello = widget.comm.ask("hello")
    assert hello["facts"]["words"] == ["8 images", "stored below RMS 1,000", "fast sampling"]
    assert hello["status"]["threshold"] == 500
    assert hello["status"]["counts"] == {
        "pairs": 4,
        "groups": 3,
        "files": 4,
        "bytes": hello["status"]["counts"]["bytes"],
    }
    assert (hello["pair"]["a"]["path"], hello["pair"]["b"]["path"]) == ("a.jpg", "b.jpg")
    assert hello["upcoming"] == [(2, 3), (3, 4), (5, 6)]


def test_lookups_hold_the_counts_of_every_step(make_widget: MakeWidget) -> None:
    widget = make_widget()
    lookups = [np.frombuffer(part, dtype="<f8") for part in widget.comm.ask("lookups")["buffers"]]
    assert [len(part) for part in lookups] == [1001] * 4
    for threshold in (0, 1, 120, 121, 500, 701, 1000):
        counts = widget.state.counts_at(threshold)
        wanted = [counts[name] for name in ("n_pairs", "n_groups", "n_files", "n_bytes")]
        assert [part[threshold] for part in lookups] == wanted


def test_threshold_goes_both_ways_without_an_echo(make_widget: MakeWidget) -> None:
    widget = make_widget()
    browser = widget.comm
    browser.set_threshold(150.0)
    assert widget.state.threshold == widget.threshold == 150
    n_updates = len(browser.updates("threshold"))
    widget.threshold = 200.0
    assert widget.state.threshold == 200
    assert browser.updates("threshold")[n_updates:] == [200.0]
    widget.state.threshold = 250.0
    assert widget.threshold == 250
    assert browser.pushed()[-1]["status"]["threshold"] == 250


def test_a_threshold_beyond_what_is_stored_comes_back_as_the_largest_one(make_widget: MakeWidget) -> None:
    widget = make_widget()
    widget.comm.set_threshold(5000.0)
    assert widget.threshold == widget.state.threshold == 1000


@pytest.mark.parametrize(
    ("act", "decision", "next_position"),
    [("approve", "approved", 1), ("reject", "rejected", 1), ("skip", "skipped", 1), ("keep_both", "rejected", 1)],
)
def test_a_decision_is_stored_before_the_next_pair_shows(
    make_widget: MakeWidget, act: str, decision: str, next_position: int
) -> None:
    widget = make_widget()
    stored_when_sent: list[int] = []
    publish = widget.comm.publish_msg

    def look(*args: Any, **keys: Any) -> None:
        stored_when_sent.append(len(widget.state.decisions.read()))
        publish(*args, **keys)

    widget.comm.publish_msg = look
    answer = widget.comm.ask("act", act=act, position=0)
    assert stored_when_sent[-1] == 1
    assert answer["pair"]["position"] == next_position
    assert widget.state.decision_of(0) == decision


def test_a_decision_is_about_the_pair_that_was_seen(make_widget: MakeWidget) -> None:
    widget = make_widget()
    widget.state.go_to(3)
    widget.comm.ask("act", act="approve", position=1)
    assert [widget.state.decision_of(position) for position in range(4)] == ["", "approved", "", ""]


@pytest.mark.parametrize(("act", "keeper"), [("keep_left", 0), ("keep_right", 1)])
def test_keep_left_and_right_choose_the_keeper(make_widget: MakeWidget, act: str, keeper: int) -> None:
    widget = make_widget()
    widget.comm.ask("act", act=act, position=0)
    groups = widget.state.approved_groups()
    assert groups.loc[groups["is_keeper"], "image_id"].tolist() == [keeper]


def test_undo_takes_the_last_step_back(make_widget: MakeWidget) -> None:
    widget = make_widget()
    widget.comm.ask("act", act="approve", position=0)
    answer = widget.comm.ask("act", act="undo", position=1)
    assert widget.state.decision_of(0) == ""
    assert answer["pair"]["position"] == 0


def test_undo_of_nothing_says_so(make_widget: MakeWidget) -> None:
    assert make_widget().comm.ask("act", act="undo", position=0)["words"] == "Nothing to undo"


def test_going_about(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    assert browser.ask("go", where="previous")["words"] == "This is the first pair of the list."
    assert browser.ask("go", where="next")["pair"]["position"] == 1
    assert browser.ask("go", where="position", position=3)["pair"]["position"] == 3
    assert browser.ask("go", where="next")["words"] == "This is the last pair of the list."
    assert browser.ask("go", where="undecided")["pair"]["position"] == 0


def test_filters_and_order_reach_the_list(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    answer = browser.ask("show", filters={"show": "structure"})
    assert answer["status"]["n_visible"] == 1
    assert browser.ask("rows", start=0, stop=10)["rows"][0]["proposed"] is True
    answer = browser.ask("show", filters={"show": "below", "verdict": "same picture"}, order="-rms")
    none = {"folder": "", "name": "", "size": "", "chosen": "", "rms_from": "", "rms_to": ""}
    assert [row["position"] for row in browser.ask("rows", start=0, stop=10)["rows"]] == [2, 1]
    assert answer["status"]["filters"] == {"show": "below", "decision": "", "verdict": "same picture", **none}
    answer = browser.ask("show", filters={"verdict": "", "folder": "trip/"})
    assert answer["status"]["n_visible"] == 3


def test_undecided_only(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    assert browser.ask("show", filters={"decision": "undecided"})["status"]["n_visible"] == 3
    assert browser.ask("show", filters={"decision": "approved"})["status"]["n_visible"] == 1


def test_a_chain_is_marked_and_can_be_cut(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    group = browser.ask("go", where="position", position=1)["pair"]["group"]
    assert (group["n_members"], group["chain"], group["largest_rms"]) == (3, True, 700)
    pair = browser.ask("act", act="cut", position=1)["pair"]
    assert pair["group"]["n_members"] == 2


def test_keeper_by_hand(make_widget: MakeWidget) -> None:
    widget = make_widget()
    pair = widget.comm.ask("keeper", position=0, image=0)["pair"]
    assert pair["a"]["keeper"]
    assert "by hand" in pair["a"]["reason"]
    pair = widget.comm.ask("keeper", position=0, image=1)["pair"]
    assert pair["b"]["keeper"]


def test_keeper_rules_change_the_counts(make_widget: MakeWidget) -> None:
    widget = make_widget()
    answer = widget.comm.ask("keeper_rules", rules=["path", "size"])
    assert answer["lookups_changed"]
    assert answer["status"]["keeper_rules"] == ["reference", "size", "path"]
    assert widget.comm.problem("keeper_rules", rules=["prettiest"]).startswith("keeper_rules: 'prettiest' is no rule")


def test_a_bulk_rule_is_seen_first_and_undone_as_one_step(make_widget: MakeWidget) -> None:
    widget = make_widget()
    rules = [words for _, words in widget.comm.ask("hello")["facts"]["bulk_rules"]]
    rule = str(next(place for place, words in enumerate(rules) if "same pictures below" in words))
    preview = widget.comm.ask("preview_rule", rule=rule, folder="")
    assert (preview["words"], preview["decide"]) == ("2 pairs would be approved", "Approve these 2 pairs")
    assert preview["rows"][0]["images"] == [2, 3]
    assert preview["rows"][0]["cells"] == ["120", "same picture", "c.jpg", "trip/d.jpg", ""]
    assert widget.comm.ask("rule_counts", folder="")["counts"] == [1, 0, 2, 1, None, None]
    assert widget.comm.ask("rule_counts", folder="trip")["counts"] == [1, 0, 2, 1, 2, 1]
    assert widget.state.tally()["approved"] == 0
    none = widget.comm.ask("preview_rule", rule="1", folder="")
    assert (none["words"], none["rows"]) == ("0 pairs would be approved", [])
    # What is decided is what was seen.
    widget.comm.ask("act", act="skip", position=0)
    stale = widget.comm.ask("apply_rule", rule=rule, folder="", n_pairs=3)
    assert stale["words"] == "The preview showed 3 pairs, now it is 2: look again first."
    assert widget.state.tally()["approved"] == 0
    widget.comm.ask("apply_rule", rule=rule, folder="", n_pairs=preview["n_pairs"])
    assert widget.state.tally()["approved"] == 2
    widget.comm.ask("act", act="undo", position=0)
    assert widget.state.tally()["approved"] == 0


def test_a_bulk_rule_that_needs_a_folder_says_so(make_widget: MakeWidget) -> None:
    widget = make_widget()
    rules = [words for _, words in widget.comm.ask("hello")["facts"]["bulk_rules"]]
    assert "needs one" in widget.comm.problem("preview_rule", rule=str(len(rules) - 1), folder="")


def test_problems_are_one_line_each(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    assert browser.problem("nonsense") == "ask: 'nonsense' is no question of this page; reload it"
    assert browser.problem("act", act="explode", position=0).startswith("act: 'explode' is unknown; allowed are")
    assert "\n" not in browser.problem("picture", image=99, side=100)


def test_messages_that_are_no_questions_are_passed_over(make_widget: MakeWidget) -> None:
    widget = make_widget()
    n_sent = len(widget.comm.sent)
    widget.comm.receive({"method": "custom", "content": "hello"})
    widget.comm.receive({"method": "custom", "content": {"id": 3}})
    assert len(widget.comm.sent) == n_sent


def test_questions_come_from_another_thread_than_the_cells(make_widget: MakeWidget) -> None:
    """JupyterLab asks through a subshell; SQLite's connections were opened by the cell's thread."""
    widget = make_widget()
    problems: list[BaseException] = []

    def decide(position: int) -> None:
        try:
            widget.comm.ask("act", act="approve", position=position)
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=decide, args=(position,)) for position in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert widget.state.tally()["approved"] == 4


def test_reopening_picks_up_where_one_stopped(make_widget: MakeWidget) -> None:
    first = make_widget()
    first.comm.set_threshold(321.0)
    first.comm.ask("act", act="approve", position=0)
    first.comm.ask("go", where="position", position=2)
    again = make_widget().comm.ask("hello")
    assert again["status"]["threshold"] == 321
    assert again["pair"]["position"] == 2
    assert again["status"]["tally"]["approved"] == 1


def test_two_windows_see_each_other_after_a_refresh(make_widget: MakeWidget) -> None:
    one, other = make_widget(), make_widget()
    one.comm.ask("act", act="approve", position=0)
    other.comm.ask("act", act="reject", position=3)
    assert one.comm.ask("refresh")["status"]["tally"] == {"approved": 1, "rejected": 1, "skipped": 0}
    assert other.comm.ask("refresh")["status"]["tally"] == {"approved": 1, "rejected": 1, "skipped": 0}
    assert other.comm.ask("refresh")["words"] == "No other window has decided anything."


def test_a_cell_that_decides_shows_on_the_page(make_widget: MakeWidget) -> None:
    widget = make_widget()
    widget.state.approve()
    assert widget.comm.pushed()[-1]["status"]["tally"]["approved"] == 1
    assert widget.comm.pushed()[-1]["pair"]["position"] == 1


@pytest.mark.parametrize("n_pairs", [0, 1])
def test_no_pair_and_one_pair(make_widget: MakeWidget, album: Any, n_pairs: int) -> None:
    pairs = album.pairs.head(n_pairs).copy()
    pairs.attrs.update(album.pairs.attrs)
    browser = make_widget(pairs=pairs).comm
    hello = browser.ask("hello")
    assert (hello["pair"] is None) == (n_pairs == 0)
    assert browser.ask("plot", width=600)["buffers"][0].startswith(b"\x89PNG")
    assert len(browser.ask("rows", start=0, stop=10)["rows"]) == n_pairs
    for act in ("approve", "undo", "skip"):
        browser.ask("act", act=act, position=hello["pair"]["position"] if n_pairs else -1)
    assert browser.ask("go", where="next")["status"]["n_visible"] == n_pairs
    assert browser.ask("calibration", threshold=500)["words"]


def test_no_image_at_all(make_widget: MakeWidget, tmp_path: Path) -> None:
    images, pairs = empty_table("images"), empty_table("pairs")
    images.attrs.update(root=str(tmp_path), sampling="fast")
    browser = make_widget(images=images, histograms=None, pairs=pairs).comm
    assert browser.ask("hello")["facts"]["words"][0] == "0 images"
    assert browser.ask("plan")["words"] == "Nothing to move: no pair is approved yet."


def test_unreadable_files_are_listed_with_their_reason(make_widget: MakeWidget, album: Any) -> None:
    images = album.images.copy()
    images.loc[7, "error"] = "cut short"
    pairs = album.pairs.head(5)
    browser = make_widget(images=images, pairs=pairs).comm
    assert browser.ask("hello")["facts"]["n_unreadable"] == 1
    assert browser.ask("unreadable")["rows"] == [["trip/h.jpg", "cut short"]]


def test_a_bound_that_was_lowered_shows(make_widget: MakeWidget, album: Any) -> None:
    pairs = album.pairs.head(4).copy()
    pairs.attrs.update(max_rms=612.4, requested_max_rms=1000.0)
    facts = make_widget(pairs=pairs).comm.ask("hello")["facts"]
    assert facts["max_threshold"] == 612
    assert "stored below RMS 612 (not 1,000: more pairs than were allowed)" in facts["words"]


def test_the_front_end_is_one_module_without_network_or_markup() -> None:
    script = read_script()
    assert {path.stem for path in STATIC.glob("*.js")} == set(SCRIPTS)
    assert script.rstrip().endswith("export default { render };")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", r"document\.write", r"\beval\(", r"\bfetch\("):
        found = re.search(forbidden, script)
        assert found is None, found
    assert not re.search(r"https?://", script + ReviewWidget._css)
    for path in STATIC.glob("*.js"):
        assert len(path.read_text("utf-8").splitlines()) < 400, path.name
