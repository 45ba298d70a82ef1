"""Plan which duplicates move where: a table to read before anything moves."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from dupkit.files import display_path, path_from_display
from dupkit.moves.choose import Choice, Group, Picture, choose_moves
from dupkit.moves.names import EXACT_FOLDER, MAYBE_FOLDER, is_reserved, place_files, split_name
from dupkit.moves.sides import Disk, has_content
from dupkit.moves.tree import split_path
from dupkit.schema import build_table, check_table, table_root

SIDE_FILE_RULES = ("move", "refuse")
"""What to do with side files: take them along where that loses nothing, or leave their pictures where they are."""

_PLAN_ID_BYTES = 5
"""Random bytes of a plan's id: short enough to type, too many for two plans of one person to meet."""


def plan_moves(
    groups: pd.DataFrame,
    pairs: pd.DataFrame,
    images: pd.DataFrame,
    *,
    across_devices: bool = False,
    side_files: str = "move",
) -> pd.DataFrame:
    """Return the moves table for groups of approved pairs; nothing is moved, written or changed.

    Each group keeps its keeper. A picture that a chain of pairs with RMS 0 ties to it goes to ``exact duplicates/``,
    the others to ``maybe duplicates/``, both under the root, with their sub-path; a name that is taken there gets a
    number. Pictures outside the root and in reference folders stay. Unreadable, empty and unhashed files, hard links of
    a keeper and pictures that no chain of pairs ties to their keeper are listed as skipped, with the reason.

    Side files (.xmp, .aae, camera raw or .mov of the same stem) are looked for on the disk and listed behind their
    picture. Settings (.xmp, .aae) go along. A raw file or film goes along only where the keeper has the same one, byte
    for byte, under its own stem; else the picture stays.

    Parameters
    ----------
    groups : DataFrame
        Groups table over the approved pairs only.
    pairs : DataFrame
        Pairs table, the approved pairs only.
    images : DataFrame
        Images table.
    across_devices : bool
        Whether a file may be copied to another device and its source removed, where a rename cannot reach.
    side_files : {"move", "refuse"}
        "refuse": a picture with a side file stays.

    Returns
    -------
    DataFrame
        Moves table in order of the source's path, each picture followed by its side files; status planned or skipped.
        ``attrs``: root, plan_id, n_images and what ``save_plan`` needs. The id is new each time.

    Raises
    ------
    TypeError, ValueError
        A table is not the schema's, a group has not exactly one keeper, or an image is unknown.
    """
    check_table(groups, "groups")
    check_table(pairs, "pairs")
    check_table(images, "images")
    if side_files not in SIDE_FILE_RULES:
        msg = f"side_files must be one of {', '.join(map(repr, SIDE_FILE_RULES))}, but is {side_files!r}"
        raise ValueError(msg)
    root = table_root(images, "images")
    pictures = _pictures(images, groups)
    reference = [path_from_display(folder) for folder in images.attrs.get("reference", ())]
    edges = zip(pairs["image_a"].tolist(), pairs["image_b"].tolist(), pairs["rms"].tolist(), strict=True)
    choices = choose_moves(_groups(groups), edges, pictures, reference=reference)
    choices.sort(key=lambda choice: pictures[choice.image_id].path)
    draft = _Draft(Disk(os.fsencode(root)), pictures, frozenset(images["path_bytes"]), side_files)
    draft.add(choices)
    attrs = {
        "root": root,
        "plan_id": secrets.token_hex(_PLAN_ID_BYTES),
        "n_images": sum(not path.startswith(b"../") for path in images["path_bytes"]),
        "across_devices": across_devices,
        "keeper_hashes": draft.keeper_hashes,
        "side_of": draft.side_of,
    }
    return build_table("moves", draft.columns(), attrs=attrs)


def _groups(groups: pd.DataFrame) -> list[Group]:
    """Return the groups of a groups table.

    Raises
    ------
    ValueError
        A group has no keeper or more than one.
    """
    members: dict[int, list[int]] = {}
    keepers: dict[int, list[int]] = {}
    rows = zip(groups["group_id"].tolist(), groups["image_id"].tolist(), groups["is_keeper"].tolist(), strict=True)
    for group_id, image_id, is_keeper in rows:
        members.setdefault(group_id, []).append(image_id)
        if is_keeper:
            keepers.setdefault(group_id, []).append(image_id)
    for group_id in members:
        n_keepers = len(keepers.get(group_id, []))
        if n_keepers != 1:
            msg = (
                f"groups: group {group_id} has {n_keepers} keepers, it must have one; set is_keeper in one of its rows"
            )
            raise ValueError(msg)
    return [Group(tuple(images), keepers[group_id][0]) for group_id, images in members.items()]


def _pictures(images: pd.DataFrame, groups: pd.DataFrame) -> dict[int, Picture]:
    """Return the facts of the images that stand in groups.

    Raises
    ------
    ValueError
        An image of a group is not in the images table.
    """
    wanted = pd.Index(groups["image_id"].unique())
    unknown = wanted.difference(images.index)
    if len(unknown):
        msg = f"groups: image_id {unknown[0]} is not in images; pass the images table that the groups were made from"
        raise ValueError(msg)
    rows = images.loc[wanted, ["path_bytes", "size_bytes", "device", "inode", "content_hash", "error"]]
    columns = [rows[name].tolist() for name in rows.columns]
    return {
        image_id: Picture(*facts) for image_id, facts in zip(wanted.tolist(), zip(*columns, strict=True), strict=True)
    }


@dataclass
class _Row:
    source: bytes
    destination: bytes
    size_bytes: int
    content_hash: str
    keeper: bytes
    refusal: str
    message: str = ""


