"""What all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A private directory that other users can enter: deliveries run as the recipient, the rest as the exim user.

    pytest's own directories are for their maker only.  KEEP_TESTS=1 keeps it.
    """
    path = Path(tempfile.mkdtemp(prefix="pyexim-test-"))
    path.chmod(0o755)
    yield path
    if not os.environ.get("KEEP_TESTS"):
        shutil.rmtree(path, ignore_errors=True)
