"""The slow, obviously right answers that the fast paths are held against; imports nothing from dupkit."""

from __future__ import annotations