@dataclass
class _Draft:
    """The rows of a plan while it is made."""

    disk: Disk
    pictures: Mapping[int, Picture]
    all_paths: frozenset[bytes]
    side_rule: str
    rows: list[_Row] = field(default_factory=list)
    keeper_hashes: dict[str, str] = field(default_factory=dict)
    side_of: dict[int, int] = field(default_factory=dict)
    _taken: set[bytes] = field(default_factory=set)

    def add(self, choices: list[Choice]) -> None:
        """Add the rows of all choices, pictures and their side files."""
        paths = {choice.image_id: self.pictures[choice.image_id].path for choice in choices}
        refusals = {choice.image_id: choice.refusal for choice in choices}
        sources = set(paths.values())
        contents: dict[int, list[_Row]] = {}
        for choice in choices:
            if not refusals[choice.image_id]:
                try:
                    contents[choice.image_id] = self._content_files(choice, sources)
                except (_StaysError, OSError) as reason:
                    refusals[choice.image_id] = str(reason)
        moving = {paths[image] for image, refusal in refusals.items() if not refusal}
        claimed: set[bytes] = set()
        for choice in choices:
            sides: list[_Row] = []
            refusal = refusals[choice.image_id]
            if not refusal:
                try:
                    sides = [*contents[choice.image_id], *self._settings_files(choice, moving, claimed)]
                except (_StaysError, OSError) as reason:
                    refusal, sides = str(reason), []
            self._add_bundle(choice, refusal, sides)

    def _add_bundle(self, choice: Choice, refusal: str, sides: list[_Row]) -> None:
        picture, keeper = self.pictures[choice.image_id], self.pictures[choice.keeper]
        folder, name = split_path(picture.path)
        top = EXACT_FOLDER if choice.exact else MAYBE_FOLDER
        places = place_files(
            top + b"/" + folder if folder else top,
            [name, *(split_path(side.source)[1] for side in sides)],
            split_name(name)[0],
            lambda path: path in self._taken or is_reserved(path) or self.disk.exists(path),
        )
        self._taken.update(places)
        main = len(self.rows)
        if keeper.content_hash != picture.content_hash:
            self.keeper_hashes[display_path(keeper.path)] = keeper.content_hash
        self.rows.append(_Row(picture.path, places[0], picture.size_bytes, picture.content_hash, keeper.path, refusal))
        for side, place in zip(sides, places[1:], strict=True):
            side.destination = place
            self.side_of[len(self.rows)] = main
            self.rows.append(side)

    def _content_files(self, choice: Choice, sources: set[bytes]) -> list[_Row]:
        """Return the rows of a picture's raw files and films, for which the keeper must have the same beside it."""
        keeper = self.pictures[choice.keeper].path
        found = []
        for side in self.disk.side_files(self.pictures[choice.image_id].path):
            if self.side_rule == "refuse":
                raise _StaysError(f"{display_path(side)} belongs to it (side_files='refuse')")
            # A raw file that is a picture of the plan moves or stays by its own row.
            if not has_content(side) or side == keeper or side in sources:
                continue
            if self._stays_with_another(side, self.pictures[choice.image_id].path, sources):
                continue
            size_bytes, content_hash = self.disk.size_and_hash(side)
            twin = self._twin(side, keeper, size_bytes, content_hash)
            if twin is None:
                msg = f"{display_path(side)} belongs to it, and the keeper {display_path(keeper)} has no copy of that"
                raise _StaysError(msg)
            found.append(_Row(side, b"", size_bytes, content_hash, twin, ""))
        return found

    def _stays_with_another(self, side: bytes, picture: bytes, moving: set[bytes]) -> bool:
        """Return whether a side file belongs to another picture too, which stays, so that it is no orphan."""
        others = (other for other in self.disk.pictures_of(side) if other != picture and other in self.all_paths)
        return any(other not in moving for other in others)

    def _twin(self, side: bytes, keeper: bytes, size_bytes: int, content_hash: str) -> bytes | None:
        extension = split_name(side)[1].lower()
        for other in self.disk.side_files(keeper):
            same_kind = split_name(other)[1].lower() == extension and other != side
            if same_kind and self.disk.size_and_hash(other) == (size_bytes, content_hash):
                return other
        return None

    def _settings_files(self, choice: Choice, moving: set[bytes], claimed: set[bytes]) -> list[_Row]:
        """Return the rows of a picture's settings, unless a picture that stays needs them too."""
        picture = self.pictures[choice.image_id].path
        keeper = self.pictures[choice.keeper].path
        found = []
        for side in self.disk.side_files(picture):
            if has_content(side) or side in claimed:
                continue
            if self._stays_with_another(side, picture, moving):
                continue
            size_bytes, content_hash = self.disk.size_and_hash(side)
            found.append(_Row(side, b"", size_bytes, content_hash, keeper, ""))
        claimed.update(row.source for row in found)
        return found

    def columns(self) -> dict[str, object]:
        """Return the columns of the moves table."""
        rows = self.rows
        return {
            "move_id": range(len(rows)),
            "source": [display_path(row.source) for row in rows],
            "destination": [display_path(row.destination) for row in rows],
            "size_bytes": [row.size_bytes for row in rows],
            "content_hash": [row.content_hash for row in rows],
            "keeper": [display_path(row.keeper) for row in rows],
            "status": ["skipped" if row.refusal else "planned" for row in rows],
            "message": [row.refusal or row.message for row in rows],
        }


class _StaysError(Exception):
    """A picture stays because of a side file."""
