"""Which picture of a group is kept: an ordered list of rules, made into one total order of all images.

A rule is a word: ``reference`` (pictures in a reference folder, which never move), ``folder:NAME`` (pictures below that
folder; several of them give an order of folders), ``resolution`` (most pixels), ``size`` (largest file), ``oldest``,
``format`` or ``format:PNG,JPEG`` (the first one named), ``path`` (first in path order). Because the order is total and
does not depend on the group, what a larger threshold moves can be counted merge by merge (see ``thresholds``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from dupkit.files import size_words

KEEPER_RULES = ("reference", "resolution", "size", "oldest", "path")
"""The rules where the analyst gives no others: most pixels, then largest file, then oldest, then path order."""

RULE_WORDS = ("reference", "folder:NAME", "resolution", "size", "oldest", "format", "path")
"""The rules that there are, as the analyst writes them."""

FORMATS = ("TIFF", "PNG", "BMP", "HEIF", "JPEG", "MPO", "AVIF", "WEBP", "GIF")
"""What the rule ``format`` prefers: no loss before loss, full colour before a palette."""

# What the keeper has and the others lack, by rule.
_KEPT = {
    "chosen": "chosen by hand",
    "reference": "in a reference folder",
    "resolution": "most pixels",
    "size": "largest file",
    "oldest": "oldest",
    "path": "first in path order",
}
_LACKING = {
    "chosen": "another one was chosen by hand",
    "reference": "not in a reference folder",
    "resolution": "fewer pixels",
    "size": "smaller file",
    "oldest": "newer",
    "path": "later in path order",
}


def check_rules(rules: Sequence[str]) -> tuple[str, ...]:
    """Return keeper rules as dupkit applies them: ``reference`` first, ``path`` last, each once.

    Parameters
    ----------
    rules : sequence of str
        Words of :data:`RULE_WORDS`.

    Raises
    ------
    ValueError
        A rule is unknown.

    Examples
    --------
    >>> check_rules(["size", "folder:best of"])
    ('reference', 'size', 'folder:best of', 'path')
    """
    if isinstance(rules, str):
        rules = (rules,)
    for rule in rules:
        word, colon, name = str(rule).partition(":")
        known = (word == "folder" and bool(name)) or word == "format" or (word in _KEPT and not colon)
        if not known or word == "chosen":
            msg = (
                f"keeper_rules: {rule!r} is no rule; allowed are {', '.join(RULE_WORDS)}: list them, first counts most"
            )
            raise ValueError(msg)
    middle = [rule for rule in rules if rule not in ("reference", "path")]
    return tuple(dict.fromkeys(("reference", *middle, "path")))


def below_folder(paths: pd.Series, folder: str) -> np.ndarray:
    """Return for each path whether it lies below a folder, at any depth, as a bool array.

    Parameters
    ----------
    paths : Series of str
        Relative to the root.
    folder : str
        Relative to the root, in display form; ``""`` or ``"."`` is the root itself, which all paths but those
        outside (``../``) lie below.
    """
    name = folder.strip("/")
    if name in ("", "."):
        return ~paths.str.startswith("../").to_numpy(dtype=bool)
    return np.asarray(paths.str.startswith(f"{name}/").to_numpy(dtype=bool))


def in_reference(images: pd.DataFrame) -> np.ndarray:
    """Return for each image whether it lies in a reference folder of ``images.attrs`` and so never moves."""
    inside = np.zeros(len(images), dtype=bool)
    for folder in images.attrs.get("reference", ()):
        inside |= below_folder(images["path"], str(folder))
    return inside


def keeper_facts(images: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of an images table that keepers are chosen and described by, from which few rows are cheap.

    Each key on the page takes the rows of one group. Texts are plain objects here: taking two of 40,000 rows from
    Arrow's costs half a millisecond a column, and as much waiting for its threads.
    """
    facts = images[["path", "size_bytes", "mtime_ns", "format", "width", "height", "orientation"]]
    facts = facts.astype({"path": object, "format": object})
    # pandas copies these deeply with every row that is taken.
    facts.attrs = {"reference": tuple(images.attrs.get("reference", ()))}
    return facts


