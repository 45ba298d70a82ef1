"""Which pictures may move and what is kept in their place: pure rules over groups, pairs and facts of files.

The standard library only, and no file is touched: a million random plans can be checked in a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dupkit.files import DESTINATIONS, display_path


@dataclass(frozen=True, slots=True)
class Picture:
    """What the scan knows of one file."""

    path: bytes
    size_bytes: int
    device: int
    inode: int
    content_hash: str
    error: str


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that chains of approved pairs tie together, and the one that is kept."""

    members: tuple[int, ...]
    keeper: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One picture that moves, or would move but is refused with a reason."""

    image_id: int
    keeper: int
    exact: bool
    refusal: str


class Chains:
    """Which images chains of pairs tie together (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def tie(self, a: int, b: int) -> None:
        """Add the pair a, b."""
        first, second = self._top(a), self._top(b)
        if first != second:
            self._parent[max(first, second)] = min(first, second)

    def tied(self, a: int, b: int) -> bool:
        """Return whether a chain of pairs leads from a to b."""
        return self._top(a) == self._top(b)

    def _top(self, image: int) -> int:
        parent = self._parent
        top = image
        while (above := parent.get(top, top)) != top:
            top = above
        while (above := parent.get(image, image)) != top:
            parent[image] = top
            image = above
        return top


def why_not_trusted(picture: Picture) -> str:
    """Return why a file may be neither moved as a duplicate nor kept as the copy of one; '' where it may."""
    if picture.error:
        return f"it could not be read: {picture.error}"
    if picture.size_bytes <= 0:
        return "it is empty"
    if not picture.content_hash:
        return "its content was not hashed"
    if any(part in DESTINATIONS for part in picture.path.split(b"/")[:-1]):
        return "it lies in a folder of moved duplicates"
    return ""


def is_outside(path: bytes) -> bool:
    """Return whether a path relative to the root leads out of it."""
    return path.split(b"/", 1)[0] == b".." or path.startswith(b"/")


def is_below(path: bytes, folders: Collection[bytes]) -> bool:
    """Return whether a path lies in one of the folders, at any depth.

    Examples
    --------
    >>> is_below(b"2019/a.jpg", [b"2019"]), is_below(b"2019b/a.jpg", [b"2019"]), is_below(b"a.jpg", [b""])
    (True, False, True)
    """
    return any(folder in (b"", b".") or path.startswith(folder.rstrip(b"/") + b"/") for folder in folders)


def choose_moves(
    groups: Iterable[Group],
    pairs: Iterable[tuple[int, int, float]],
    pictures: Mapping[int, Picture],
    *,
    reference: Collection[bytes] = (),
) -> list[Choice]:
    """Return what moves, in the order of the groups; a picture at most once, a keeper of any group never.

    Pictures outside the root and in reference folders stay and are not listed. A picture that the rules hold back is
    listed with its refusal.

    Parameters
    ----------
    groups : iterable of Group
    pairs : iterable of (image, image, rms)
        The approved pairs.
    pictures : mapping of image_id to Picture
    reference : collection of bytes
        Folders relative to the root whose pictures never move.
    """
    groups = list(groups)
    chains, exact_chains = Chains(), Chains()
    for a, b, rms in pairs:
        chains.tie(a, b)
        if rms == 0:
            exact_chains.tie(a, b)
    pinned = {group.keeper for group in groups}
    # One file under two names is no copy: a name of a keeper's file stays, whichever group's keeper it is.
    pinned_files = {(pictures[image].device, pictures[image].inode) for image in pinned}
    chosen: set[int] = set()
    choices = []
    for group in groups:
        keeper = pictures[group.keeper]
        keeper_fault = why_not_trusted(keeper)
        for image in group.members:
            picture = pictures[image]
            if image in pinned or image in chosen or is_outside(picture.path) or is_below(picture.path, reference):
                continue
            chosen.add(image)
            fault = why_not_trusted(picture)
            if fault:
                refusal = fault
            elif (picture.device, picture.inode) in pinned_files:
                refusal = "it is the same file as a keeper, under another name (hard link): no copy of it"
            elif keeper_fault:
                refusal = f"the keeper {display_path(keeper.path)} proves no copy: {keeper_fault}"
            elif not chains.tied(image, group.keeper):
                refusal = f"no chain of approved pairs ties it to the keeper {display_path(keeper.path)}"
            else:
                refusal = ""
            choices.append(Choice(image, group.keeper, exact_chains.tied(image, group.keeper), refusal))
    return choices
