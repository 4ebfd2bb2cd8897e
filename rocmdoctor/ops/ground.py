"""The facts as operations see them: each look is noted as a claim, so that a plan can say what it rests on. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from rocmdoctor.actions import Choice, Person
from rocmdoctor.asking import keys
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.access import Groups
from rocmdoctor.facts.apt import Source
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.dpkg import Dpkg
from rocmdoctor.frozen import frozen
from rocmdoctor.model import NOT_ASKED, Answer, Query, Run, Stat, Verdict
from rocmdoctor.patching.values import Project

T = TypeVar("T")


class ForbiddenError(UnknownError):
    """What was asked must not be done on this machine; the message says why."""


BEGIN, END = "# >>> rocmdoctor >>>", "# <<< rocmdoctor <<<"


def file_questions(path: str) -> tuple[Query, ...]:
    """What tells whether a file holds a text: its digest alone leaves the machine, not its text."""
    return (Stat(path), Run(("sha256sum", "--", path), limit=4096))


def block_question(path: str) -> Query:
    """The lines between our marks in a file of the user's, and nothing else of it."""
    return Run(("sed", "-n", f"/^{BEGIN}$/,/^{END}$/p", path), limit=1 << 16)


@frozen
class Locked:
    """The one file of a distribution that a lock allows. `needs` are the distributions that it does not work without."""

    name: str
    version: str
    sha256: str
    needs: tuple[str, ...] = ()


class Ground:
    """What operations plan from. `person` is for whom; `claims` collects what was looked at.

    `wanted` are the releases that the same plan chooses, by recipe, and `keep` the vendors whose packages were asked to
    stay. Of the steps before this one, `leaving` collects the packages that they remove, `dropped` the repositories that
    they take out of apt, `cleared` the paths that they move away, `altered` the Python environments that they install into,
    `uninstalled` the distributions that they take out of one, and `mended` is whether they let dpkg and apt finish what those
    had begun. `notes` are what the user should know besides. `projects` are those that there are patches for,
    `verdicts` what the checks say, by id. `locked` are the files that a lock names, by distribution, and `folder` holds
    them and the sources, where no server is to be asked.
    """

    def __init__(
        self, known: Known, answers: Mapping[str, Answer], person: Person, gfx: tuple[str, ...] = ()
    ) -> None:
        self.known = known
        self.person = person
        self.gfx = gfx
        self.claims: dict[str, str] = {}
        self.wanted: Mapping[str, Choice] = {}
        self.keep: tuple[str, ...] = ()
        self.leaving: set[str] = set()
        self.dropped: set[Source] = set()
        self.cleared: set[str] = set()
        self.altered: set[str] = set()
        self.uninstalled: set[tuple[str, str]] = set()
        self.mended = False
        self.notes: list[str] = []
        self.projects: Mapping[str, Project] = {}
        self.verdicts: Mapping[str, Verdict] = {}
        self.locked: Mapping[str, Locked] = {}
        self.folder = ""
        self._answers = answers

    def claim(self, name: str, value: str) -> None:
        """Notes a fact that the plan rests on."""
        self.claims[name] = value

    def answer(self, query: Query) -> Answer:
        """The raw answer to a question of an operation's `asks`; not-asked where nobody asked."""
        return self._answers.get(keys(query)[0], NOT_ASKED)

    def maybe(self, kind: type[T]) -> T | None:
        """A fact that makes no claim, None when unknown."""
        return self.known.maybe(kind)

    def package(self, name: str) -> str | None:
        """The version of an installed package, None when it is not (wholly) installed or leaves. Raises UnknownError."""
        plain = name.partition("=")[0].partition(":")[0]
        package = self.known.get(Dpkg).packages.get(plain)
        version = package.version if package is not None and package.whole else None
        state = "absent" if package is None else package.version if package.whole else package.state
        self.claim(f"package {plain}", state)
        return None if plain in self.leaving else version

    def unfinished(self) -> tuple[str, ...]:
        """Packages that dpkg has begun and not finished. Raises UnknownError."""
        dpkg = self.known.get(Dpkg)
        names = tuple(p.name for p in dpkg.unfinished if p.name not in self.leaving)
        self.claim("packages that dpkg has not finished", ", ".join(names) or "none")
        return names

    def note(self, text: str) -> None:
        """Says something beside the plan, once."""
        if text not in self.notes:
            self.notes.append(text)

    def in_group(self, name: str) -> bool | None:
        """The person stands in the group's line of /etc/group; None when the group does not exist. Raises UnknownError."""
        groups = self.known.get(Groups)
        said = None if groups.gid(name) is None else groups.on_paper(name)
        words = {None: "no such group", True: "a member", False: "not a member"}
        self.claim(f"{self.person.name} in group {name}", words[said])
        return said

    def digest(self, path: str) -> str | None:
        """The sha256 of a file, None when there is none. Raises UnknownError when nobody could look."""
        stat, sums = (self.answer(q) for q in file_questions(path))
        found = re.match(r"\\?([0-9a-f]{64}) ", sums.stdout)
        if stat.why == "absent":
            self.claim(f"file {path}", "absent")
            return None
        if found is None:
            raise UnknownError(
                f"file {path}: {stat.why or sums.why or sums.stderr.strip() or 'cannot be read'}"
            )
        self.claim(f"file {path}", found.group(1)[:16])
        return found.group(1)

    def mode(self, path: str) -> int | None:
        """The permission bits of a file, None when there is none."""
        words = self.answer(Stat(path)).text.split()
        return int(words[1], 8) if len(words) == 4 and re.fullmatch(r"[0-7]{4}", words[1]) else None

    def block(self, path: str) -> str | None:
        """The text between our marks in a file, None when they are not there. Raises UnknownError when nobody could look."""
        said = self.answer(block_question(path))
        if not said.ok:
            raise UnknownError(f"file {path}: {said.why}")
        lines = said.stdout.splitlines(keepends=True)
        text = "".join(lines[1:-1]) if len(lines) >= 2 and lines[-1].rstrip("\n") == END else None
        self.claim(f"lines of rocmdoctor in {path}", "absent" if text is None else text)
        return text
