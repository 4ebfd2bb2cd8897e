"""The state of each patch at commits of a clone: `python -m tests.patching.history CLONE [COMMIT...]`.

CLONE is a checkout, or a folder that git keeps without one. Without commits these are all tags from --from on. Where a patch
is needed it is applied by git to the files of that commit, and the state afterwards is said too.

    python -m tests.patching.history ~/axolotl 58b0d4b0d 40a88e8c4
    python -m tests.patching.history ~/DeepSpeed --from v0.10
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from rocmdoctor.content import bundled, load_patches
from rocmdoctor.patching import CONFLICT, NEEDED, Judged, Project, judge, places
from rocmdoctor.patching.versions import paths, version_of


def git(clone: Path, *words: str) -> str | None:
    """What git says about a clone, None where it fails."""
    where = ["--git-dir", str(clone)] if (clone / "objects").is_dir() else ["-C", str(clone)]
    done = subprocess.run(["git", *where, *words], capture_output=True, text=True, check=False, timeout=120)
    return done.stdout if done.returncode == 0 else None


def tree_at(clone: Path, commit: str, names: tuple[str, ...]) -> dict[str, str]:
    """The files of a commit that are regular; links are left out, as in a checkout."""
    listed = git(clone, "ls-tree", "-r", commit, "--", *names) or ""
    regular = {line.partition("\t")[2] for line in listed.splitlines() if line.startswith("100")}
    return {name: git(clone, "show", f"{commit}:{name}") or "" for name in names if name in regular}


def states(project: Project, clone: Path, commit: str) -> tuple[str, list[tuple[Judged, str]]]:
    """The version, and each patch with its state and the one that it has once git applied it."""
    tree = tree_at(clone, commit, tuple(dict.fromkeys((*project.paths, *paths(project.name)))))
    described = (git(clone, "describe", "--tags", "--long", "--match", "v[0-9]*", commit) or "").strip()
    version = version_of(project.name, tree, described).version
    found = []
    for item in judge(project, tree, version):
        after = ""
        if item.state == NEEDED:
            applied = _applied(item, tree)
            again = judge(project, {**tree, **applied}, version) if applied else []
            after = next((one.state for one in again if one.patch.id == item.patch.id), CONFLICT)
        found.append((item, after))
    return version, found


def _applied(item: Judged, tree: dict[str, str]) -> dict[str, str]:
    """What git makes of the files, nothing where it refuses."""
    names = places(item.patch, tree)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(tree[name], encoding="utf-8")
        left = [f"--exclude={name}" for name in item.patch.files if name not in names]
        argv = ["git", "apply", *left, str(Path(item.patch.where).resolve())]
        done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, timeout=60)
        if done.returncode:
            return {}
        return {name: Path(folder, name).read_text(encoding="utf-8") for name in names}


def _tags(clone: Path, first: str) -> Iterator[str]:
    found = []
    for tag in (git(clone, "tag") or "").split():
        try:
            found.append((Version(tag), tag))
        except InvalidVersion:
            continue
    yield from (tag for number, tag in sorted(found) if number >= Version(first))


def _project(projects: dict[str, Project], clone: Path, commit: str) -> Project | None:
    for project in projects.values():
        own = tuple(dict.fromkeys(path for patch in project.patches for path in patch.files))
        if any("/" in path for path in tree_at(clone, commit, own)):
            return project
    return None


def main(argv: list[str] | None = None) -> int:
    """Prints a line for each commit."""
    parser = argparse.ArgumentParser(
        prog="tests.patching.history", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("clone", type=Path)
    parser.add_argument("commits", nargs="*")
    parser.add_argument("--from", dest="first", default="0", help="the first tag")
    parser.add_argument("--project", help="default: told by the files of HEAD")
    parser.add_argument("--why", action="store_true", help="the reasons, too")
    words = parser.parse_args(argv)
    projects = load_patches((bundled(),))
    commits = words.commits or list(_tags(words.clone, words.first))
    named = projects.get(words.project) if words.project else None
    failed = False
    for commit in commits:
        date = (git(words.clone, "log", "-1", "--format=%cs", commit) or "").strip()
        project = named or _project(projects, words.clone, commit)
        if not date or project is None:
            print(f"{commit}: {'no such commit' if not date else 'no project that there are patches for'}")
            failed = True
            continue
        version, found = states(project, words.clone, commit)
        said = [f"{i.patch.id[:4]} {i.state}{f' -> {after}' if after else ''}" for i, after in found]
        print(f"{commit:<12} {date} {project.name} {version:<22} {', '.join(said)}")
        for item, _ in found if words.why else ():
            print(f"    {item.patch.id}: {item.why}")
        failed = failed or any(after not in ("", "applied") for _, after in found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
