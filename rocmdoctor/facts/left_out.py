"""GPUs that could compute, and that the compute driver does not offer."""

from __future__ import annotations

from collections.abc import Iterable

from rocmdoctor.facts.base import Fact
from rocmdoctor.facts.gpus import Gpu, Gpus
from rocmdoctor.frozen import frozen


@frozen
class LeftOut(Fact):
    """`gpus` lack a compute node though no other driver has them; `all` when no GPU has one.

    `owner` is the driver that every GPU is given to, such as vfio-pci for virtual machines; "" when amdgpu may have one.
    """

    gpus: tuple[Gpu, ...]
    all: bool
    owner: str

    @property
    def named(self) -> str:
        return named(self.gpus)

    def of(self, devices: Iterable[str]) -> tuple[Gpu, ...]:
        """Those with one of these device ids."""
        wanted = set(devices)
        return tuple(g for g in self.gpus if g.pci_id.partition(":")[2] in wanted)

    @classmethod
    def derive(cls, gpus: Gpus) -> LeftOut:
        mine = (None, "amdgpu")
        without = tuple(g for g in gpus.capable if g.node is None)
        owners = {g.driver for g in gpus.capable}
        return cls(
            gpus=tuple(g for g in without if g.driver in mine),
            all=len(without) == len(gpus.capable),
            owner="" if owners & set(mine) else ", ".join(sorted(o for o in owners if o)),
        )


def named(gpus: Iterable[Gpu]) -> str:
    """The products and where they are."""
    return ", ".join(f"{gpu.name} at {gpu.bdf}" for gpu in gpus)
