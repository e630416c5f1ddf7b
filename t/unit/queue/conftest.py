"""The world of the queue tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from delivery_lab import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A private spool and an empty configuration."""
    return make_world(tmp_path)
