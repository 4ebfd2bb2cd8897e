"""What every test gets: the real captures where they are, and a ban on touching the machine."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

# Speed is measured in benchmarks/; a busy machine is no failure.
hypothesis.settings.register_profile("rocmdoctor", deadline=None)
hypothesis.settings.load_profile("rocmdoctor")

# A shell starts what it puts into the background with both ignored, and what tests start would inherit that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
_WRITING = {"w", "a", "x", "+"}
_ALLOWED: list[bool] = [True]


def _corpus() -> Path | None:
    named = os.environ.get("ROCMDOCTOR_CORPUS")
    for path in [Path(named)] if named else [CHECKOUT.parent / "shared" / "fixtures"]:
        if (path / "kfd").is_dir():
            return path
    return None


CORPUS = _corpus()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real captures published by others; they are not part of this project."""
    if CORPUS is None:
        pytest.skip("no captures: set ROCMDOCTOR_CORPUS to a folder that holds kfd/, drm/ and outputs/")
    return CORPUS


_KEPT_BY_TOOLS = (f"{CHECKOUT}/.hypothesis", f"{CHECKOUT}/.pytest_cache")


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _ALLOWED[0]:
        return
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
        raise PermissionError(
            f"a unit test started a program ({args[:2]}); mark it touches_machine if it must"
        )
    if event in ("socket.connect", "socket.bind"):
        raise PermissionError("a unit test opened a socket; mark it touches_machine if it must")
    if (
        event == "open"
        and isinstance(args[1], str)
        and _WRITING & set(args[1])
        and not isinstance(args[0], int)
    ):
        path = str(args[0])
        if not _may_be_written(path):
            raise PermissionError(f"a unit test wrote to {path}; use tmp_path or mark it touches_machine")


def _may_be_written(path: str) -> bool:
    if "__pycache__" in path or path.startswith(("/dev/null", "/dev/tty", *_KEPT_BY_TOOLS)):
        return True
    # A checkout can lie below the temporary folder itself.
    return path.startswith(tempfile.gettempdir()) and not path.startswith(f"{CHECKOUT}/")


sys.addaudithook(_hook)


@pytest.fixture(autouse=True)
def _ban(request: pytest.FixtureRequest):
    """Programs, sockets and writes outside the temporary folder are for tests that say so."""
    allowed = request.node.get_closest_marker("touches_machine") or request.node.get_closest_marker("e2e")
    _ALLOWED[0] = bool(allowed)
    yield
    _ALLOWED[0] = True
