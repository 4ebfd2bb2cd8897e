"""Which packages own paths, read in dpkg's own lists: one question for any number of paths and shapes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rocmdoctor.model import Run
from rocmdoctor.ops.ground import Ground

_DPKG = "/var/lib/dpkg/info"


def owners_question(shapes: Iterable[str]) -> Run:
    """Shapes are extended regular expressions of whole paths; answered with lines `<package>.list:<path>`."""
    argv = ("grep", "-rsxE", "--include=*.list", f"({'|'.join(shapes)})", _DPKG)
    return Run(argv, timeout=10.0, limit=1 << 20)


def owners(ground: Ground, asked: Run) -> Mapping[str, frozenset[str]] | None:
    """The packages that own each path that was found; None where nobody could ask."""
    said = ground.answer(asked)
    # grep: 1 is nothing found.
    if not said.ok or said.exit_code not in (0, 1):
        return None
    found: dict[str, set[str]] = {}
    for line in said.stdout.splitlines():
        file, _, path = line[len(_DPKG) + 1 :].partition(".list:")
        found.setdefault(path, set()).add(file.partition(":")[0])
    return {path: frozenset(names) for path, names in found.items()}
