"""Operations planned on this machine and carried out on it, as an installation does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action
from rocmdoctor.applying.failures import table
from rocmdoctor.applying.run_plan import Outcome
from rocmdoctor.applying.work import Means
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.hosts.machine import Machine
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Env
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.ground import Ground
from rocmdoctor.planning.binding import bind
from tests.applying.conftest import Bench
from tests.applying.plans import me

ALL = all_operations()
TABLES = DataTables(bundled())
MEANS = Means(locks=(), failures=table())


def ground_here(home: Path, uses: str, **given: Any) -> Ground:
    """What an operation plans from here, for somebody whose home folder is this."""
    person = me()
    person = type(person)(person.name, person.uid, str(home), person.shell)
    first = Machine("/").ask([Env(("XDG_CACHE_HOME", "HOME"))])
    known = from_raw(
        {"schema": 1, "answers": {**first, "env:XDG_CACHE_HOME": {"ok": False, "why": "absent"}}}
    )
    ground = Ground(Known(known.answers, TABLES), known.answers, person)
    operation = ALL[uses]
    asked = list(operation.asks(ground, **bind(operation, given))) if operation.asks else []
    answers = {**known.answers, **from_raw({"schema": 1, "answers": Machine("/", 6.0).ask(asked)}).answers}
    return Ground(Known(answers, TABLES), answers, person)


def planned_here(home: Path, uses: str, **given: Any) -> list[Action]:
    """The actions, with ids."""
    ground = ground_here(home, uses, **given)
    operation = ALL[uses]
    made = list(operation.function(ground, **bind(operation, given)))
    return [type(a)(**{**a.__dict__, "id": f"{uses}.{n}"}) for n, a in enumerate(made, 1)]


def done_here(state: Path, actions: list[Action]) -> tuple[Bench, Outcome]:
    """Carries them out."""
    bench = Bench(state, *actions)
    return bench, bench.run(MEANS)