@dataclass(frozen=True)
class KeeperOrder:
    """A total order of images: which of two is kept, and by which rule.

    Attributes
    ----------
    rules : tuple of str
        The rules applied, first counts most.
    keys : ndarray of shape (n_rules, n_images), int64
        Smaller is better.
    rank : ndarray of shape (n_images,), int64
        Place of each image in the order; 0 is kept before all others.
    """

    rules: tuple[str, ...]
    keys: np.ndarray
    rank: np.ndarray

    def deciding_rule(self, positions: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the index of the first rule by which each image differs from its other one."""
        return np.asarray(np.argmax(self.keys[:, positions] != self.keys[:, others], axis=0))


def keeper_order(images: pd.DataFrame, rules: Sequence[str], *, chosen: np.ndarray | None = None) -> KeeperOrder:
    """Return the order in which images are kept.

    Parameters
    ----------
    images : DataFrame
        The images table, in path order.
    rules : sequence of str
        See :func:`check_rules`.
    chosen : ndarray of shape (n_images,), int64, optional
        Hand-made choices, which count before every rule: smaller is better, equal where nobody chose.
    """
    applied = check_rules(rules)
    keys = [_key(images, rule) for rule in applied]
    if chosen is not None:
        applied = ("chosen", *applied)
        keys.insert(0, np.asarray(chosen, dtype=np.int64))
    stacked = np.stack(keys)
    rank = np.empty(len(images), dtype=np.int64)
    rank[np.lexsort(stacked[::-1])] = np.arange(len(images))
    return KeeperOrder(applied, stacked, rank)


def _key(images: pd.DataFrame, rule: str) -> np.ndarray:
    word, _, name = rule.partition(":")
    if word == "reference":
        return (~in_reference(images)).astype(np.int64)
    if word == "folder":
        return (~below_folder(images["path"], name)).astype(np.int64)
    if word == "resolution":
        return np.asarray(-images["width"].to_numpy() * images["height"].to_numpy())
    if word == "size":
        return -images["size_bytes"].to_numpy()
    if word == "oldest":
        return images["mtime_ns"].to_numpy()
    if word == "format":
        order = [part.strip().upper() for part in name.split(",")] if name else FORMATS
        places = {format_name: place for place, format_name in enumerate(order)}
        return images["format"].map(places).fillna(len(places)).to_numpy(dtype=np.int64)
    return np.arange(len(images))


def kept_because(order: KeeperOrder, keepers: np.ndarray, runners_up: np.ndarray) -> list[str]:
    """Return in words why each keeper is kept and not its runner-up."""
    words = [_kept_words(rule) for rule in order.rules]
    return [words[index] for index in order.deciding_rule(keepers, runners_up).tolist()]


def _kept_words(rule: str) -> str:
    word, _, name = rule.partition(":")
    if word == "folder":
        return f"in folder {name}"
    return "preferred format" if word == "format" else _KEPT[word]


def lacking_words(
    order: KeeperOrder, images: pd.DataFrame, members: np.ndarray, keepers: np.ndarray, reference: np.ndarray
) -> list[str]:
    """Return in words what each member lacks that its keeper has, with the two values.

    Parameters
    ----------
    order : KeeperOrder
    images : DataFrame
        The images table.
    members, keepers : ndarray of int
        Rows of ``images``, one keeper for each member.
    reference : ndarray of shape (n_images,), bool
        Images in a reference folder: they stay where they are.
    """
    # Orientations 5 to 8 lie on their side: people know the upright picture.
    on_side = images["orientation"].to_numpy() >= 5
    width = np.where(on_side, images["height"].to_numpy(), images["width"].to_numpy())
    height = np.where(on_side, images["width"].to_numpy(), images["height"].to_numpy())
    size, mtime = images["size_bytes"].to_numpy(), images["mtime_ns"].to_numpy()
    formats = images["format"].to_numpy()
    words: list[str] = []
    rules = order.deciding_rule(members, keepers).tolist()
    for member, keeper, index in zip(members.tolist(), keepers.tolist(), rules, strict=True):
        word, _, name = order.rules[index].partition(":")
        if reference[member]:
            words.append("in a reference folder too: stays")
        elif word == "resolution":
            words.append(
                f"fewer pixels: {width[member]} x {height[member]}, the keeper {width[keeper]} x {height[keeper]}"
            )
        elif word == "size":
            ours, theirs = size_words(size[member]), size_words(size[keeper])
            if ours == theirs:
                ours, theirs = f"{size[member]:,} bytes", f"{size[keeper]:,} bytes"
            words.append(f"smaller file: {ours}, the keeper {theirs}")
        elif word == "oldest":
            words.append(f"newer: {_date(mtime[member])}, the keeper {_date(mtime[keeper])}")
        elif word == "folder":
            words.append(f"not in folder {name}")
        elif word == "format":
            words.append(f"format {formats[member]}, the keeper {formats[keeper]}")
        else:
            words.append(_LACKING[word])
    return words


def _date(mtime_ns: int) -> str:
    try:
        return datetime.fromtimestamp(int(mtime_ns) / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return f"{mtime_ns} ns"
