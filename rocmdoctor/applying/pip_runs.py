"""An environment's own pip: what it would do, done, and whether what must stay still stands afterwards."""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rocmdoctor.applying.chores.protect import Dist, Rows, distributions, standing
from rocmdoctor.planning.pip_report import BadReportError, Report, read

NOTHING = "/dev/null"
_SECONDS = 1800.0  # a source distribution is built to know what it asks for
_SHOWN = 20
_QUIET = ("--no-input", "--disable-pip-version-check")


class PipError(Exception):
    """pip could not be asked. `tail` are the last lines that it printed."""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = tuple(tail)


class Pip:
    """The pip of one environment. `keep` and `out` are as in the table of what is protected."""

    def __init__(self, env: Path, keep: Rows, out: Mapping[str, str]) -> None:
        self.env, self._keep, self._out = env, keep, out
        self.before = standing(distributions(env), keep, out)
        self._digests = {name: dist.digest() for name, dist in self.before.items()}

    @property
    def kept(self) -> dict[str, str]:
        """Name to version of what must stay."""
        return {name: dist.version for name, dist in self.before.items()}

    def argv(self, *words: str) -> list[str]:
        """The command line of a `pip install`."""
        return [str(self.env / "bin" / "python"), "-I", "-m", "pip", *_QUIET, "install", *words]

    def would(self, words: Sequence[str], *, held: bool, seconds: float = _SECONDS) -> Report:
        """What pip would install, with what must stay `held` or as if nothing were. Raises PipError."""
        with tempfile.NamedTemporaryFile("w", prefix="rocmdoctor-", suffix=".txt", encoding="utf-8") as file:
            file.write("".join(f"{name}=={version}\n" for name, version in self.kept.items()) if held else "")
            file.flush()
            # The variable stands in for what the environment's pip.conf names; the person's own stays beside it.
            own = os.environ.get("PIP_CONSTRAINT", "").split()
            names = [name for name in own if not name.startswith(f"{self.env}/")]
            around = {**os.environ, "PIP_CONSTRAINT": " ".join([*names, file.name])}
            argv = self.argv("--dry-run", "--quiet", "--report", "-", *words)
            return _report(argv, around, seconds)

    def install(self, words: Sequence[str], *, quiet: bool) -> tuple[int, list[str]]:
        """pip's exit code, and with `quiet` the last lines of what it printed; else it prints itself. Raises PipError."""
        argv = self.argv(*words)
        try:
            if not quiet:
                return subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode, []
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
        except OSError as error:
            raise PipError(f"{argv[0]} cannot be started: {error.strerror}") from error
        return done.returncode, _tail(done.stdout)

    def lost(self) -> list[str]:
        """What must stay and does not stand as it did, in words."""
        found = distributions(self.env)
        now = standing(found, self._keep, self._out)
        lost = []
        for name, dist in self.before.items():
            if name not in now:
                lost.append(f"{name} {dist.version} is gone")
            elif now[name].version != dist.version:
                lost.append(f"{name} {dist.version} became {now[name].version}")
            elif now[name].digest() != self._digests[name]:
                lost.append(f"{name} {dist.version} became another build of that version")
        new = [d for name, d in found.items() if name not in self.before]
        return [*lost, *_overwritten(new, list(now.values()))]


def _report(argv: Sequence[str], around: Mapping[str, str], seconds: float) -> Report:
    try:
        done = subprocess.run(
            argv, env=around, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except OSError as error:
        raise PipError(f"{argv[0]} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise PipError(f"pip did not find out in {seconds:.0f} s what it would install") from None
    tail = _tail(done.stderr)
    if any("no such option: --dry-run" in line or "no such option: --report" in line for line in tail):
        raise PipError(
            f"the pip of this environment tells of nothing beforehand; it does from 22.2 on: {argv[0]} -m pip install --upgrade"
            " pip"
        )
    if done.returncode != 0:
        raise PipError("pip found no way to install that", tail)
    try:
        return read(done.stdout.decode("utf-8", "backslashreplace"))
    except BadReportError as error:
        raise PipError(str(error), tail) from error


def _tail(data: bytes) -> list[str]:
    lines = data.decode("utf-8", "backslashreplace").splitlines()
    return [line for line in lines if line.strip()][-_SHOWN:]


def _overwritten(new: Sequence[Dist], kept: Sequence[Dist]) -> Iterator[str]:
    """Files that a distribution shares with one that must stay: whichever came last has written them."""
    lists = {dist.name: set(_files(dist)) for dist in kept}
    for dist in new:
        files = set(_files(dist))
        for name, own in lists.items():
            shared = files & own
            if shared:
                yield f"{dist.name} {dist.version} lies in {len(shared)} files of {name}, such as {min(shared)}"


def _files(dist: Dist) -> Iterator[str]:
    try:
        with (dist.folder / "RECORD").open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.reader(file):
                if row and not row[0].startswith((dist.folder.name, "../")) and "__pycache__" not in row[0]:
                    yield row[0]
    except OSError:
        return
