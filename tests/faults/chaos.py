"""Random trees, plans and crowds: what must hold whatever they are."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from dupkit.moves import journal
from dupkit.moves.apply import apply_plan
from dupkit.moves.choose import Choice, Group, Picture, choose_moves
from dupkit.moves.journal import Move, Outcome
from dupkit.moves.names import EXACT_FOLDER, MAYBE_FOLDER
from dupkit.moves.undo import undo_plan
from tests.faults.album import PLAN_ID, Album, digest, snapshot
from tests.faults.trapped_ends import crowd
from tests.faults.traps import rewrite

HOSTILE = (
    b"a\nb", b"\xff\xfe", b"x" * 251, b"-rf", b"--", b" ", b"...", b"a\\x0a", b"\xc3\xa9", b"e\xcc\x81", b"'=1+1",
    b"=cmd", b"\x1b[31m", b"\xe2\x80\xae gpj", b"CON", b"moved.csv", b"exact duplicates copy", b"a;b", b"$(rm)", b"*",
    b"\xf0\x9f\x98\x80" * 60,
)  # fmt: skip
"""Parts of names: newlines, no UTF-8, the longest, NFC and NFD twins, dashes, escapes, formulas."""


def random_tree(random: Random) -> tuple[dict[bytes, bytes], tuple[Move, ...]]:
    """Return files with hostile names, duplicates among them, and the moves of a right plan."""
    folders = [b""]
    for _ in range(random.randrange(4)):
        parent = random.choice(folders)
        name = random.choice(HOSTILE)[:250]
        folders.append((parent + b"/" if parent else b"") + name)
    folders = [folder for folder in folders if folder.count(b"/") < 8]
    files: dict[bytes, bytes] = {}
    moves: list[Move] = []
    for number in range(random.randrange(1, 6)):
        data = b"%d " % number * random.randrange(1, 2000)
        paths = []
        for _ in range(random.randrange(1, 4)):
            folder = random.choice(folders)
            name = (random.choice(HOSTILE)[:200] + b"%d" % random.randrange(10**6) + b".jpg")[-255:]
            path = (folder + b"/" if folder else b"") + name
            if path not in files and path not in folders:
                files[path] = data if random.random() < 0.7 else data + b"%d" % len(files)
                paths.append(path)
        if not paths:
            continue
        keeper, *others = paths
        for source in others:
            top = EXACT_FOLDER if random.random() < 0.5 else MAYBE_FOLDER
            facts = (len(files[source]), digest(files[source]), keeper, digest(files[keeper]))
            moves.append(Move(len(moves), source, top + b"/" + source, *facts))
    return files, tuple(moves)


def round_trip(place: Path, seed: int) -> list[str]:
    """Apply and undo a random plan over a random tree; every other tree is edited by somebody meanwhile."""
    random = Random(seed)
    files, moves = random_tree(random)
    place.mkdir(parents=True, exist_ok=True)
    album = Album(place, files=files, moves=moves)
    album.template = place / f"template {seed}"
    album.build()
    edited = _edit(album, random) if seed % 2 else set()
    before = snapshot(album.root)
    batch = random.randrange(1, 5)
    outcome = apply_plan(PLAN_ID, decode_check=lambda _root, _path: "", batch_moves=batch)
    faults = _kept(album, outcome, before)
    for move in outcome.moves:
        was_edited = bool(edited & {move.source, move.keeper})
        if was_edited == (move.status == journal.MOVED):
            faults.append(f"{move.source!r} is {move.status} ({move.message}), edited: {was_edited}")
    undo_plan(PLAN_ID, batch_moves=batch)
    if snapshot(album.root) != before:
        faults.append("undo did not lead back to the first tree")
    for path in album.template.iterdir():
        path.unlink()
    album.template.rmdir()
    return [f"tree {seed}: {fault}" for fault in faults]


def _edit(album: Album, random: Random) -> set[bytes]:
    """Change some files so that only their bytes tell: same size, same modification time."""
    edited = set()
    for path in album.files:
        if random.random() < 0.3:
            full = Path(os.fsdecode(os.path.join(os.fsencode(album.root), path)))
            rewrite(full, _flipped(full.read_bytes()))
            edited.add(path)
    return edited


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _kept(album: Album, outcome: Outcome, before: dict[bytes, tuple[str, int, int, int, int]]) -> list[str]:
    """Return the moved files whose keeper is not in its place with the bytes that it had when the plan was made."""
    after = snapshot(album.root)
    faults = []
    for move in outcome.moves:
        if move.status == journal.MOVED:
            keeper = after.get(move.keeper)
            if keeper is None or keeper[0] != move.keeper_hash:
                faults.append(f"{move.source!r} moved without a kept copy")
            if after[move.destination][:4] != before[move.source][:4]:
                faults.append(f"{move.source!r} changed on its way")
    return faults


def random_plan(random: Random) -> tuple[list[Group], list[tuple[int, int, float]], dict[int, Picture]]:
    """Return groups, pairs and pictures as wrong as a caller can make them: overlapping, hard-linked, broken."""
    n_images = random.randrange(2, 9)
    hashes = ["h0", "h1", "h2", "h3"]
    folders = (b"", b"a/", b"ref/", b"../", b"exact duplicates/")
    pictures = {
        image: Picture(
            random.choice(folders) + b"%d.jpg" % image,
            0 if random.random() < 0.05 else 10,
            1,
            random.randrange(n_images) if random.random() < 0.2 else 100 + image,
            "" if random.random() < 0.05 else random.choice(hashes),
            "broken" if random.random() < 0.05 else "",
        )
        for image in range(n_images)
    }
    pairs = [
        (a, b, random.choice((0.0, 10.0)))
        for a in range(n_images)
        for b in range(a + 1, n_images)
        if random.random() < 0.4
    ]
    groups = []
    for _ in range(random.randrange(1, 4)):
        members = random.sample(range(n_images), random.randrange(1, n_images + 1))
        groups.append(Group(tuple(members), random.choice(members)))
    return groups, pairs, pictures


def plan_faults(
    groups: list[Group], pairs: list[tuple[int, int, float]], pictures: dict[int, Picture], choices: list[Choice]
) -> list[str]:
    """Return what a plan says that would lose a picture, found out the slow way."""
    ties: dict[int, set[int]] = {image: {image} for image in pictures}
    for a, b, _ in pairs:
        ties[a].add(b)
        ties[b].add(a)
    going = [choice for choice in choices if not choice.refusal]
    moved = {choice.image_id for choice in going}
    moved_files = {(pictures[image].device, pictures[image].inode) for image in moved}
    faults = []
    if len(moved) != len(going):
        faults.append("a picture moves twice")
    for choice in going:
        picture, keeper = pictures[choice.image_id], pictures[choice.keeper]
        reached, seen = [choice.image_id], {choice.image_id}
        while reached:
            for other in ties[reached.pop()] - seen:
                seen.add(other)
                reached.append(other)
        if choice.keeper in moved or (keeper.device, keeper.inode) in moved_files:
            faults.append(f"{choice}: its keeper moves")
        if choice.keeper not in seen:
            faults.append(f"{choice}: no chain to its keeper")
        for one in (picture, keeper):
            if one.error or not one.size_bytes or not one.content_hash or one.path.startswith(b"exact duplicates/"):
                faults.append(f"{choice}: {one} cannot be trusted")
        if picture.path.startswith((b"../", b"ref/")):
            faults.append(f"{choice}: it may not move")
    return faults


def random_plans(n_plans: int, seed: int) -> list[str]:
    """Make random plans and return what is wrong with them."""
    random = Random(seed)
    faults: list[str] = []
    for _ in range(n_plans):
        groups, pairs, pictures = random_plan(random)
        choices = choose_moves(groups, pairs, pictures, reference=[b"ref"])
        faults += plan_faults(groups, pairs, pictures, choices)
    return faults


def crowds(place: Path, n_runs: int, seed: int) -> list[str]:
    """Let two to eight processes apply and undo the same plan at once, again and again."""
    random = Random(seed)
    faults: list[str] = []
    for run in range(n_runs):
        faults += crowd(place, n_processes=random.randrange(2, 9), seed=seed + run)
    return faults
