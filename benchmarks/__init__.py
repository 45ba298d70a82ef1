"""Measurements of speed and quality; run one with ``python -m benchmarks.NAME``."""
