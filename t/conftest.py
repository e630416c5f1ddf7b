"""What all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

REAL_PROCESSES = ("compare", "e2e", "interop", "root")
"""Tests of whole systems: real processes under whatever load the machine has at that moment."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of whole systems a second try: what fails twice in a row is no accident of timing."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in REAL_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))


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
