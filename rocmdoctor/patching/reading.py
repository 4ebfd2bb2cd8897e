"""From the text of a patch file to a patch, or to everything that is wrong with it."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from rocmdoctor.frozen import frozen
from rocmdoctor.patching.diffs import BadDiffError, changes
from rocmdoctor.patching.values import Patch

_NAME = re.compile(r"\d{4}-[a-z0-9]+(?:-[a-z0-9]+)*\.patch")
_TRAILER = re.compile(r"([A-Z][A-Za-z]*(?:-[A-Za-z]+)+|Upstream):[ \t]*(.*)")
_PROJECT = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)[ \t]+(\S.*)")
_CHECK = re.compile(r"[a-z]+\.[a-z0-9]+(?:-[a-z0-9]+)*")
_URL = re.compile(r"https://(?![^\s/]*@)[^\s]+")
_PATH = re.compile(r"(?!/)(?!(?:.*/)?\.\.?(?:/|$))[^\s\\]+")
# Trailers, and whether each must and may stand there more than once.
_KNOWN = {
    "Applies-To": (True, False),
    "Needed-If": (False, False),
    "Fixed-In": (False, False),
    "Same-File": (False, False),
    "Upstream": (True, True),
}
# No version is longer, and packaging takes its time.
_LONG = 200


@frozen
class PatchProblem:
    """One thing that is wrong with a patch file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class BadPatchError(Exception):
    """Patch files that cannot be used, with all that is wrong in them."""

    def __init__(self, problems: Collection[PatchProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(p) for p in self.problems))

    @property
    def where(self) -> str:
        """The place of the first problem."""
        return f"{self.problems[0].file}:{self.problems[0].line}"

    @property
    def message(self) -> str:
        """The first problem, and how many more there are."""
        more = len(self.problems) - 1
        return self.problems[0].message + (f" ({more} more)" if more else "")


@frozen
class _Page:
    """The parts of a mail with a patch; the numbers are those of their first lines."""

    title: str
    title_line: int
    about: str
    trailers: tuple[tuple[str, str, int], ...]
    diff: tuple[str, ...]
    diff_line: int


def read_patch(text: str, where: str, project: str, checks: Collection[str] | None = None) -> Patch:
    """A patch of patches/<project>/. Without `checks` any well-formed id may be named. Raises BadPatchError."""
    found: list[PatchProblem] = []
    name = where.rpartition("/")[2]
    if _NAME.fullmatch(name) is None:
        found.append(
            PatchProblem(where, 1, f"the name is '{name}', wanted is one such as '0001-what-it-does.patch'")
        )
    page = _page(text, where, found)
    found += _trailers_wrong(page, where, project, checks)
    try:
        made = changes(page.diff, page.diff_line)
    except BadDiffError as error:
        found.append(PatchProblem(where, error.line, str(error)))
        made = ()
    said = {key: value for key, value, _ in page.trailers}
    same = tuple(said.get("Same-File", "").split())
    paths = {change.path for change in made}
    if made and not set(same) <= paths:
        other = next(path for path in same if path not in paths)
        found.append(
            PatchProblem(
                where,
                _line_of(page, "Same-File"),
                f"Same-File: '{other}' is not a file that the patch changes",
            )
        )
    if found:
        raise BadPatchError(sorted(found, key=lambda p: p.line))
    matched = _PROJECT.fullmatch(said["Applies-To"])
    return Patch(
        id=name.removesuffix(".patch"),
        project=project,
        path=f"patches/{project}/{name}",
        where=where,
        sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
        title=page.title,
        about=page.about,
        applies_to=matched.group(2).strip() if matched else "",
        needed_if=said.get("Needed-If", ""),
        fixed_in=said.get("Fixed-In", ""),
        upstream=tuple(value for key, value, _ in page.trailers if key == "Upstream"),
        same=same,
        changes=made,
    )


# ---------------------------------------------------------------- the mail


