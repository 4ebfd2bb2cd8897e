"""Content and checks put together with a snapshot: what `check` and everything after it calls."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.content import ContentError, DataTables, bundled, load_checks
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.registry import BadCheckError, Check
from rocmdoctor.diagnosis.runner import Diagnosis, diagnose
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.hosts.replay import BadSnapshotError, load
from rocmdoctor.model import Snapshot, Wish
from rocmdoctor.reports.envelope import envelope
from rocmdoctor.reports.json_check import data_of


@dataclass(frozen=True)
class Outcome:
    """A diagnosis with the facts that it was made from."""

    diagnosis: Diagnosis
    known: Known

    def envelope(self) -> str:
        """The JSON line of `check`."""
        found = any(v.status in ("warn", "fail") for v in self.diagnosis.verdicts)
        status = "findings" if found or self.diagnosis.exit_code else "ok"
        return envelope("check", status, self.diagnosis.exit_code, data_of(self.diagnosis, self.known))


class Judge:
    """All checks with their tables, ready for any number of snapshots."""

    def __init__(self, content: Iterable[Path], wish: Wish) -> None:
        try:
            home = bundled()
            self.checks: list[Check] = load_checks((home, *content)).ordered()
            self._tables = DataTables(home)
            self._faults = self._tables(FaultTable)
        except (ContentError, BadCheckError) as error:
            raise PlacedError(getattr(error, "where", "checks"), str(error)) from error
        self._wish = wish

    def judge(self, snapshot: Snapshot, chosen: set[str] | None = None) -> Outcome:
        """The diagnosis of one machine."""
        known = Known(snapshot.answers, self._tables, self._wish)
        return Outcome(diagnose(self.checks, known, self._faults.layers, chosen), known)


def select(
    checks: list[Check], only: tuple[str, ...], leave: tuple[str, ...], named_by: str = "--only "
) -> set[str]:
    """The ids that are meant. Raises UsageError when a pattern matches nothing, so that a typo is no clean pass.

    `named_by` is what stands before the patterns of `only` on the command line.
    """
    ids = [item.id for item in checks]
    for option, patterns in ((named_by, only), ("--skip ", leave)):
        for pattern in patterns:
            if not fnmatch.filter(ids, pattern):
                near = difflib.get_close_matches(pattern, ids, n=1, cutoff=0.5)
                hint = f", did you mean '{near[0]}'?" if near else "; 'rocmdoctor list checks' shows them"
                raise click.UsageError(f"{option}'{pattern}' matches no check{hint}")
    chosen = {i for i in ids if not only or any(fnmatch.fnmatch(i, p) for p in only)}
    chosen -= {i for i in ids if any(fnmatch.fnmatch(i, p) for p in leave)}
    if not chosen:
        raise click.UsageError(f"{named_by or 'the names '}and --skip together leave no check")
    return chosen


def judge_files(
    judge: Judge, files: list[Path], chosen: set[str], jobs: int
) -> Iterator[tuple[Path, str, int]]:
    """File, JSON line and exit code of each snapshot, in order; an unreadable one is an error line of its own."""
    from multiprocessing import get_context

    if jobs == 1 or len(files) < 8:
        for path in files:
            yield _one(judge, path, chosen)
        return
    with get_context("fork").Pool(min(jobs, len(files)), _start, (judge, chosen)) as pool:
        yield from pool.imap(_in_worker, files, chunksize=max(1, min(32, len(files) // jobs)))


_WORKER: list[tuple[Judge, set[str]]] = []


def _start(judge: Judge, chosen: set[str]) -> None:
    _WORKER[:] = [(judge, chosen)]


def _in_worker(path: Path) -> tuple[Path, str, int]:
    return _one(_WORKER[0][0], path, _WORKER[0][1])


def _one(judge: Judge, path: Path, chosen: set[str]) -> tuple[Path, str, int]:
    try:
        outcome = judge.judge(load(path), chosen)
    except BadSnapshotError as error:
        problem = {"code": "bad-snapshot", "message": str(error), "where": error.where}
        return path, envelope("check", "error", 2, {}, [problem]), 2
    return path, outcome.envelope(), outcome.diagnosis.exit_code
