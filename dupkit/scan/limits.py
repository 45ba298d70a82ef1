"""What one file may cost: pixels, memory, seconds."""

from __future__ import annotations

LARGEST_SCALED = 200_000_000
"""Pixels of the largest JPEG that is decoded to a fraction of its size. Larger than any camera's."""

LARGEST_WHOLE = 64_000_000
"""Pixels of the largest picture of which every pixel must be held: 4 bytes each are 256 MB."""

LARGEST_COEFFICIENTS = 400_000_000
"""Bytes of coefficients that a progressive JPEG may need: all of them are held, whatever the scale."""

LARGE_BYTES = 96_000_000
"""A picture that needs more memory than this is decoded while no other such one is."""

LARGEST_IN_MEMORY = 32_000_000
"""Bytes of the largest file that is read into memory at once; a larger one is read where it lies, twice."""

MEMORY_MB = 600
"""Memory that a decode worker may take for one file, MB: 64 million pixels, converted, and what decoders add."""

CPU_SECONDS = 20
"""Processor time of one file. The slowest picture within the limits on pixels takes a quarter of it."""

WALL_SECONDS = 60
"""Time of one file by the clock, reading from a slow disk and waiting for a processor included."""
