"""End-to-end tests: real Debian roots, a booted container, a virtual machine. Root only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_NEEDED = ("mmdebstrap", "systemd-nspawn", "unshare", "mount")


def _missing() -> str:
    if os.geteuid() != 0:
        return "needs root: it makes root file systems"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    return f"needs {', '.join(missing)}; .ci/run installs them" if missing else ""


def _asked_for(config: pytest.Config) -> bool:
    """Minutes of virtual machines are for those who name them: by marker or by path."""
    return "e2e" in config.option.markexpr or any("e2e" in str(arg) for arg in config.invocation_params.args)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is `e2e`, may take its time; what needs a root is skipped with the reason where it cannot run."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    if not _asked_for(config):
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)
        return
    missing = _missing()
    for item in ours:
        item.add_marker("e2e")
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1500))
        if missing and not item.path.name.startswith("test_here"):
            item.add_marker(pytest.mark.skip(reason=missing))
