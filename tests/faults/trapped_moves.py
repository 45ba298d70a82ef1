"""Traps for apply: what changes before, between and after the checks, and plans that no plan may be."""

from __future__ import annotations

import os
from pathlib import Path

from dupkit.moves import carry, journal
from dupkit.moves.apply import apply_plan
from dupkit.moves.journal import Move
from tests.faults.album import FILES, PLAN_ID, content, digest
from tests.faults.sweep import apply, undo, without_kernel_rename
from tests.faults.traps import before_rename, expect, fresh, once, replaced, rewrite, same, trap


@trap
def destination_appears(place: Path) -> list[str]:
    album = fresh(place)
    target = album.root / "exact duplicates" / "2019" / "a.jpg"
    with before_rename(once(lambda: target.write_bytes(b"somebody else's"))):
        outcome = apply()
    return [
        *expect(outcome, 0, ("failed",), "EEXIST"),
        *expect(outcome, 3, ("moved",)),
        *same(target, b"somebody else's"),
        *same(album.root / "2019" / "a.jpg", content(1)),
    ]


@trap
def destination_appears_without_kernel_rename(place: Path) -> list[str]:
    with without_kernel_rename():
        return destination_appears(place)


@trap
def keeper_edited(place: Path) -> list[str]:
    faults = []
    for keeper, move_ids, other in (("a", (0, 3), content(1)), ("m", (2,), content(2))):
        album = fresh(place)
        rewrite(album.root / "keep" / f"{keeper}.jpg", other[:-1] + b"!")
        outcome = apply()
        for move_id in move_ids:
            faults += expect(outcome, move_id, ("skipped",), f"keep/{keeper}.jpg")
    return faults


@trap
def keeper_edited_in_the_window(place: Path) -> list[str]:
    faults = []
    for after in (False, True):
        album = fresh(place)
        keeper = album.root / "keep" / "a.jpg"
        with before_rename(once(lambda keeper=keeper: rewrite(keeper, content(1)[:-1] + b"!")), after=after):
            outcome = apply()
        faults += expect(outcome, 0, ("skipped",), "keep/a.jpg")
        faults += same(album.root / "2019" / "a.jpg", content(1))
    return faults


@trap
def keeper_gone_in_the_window(place: Path) -> list[str]:
    album = fresh(place)
    with before_rename(once((album.root / "keep" / "a.jpg").unlink)):
        outcome = apply()
    return [
        *expect(outcome, 0, ("skipped",), "keep/a.jpg"),
        *expect(outcome, 3, ("skipped",), "keep/a.jpg"),
        *same(album.root / "2019" / "a.jpg", content(1)),
        *same(album.root / "a copy.jpg", content(1)),
    ]


@trap
def keeper_replaced(place: Path) -> list[str]:
    faults = []
    for kind in ("link", "folder", "fifo", "gone", "file"):
        album = fresh(place)
        replaced(album.root / "keep" / "a.jpg", kind, album.root / "other" / "keeper.jpg")
        outcome = apply()
        faults += [f"{kind}: {fault}" for fault in expect(outcome, 0, ("skipped",), "keep/a.jpg")]
    return faults


@trap
def source_edited(place: Path) -> list[str]:
    faults = []
    for number, path in ((0, "2019/a.jpg"), (2, "2019/may/naïve\udcff.jpg")):
        album = fresh(place)
        source = album.root / path
        edited = source.read_bytes()[:-1] + b"!"
        rewrite(source, edited)
        outcome = apply()
        faults += [*expect(outcome, number, ("skipped",)), *same(source, edited)]
    return faults


@trap
def source_replaced_in_the_window(place: Path) -> list[str]:
    faults = []
    for kind in ("file", "link", "folder", "fifo", "gone"):
        album = fresh(place)
        source, elsewhere = album.root / "2019" / "a.jpg", album.root / "other" / "away.jpg"
        with before_rename(once(lambda s=source, e=elsewhere, k=kind: replaced(s, k, e))):
            outcome = apply()
        faults += [f"{kind}: {fault}" for fault in expect(outcome, 0, ("skipped", "failed"))]
        faults += same(elsewhere, content(1))
        if kind != "gone" and not os.path.lexists(source):
            faults.append(f"{kind}: what had come into the source's place is gone from there")
    return faults


@trap
def source_replaced(place: Path) -> list[str]:
    faults = []
    for kind in ("link", "folder", "fifo", "gone", "file"):
        album = fresh(place)
        source = album.root / "a copy.jpg"
        replaced(source, kind, album.root / "other" / "away.jpg")
        outcome = apply()
        faults += [f"{kind}: {fault}" for fault in expect(outcome, 3, ("skipped",), "a copy.jpg")]
    return faults


@trap
def hard_link_of_the_keeper(place: Path) -> list[str]:
    album = fresh(place)
    copy = album.root / "a copy.jpg"
    copy.unlink()
    os.link(album.root / "keep" / "a.jpg", copy)
    outcome = apply()
    return [*expect(outcome, 3, ("skipped",), "hard link"), *same(copy, content(1))]


