"""What will be so when a step's turn comes: by then the steps before it have changed the machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from rocmdoctor.facts.access import DeviceRules
from rocmdoctor.facts.own import OWN_RULES
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.owners import owners, owners_question
from rocmdoctor.ops.traits import off_path, rocm_bin
from rocmdoctor.ops.vendors import ROCM

# Where packages put it: NVIDIA's and the distribution's. PATH and links lead there.
_NVCC = ("/usr/local/cuda[^/]*/bin/nvcc", "/usr/bin/nvcc")
# AMD's packages of both layouts keep this link.
_LINKED = "/opt/rocm/bin"


@frozen
class Ahead:
    """Traits that will hold or not, whatever the machine shows now; the folder of ROCm's programs, None where as now."""

    holds: Mapping[str, bool] = field(default_factory=dict)
    rocm_bin: str | None = None


NOTHING = Ahead()


def _leave(ground: Ground, asked: Run) -> set[str]:
    """Of the paths that were asked about, those all of whose owners leave."""
    return {path for path, names in (owners(ground, asked) or {}).items() if names <= ground.leaving}


def shell_questions_ahead() -> Iterator[Query]:
    """What `shell_ahead` wants to know."""
    yield owners_question(_NVCC)


def shell_ahead(ground: Ground) -> Ahead:
    """For the shells of the user: is there still an nvcc, and where will ROCm be."""
    holds: dict[str, bool] = {}
    owned = owners(ground, owners_question(_NVCC))
    # A compiler that no package owns stays, and so does one that another package has brought.
    if owned and all(names <= ground.leaving for names in owned.values()):
        holds["nvcc"] = False
    folder = _coming(ground)
    if folder is not None:
        holds["rocm-off-path"] = bool(folder) and off_path(ground.known, folder)
    return Ahead(holds, folder)


def _coming(ground: Ground) -> str | None:
    """The folder of the programs of the ROCm that the plan chooses: "" where every PATH has it, None where it is here."""
    choice, installs = ground.wanted.get(ROCM), ground.maybe(RocmInstalls)
    if choice is None or choice.source not in ("amd", "distro"):
        return None
    active = installs.active if installs else None
    if choice.source == "amd":
        here = active is not None and active.version == choice.version
        return rocm_bin(ground.known) if here else _LINKED
    return "" if active is None or active.layout in ("classic", "core") else None


def rules_questions(ground: Ground) -> Iterator[Query]:
    """What `foreign_rules` wants to know."""
    paths = _foreign(ground)
    if paths:
        yield owners_question(map(re.escape, paths))


def foreign_rules(ground: Ground) -> tuple[str, ...] | None:
    """Files of udev rules for GPUs that are not ours and stay; None where nobody could look."""
    paths = _foreign(ground)
    if not paths:
        return paths
    going = _leave(ground, owners_question(map(re.escape, paths)))
    return tuple(path for path in paths if path not in going)


def _foreign(ground: Ground) -> tuple[str, ...] | None:
    rules = ground.maybe(DeviceRules)
    return None if rules is None else tuple(path for path in sorted(rules.modes) if path != OWN_RULES)
