"""Waiting for what comes at once, on a machine that may be loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def awaited(happens: Callable[[], Any], most: float = 30, pause: float = 0.02) -> Any:
    """What becomes true within `most` seconds, looked at again after each `pause`; or what it is after them."""
    until = time.monotonic() + most
    while not (found := happens()) and time.monotonic() < until:
        time.sleep(pause)
    return found


def wait_until(happens: Callable[[], Any], most: float = 120) -> Any:
    """What becomes true, and must."""
    found = awaited(happens, most)
    assert found, f"it did not happen in {most} s"
    return found
