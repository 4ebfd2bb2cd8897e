"""Rules of udev for the device nodes of GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Action
from rocmdoctor.facts.own import OWN_RULES
from rocmdoctor.model import Query
from rocmdoctor.ops.ahead import foreign_rules, rules_questions
from rocmdoctor.ops.files import write
from rocmdoctor.ops.ground import Ground, file_questions
from rocmdoctor.ops.registry import operation


def _asks(ground: Ground, **_: object) -> Iterator[Query]:
    yield from file_questions(OWN_RULES)
    yield from rules_questions(ground)


@operation("udev.gpus", asks=_asks)
def gpus(ground: Ground, *, text: str) -> Iterator[Action]:
    """Write rules for the device nodes of GPUs to /etc/udev/rules.d/70-rocmdoctor.rules.

    Nothing is planned where rules of somebody else's speak of these nodes already. Rules of a package that a step before
    this one removes go with it, and do not count; nor are any written where nobody could look.
    """
    others = foreign_rules(ground)
    ground.claim("udev rules for GPUs", "unknown" if others is None else ", ".join(others) or "none")
    if others == ():
        yield from write(ground, path=OWN_RULES, text=text)
