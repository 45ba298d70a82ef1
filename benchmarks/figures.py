"""Print figures with their bounds, and go on where one cannot be measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def say(what: str, value: float, unit: str, bound: float) -> None:
    """Print one figure with its bound."""
    words = "ok" if value <= bound else "TOO MUCH"
    print(f"{what:<66} {value:>9.1f} {unit:<3} (at most {bound:g}) {words}", flush=True)


@contextmanager
def figure(what: str) -> Iterator[None]:
    """Say it where something could not be measured, and go on."""
    try:
        yield
    except Exception as problem:  # noqa: BLE001
        print(f"{what}: NOT MEASURED: {str(problem).splitlines()[0]}", flush=True)
