"""Side files: what lies beside a picture under its stem and belongs to it; and what a folder holds, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from dupkit import at
from dupkit.files import hash_descriptor, open_regular, opened_folder
from dupkit.moves.names import split_name
from dupkit.moves.tree import split_path

SETTINGS_EXTENSIONS = frozenset({b".xmp", b".aae"})
"""What a program noted about a picture: worth nothing without it, so it goes along."""

RAW_EXTENSIONS = frozenset(
    b".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl "
    b".sr2 .srf .srw .x3f".split()
)
"""Camera raw files."""

CONTENT_EXTENSIONS = RAW_EXTENSIONS | {b".mov"}
"""Pictures and films in their own right: they go along only where the keeper has the same one beside it."""


def is_side_file(name: bytes) -> bool:
    """Return whether a name's extension is a side file's."""
    return split_name(name)[1].lower() in SETTINGS_EXTENSIONS | CONTENT_EXTENSIONS


def has_content(name: bytes) -> bool:
    """Return whether a side file is a raw picture or a film, whose loss would be a loss of its own."""
    return split_name(name)[1].lower() in CONTENT_EXTENSIONS


@dataclass
class Disk:
    """What the folders under a root hold now; reads only, and each folder once.

    A folder that cannot be read holds nothing, as far as the plan is concerned: the move itself will say why not.
    """

    root: bytes
    _names: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    _by_stem: dict[bytes, dict[bytes, list[bytes]]] = field(default_factory=dict)

    def names(self, folder: bytes) -> frozenset[bytes]:
        """Return the names in a folder."""
        if folder not in self._names:
            try:
                with opened_folder(self.root, folder) as descriptor:
                    self._names[folder] = frozenset(map(os.fsencode, at.listdir(descriptor)))
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def exists(self, path: bytes) -> bool:
        """Return whether a path is taken."""
        folder, name = split_path(path)
        return name in self.names(folder)

    def with_stem(self, folder: bytes, stem: bytes) -> list[bytes]:
        """Return the names in a folder that are ``stem`` + one extension, or a picture's full name + one, sorted."""
        if folder not in self._by_stem:
            by_stem: dict[bytes, list[bytes]] = {}
            for name in sorted(self.names(folder)):
                by_stem.setdefault(split_name(name)[0], []).append(name)
            self._by_stem[folder] = by_stem
        return self._by_stem[folder].get(stem, [])

    def side_files(self, path: bytes) -> list[bytes]:
        """Return the side files of a picture: of the same stem, or with an extension behind its full name."""
        folder, name = split_path(path)
        stem = split_name(name)[0]
        beside = [*self.with_stem(folder, stem), *(self.with_stem(folder, name) if name != stem else [])]
        return [_join(folder, other) for other in beside if other != name and is_side_file(other)]

    def pictures_of(self, side: bytes) -> list[bytes]:
        """Return the paths in the folder that could be the side file's picture: same stem, no side files themselves.

        Whether they are pictures, the caller knows.
        """
        folder, name = split_path(side)
        stem = split_name(name)[0]
        found = [other for other in self.with_stem(folder, stem) if not is_side_file(other)]
        if stem in self.names(folder) and split_name(stem)[1]:
            found.append(stem)
        return [_join(folder, other) for other in found]

    def size_and_hash(self, path: bytes) -> tuple[int, str]:
        """Return a file's size and content hash, read now.

        Raises
        ------
        OSError
            It cannot be read, or is no regular file.
        """
        folder, name = split_path(path)
        with opened_folder(self.root, folder) as parent:
            descriptor = open_regular(name, dir_fd=parent)
            try:
                return os.fstat(descriptor).st_size, hash_descriptor(descriptor)
            finally:
                os.close(descriptor)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
