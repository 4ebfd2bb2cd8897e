"""What an administrator types on systems that no recipe is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Table
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.frozen import frozen


@frozen
class Advice:
    """For one recipe and some systems. `commands` may be none."""

    recipe: str
    systems: tuple[str, ...]
    text: str
    commands: tuple[str, ...]


@frozen
class OtherSystems(Table):
    """All of it."""

    file: ClassVar[str] = "systems.toml"
    rows: tuple[Advice, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> OtherSystems:
        return cls(
            tuple(
                Advice(row["recipe"], tuple(row["systems"]), row["text"], tuple(row["commands"]))
                for row in data["advice"]
            )
        )

    def advice(self, recipe: str, system: OsRelease) -> Advice | None:
        """For this system, else for one that it says it is like, in its order."""
        for name in system.family:
            for row in self.rows:
                if row.recipe == recipe and name in row.systems:
                    return row
        return None
