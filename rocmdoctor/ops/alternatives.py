"""Names such as /opt/rocm that update-alternatives keeps, once they lead to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.arguments import AbsolutePath
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation

FOLDER = "/etc/alternatives"


def _question(below: list[str]) -> Run:
    """Name, target and kind of what it leads to (N is nothing), of each link that leads below one of the folders."""
    shapes: list[str] = []
    for folder in below:
        shapes += ["-o", "-lname", f"{folder}*"]
    printed = ("-printf", "%f\t%l\t%Y\n")
    return Run(("find", FOLDER, "-maxdepth", "1", "(", *shapes[1:], ")", *printed), limit=1 << 18)


def _asks(_ground: Ground, *, below: list[str]) -> Iterator[Query]:
    yield _question(below)


@operation("alternatives.clean", asks=_asks)
def clean(ground: Ground, *, below: list[AbsolutePath]) -> Iterator[Action]:
    """Let update-alternatives forget choices that lead to nothing below these folders.

    A folder stands for all whose path begins so. What packages of this plan take along they take out themselves.
    """
    said = ground.answer(_question(below))
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    gone = [(row[0], row[1]) for row in rows if len(row) == 3 and row[2] in ("N", "L")]
    ground.claim(
        f"alternatives that lead nowhere below {' '.join(below)}", ", ".join(n for n, _ in gone) or "none"
    )
    for name, target in gone:
        yield Action(
            do=Exec(("update-alternatives", "--quiet", "--remove", name, target)),
            says=f"let update-alternatives forget {name}, which leads to {target}, where nothing is",
            undo=Undo("nothing", "it led to nothing"),
            seconds=0.2,
        )