@trap
def folder_becomes_a_link(place: Path) -> list[str]:
    faults = []
    outside = place / "outside"
    album = fresh(place)
    (album.root / "2019").rename(outside)
    (album.root / "2019").symlink_to(outside)
    outcome = apply()
    faults += expect(outcome, 0, ("failed", "skipped"))
    faults += same(outside / "a.jpg", content(1))
    (album.root / "2019").unlink()
    album = fresh(place)
    target = place / "target"
    target.mkdir(exist_ok=True)
    (album.root / "exact duplicates").symlink_to(target)
    outcome = apply()
    faults += expect(outcome, 0, ("failed", "skipped"))
    faults += [f"{name} was written through a link" for name in os.listdir(target)]
    for left in (outside / "may", outside):
        for path in left.iterdir():
            path.unlink() if path.is_file() else None
        left.rmdir()
    target.rmdir()
    return faults


@trap
def keeper_does_not_decode(place: Path) -> list[str]:
    fresh(place)
    faults = []
    for check in (lambda _root, _path: "truncated", None):
        outcome = apply_plan(PLAN_ID, decode_check=check)
        faults += expect(outcome, 2, ("skipped",), "keep/m.jpg")
        fresh(place)
    return faults


@trap
def side_file_cannot_follow(place: Path) -> list[str]:
    album = fresh(place)
    target = album.root / "exact duplicates" / "2019" / "a.xmp"
    with before_rename(once(lambda: target.write_bytes(b"somebody else's"))):
        outcome = apply()
    return [
        *expect(outcome, 0, ("failed",), "EEXIST"),
        *same(album.root / "2019" / "a.jpg", content(1)),
        *same(album.root / "2019" / "a.xmp", FILES[b"2019/a.xmp"]),
        *same(target, b"somebody else's"),
    ]


@trap
def keeper_moves_itself(place: Path) -> list[str]:
    """A plan that names each of two copies as the other's keeper moves neither."""
    sizes = (len(content(1)), digest(content(1)))
    moves = (
        Move(0, b"2019/a.jpg", b"exact duplicates/2019/a.jpg", *sizes, b"a copy.jpg", sizes[1]),
        Move(1, b"a copy.jpg", b"exact duplicates/a copy.jpg", *sizes, b"2019/a.jpg", sizes[1]),
    )
    album = fresh(place / "pair", moves=moves)
    outcome = apply()
    return [*expect(outcome, 0, ("skipped",)), *expect(outcome, 1, ("skipped",)), *album.check()]


@trap
def two_roots_name_each_others_keeper(place: Path) -> list[str]:
    """Two plans under nested roots, so two locks: the second runs whole in the first one's window."""
    sizes = (len(content(1)), digest(content(1)))
    album = fresh(
        place / "nested",
        moves=(Move(0, b"a copy.jpg", b"exact duplicates/a copy.jpg", *sizes, b"2019/a.jpg", sizes[1]),),
    )
    inner = journal.Plan("inner", os.fsencode(album.root / "2019"), journal.now(), 100)
    with journal.opened_journal() as connection:
        journal.store_plan(
            connection, inner, [Move(0, b"a.jpg", b"exact duplicates/a.jpg", *sizes, b"../a copy.jpg", sizes[1])]
        )
    real = carry.rename_no_replace

    def second() -> None:
        carry_now = carry.rename_no_replace
        carry.rename_no_replace = real
        apply_plan("inner")
        carry.rename_no_replace = carry_now

    with before_rename(once(second)):
        apply()
    left = [p for p in ("a copy.jpg", "2019/a.jpg") if (album.root / p).exists()]
    return [] if left else ["both copies moved"]


@trap
def source_place_taken_while_the_keeper_changes(place: Path) -> list[str]:
    """A move that must be taken back and cannot be: the journal says where the file is, undo brings it beside."""
    album = fresh(place)
    source, keeper = album.root / "a copy.jpg", album.root / "keep" / "a.jpg"
    seen: list[bytes] = []

    def spoil(target: bytes) -> None:
        seen.append(target)
        if target == b"a copy.jpg" and seen.count(target) == 1:
            source.write_bytes(b"new")
            rewrite(keeper, content(1)[:-1] + b"!")

    with before_rename(spoil, after=True):
        outcome = apply()
    faults = [*expect(outcome, 3, ("moved",), "keep/a.jpg", "its place was taken"), *same(source, b"new")]
    faults += same(album.root / "exact duplicates" / "a copy.jpg", content(1))
    undone = undo()
    return [
        *faults,
        *expect(undone, 3, ("undone",), "a copy (restored).jpg"),
        *same(album.root / "a copy (restored).jpg", content(1)),
        *same(source, b"new"),
    ]


@trap
def destination_folder_moved_away(place: Path) -> list[str]:
    """Somebody renames the destination while files go there: they come back to where they were."""
    faults = []
    for act, end, was in ((apply, "exact duplicates", "a copy.jpg"), (undo, "2019", "exact duplicates/2019/a.jpg")):
        album = fresh(place)
        if act is undo:
            apply()
        with before_rename(once(lambda end=end, album=album: (album.root / end).rename(place / "away")), after=True):
            act()
        faults += same(album.root / was, content(1))
        gone = ("left over", "b'2019' ", "b'2019/may' ")  # the folders themselves, which are away
        faults += [f"{act.__name__}: {fault}" for fault in album.check() if not fault.startswith(gone)]
        (place / "away").rename(album.root / "away")
    return faults