def _page(text: str, where: str, found: list[PatchProblem]) -> _Page:
    lines = text.split("\n")
    if not re.match(r"From [0-9a-f]{40} ", lines[0]):
        shown = lines[0][:60]
        found.append(
            PatchProblem(
                where, 1, f"the first line is '{shown}', wanted is 'From <commit> ...' of git format-patch"
            )
        )
    if "\r" in text:
        number = text.count("\n", 0, text.index("\r")) + 1
        found.append(PatchProblem(where, number, "holds a carriage return; lines end in a line feed alone"))
    blank = next((n for n, line in enumerate(lines) if not line), len(lines))
    title, title_line = _subject(lines[:blank])
    if not title:
        found.append(PatchProblem(where, 1, "no 'Subject: [PATCH] ...' in the head"))
    end = next((n for n, line in enumerate(lines) if n > blank and line == "---"), None)
    start = next((n for n, line in enumerate(lines) if line.startswith("diff --git ")), None)
    if end is None or start is None or start < end:
        number = (start if start is not None else len(lines) - 1) + 1
        found.append(
            PatchProblem(
                where, number, "wanted is a line '---' and then 'diff --git ...', as git format-patch writes"
            )
        )
        end = start = len(lines) if start is None else start
    body = lines[blank + 1 : end]
    trailers = tuple(_trailers(body, blank + 2))
    about = "\n".join(line for line in body if _TRAILER.fullmatch(line) is None).strip()
    return _Page(title, title_line, about, trailers, tuple(_without_signature(lines[start:])), start + 1)


def _subject(head: list[str]) -> tuple[str, int]:
    for number, line in enumerate(head):
        if line.startswith("Subject: "):
            # A long title goes on in lines that begin with a space.
            more = []
            for other in head[number + 1 :]:
                if not other.startswith(" "):
                    break
                more.append(other.strip())
            words = " ".join([line.removeprefix("Subject: "), *more])
            return re.sub(r"^\[PATCH[^\]]*\]\s*", "", words).strip(), number + 1
    return "", 1


def _trailers(body: list[str], first: int) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(body):
        match = _TRAILER.fullmatch(line)
        if match:
            yield match.group(1), match.group(2).strip(), first + number


def _without_signature(lines: list[str]) -> list[str]:
    if "-- " in lines:
        lines = lines[: len(lines) - 1 - lines[::-1].index("-- ")]
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


# ---------------------------------------------------------------- the trailers


def _line_of(page: _Page, key: str) -> int:
    return next((line for name, _, line in page.trailers if name == key), page.title_line)


def _trailers_wrong(
    page: _Page, where: str, project: str, checks: Collection[str] | None
) -> Iterator[PatchProblem]:
    seen: set[str] = set()
    for key, value, line in page.trailers:
        if key not in _KNOWN:
            near = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.6)
            hint = f", did you mean '{near[0]}'?" if near else f"; there are {', '.join(_KNOWN)}"
            yield PatchProblem(where, line, f"{key}: unknown trailer{hint}")
            continue
        if key in seen and not _KNOWN[key][1]:
            yield PatchProblem(where, line, f"{key}: stands there twice")
        seen.add(key)
        why = _value_wrong(key, value, project, checks)
        if why:
            yield PatchProblem(where, line, f"{key}: {why}")
    for key, (must, _) in _KNOWN.items():
        if must and key not in seen:
            yield PatchProblem(where, page.title_line, f"{key}: missing; it stands below the message")


def _value_wrong(key: str, value: str, project: str, checks: Collection[str] | None) -> str:
    if key == "Applies-To":
        return _versions_wrong(value, project)
    if key == "Fixed-In":
        return "" if _is_version(value) else f"'{value}' is not a version such as '0.16.3'"
    if key == "Needed-If":
        return _check_wrong(value, checks)
    if key == "Same-File":
        paths = value.split()
        good = len(set(paths)) == len(paths) > 1 and all(_PATH.fullmatch(path) for path in paths)
        return "" if good else f"'{value}' is not two or more paths of the tree, with spaces between"
    return "" if _URL.fullmatch(value) else f"'{value}' is not an https:// address without a user name"


def _versions_wrong(value: str, project: str) -> str:
    match = _PROJECT.fullmatch(value)
    if match is None:
        return f"'{value}' is not a project and versions such as '{project} >=0.12.4,<0.16.3'"
    if match.group(1) != project:
        return f"the project is '{match.group(1)}', wanted is '{project}', in whose folder the patch lies"
    try:
        good = bool(SpecifierSet(match.group(2)[:_LONG])) and len(match.group(2)) < _LONG
    except InvalidSpecifier:
        good = False
    return "" if good else f"'{match.group(2)}' is not a set of versions such as '>=0.12.4,<0.16.3'"


def _check_wrong(value: str, checks: Collection[str] | None) -> str:
    if _CHECK.fullmatch(value) is None:
        return f"'{value}' is not the id of a check, such as 'training.cuda-home'"
    if checks is None or value in checks:
        return ""
    near = difflib.get_close_matches(value, checks, n=1, cutoff=0.5)
    hint = f", did you mean '{near[0]}'?" if near else ""
    return f"no check is called '{value}'{hint}"


def _is_version(text: str) -> bool:
    try:
        Version(text[:_LONG])
    except InvalidVersion:
        return False
    return len(text) < _LONG
