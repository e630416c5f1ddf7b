"""The owner, group and mode of a configuration file."""

import os
from pathlib import Path

from pyexim.config.security import file_fault


def test_owner_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("")
    path.chmod(0o644)
    me, group = frozenset({path.stat().st_uid}), frozenset({path.stat().st_gid})
    nobody = frozenset({987654})
    assert file_fault(f"{path}", owners=me, groups=group) is None
    assert file_fault(f"{path}", owners=me, groups=nobody) is None
    wrong = file_fault(f"{path}", owners=nobody, groups=group)
    assert str(wrong) == f"Exim configuration file {path} has the wrong owner, group, or mode"
    path.chmod(0o664)
    assert file_fault(f"{path}", owners=me, groups=group) is None
    assert file_fault(f"{path}", owners=me, groups=nobody) is not None
    path.chmod(0o646)
    assert file_fault(f"{path}", owners=me, groups=group) is not None
    assert file_fault(f"{tmp_path}/none") is None
    assert os.path.exists(path)
