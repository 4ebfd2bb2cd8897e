"""What distributions ask of each other, against what is there."""

from __future__ import annotations

from rocmdoctor.facts.base import Fact
from rocmdoctor.facts.distributions import Dist, Dists, named
from rocmdoctor.facts.torch_build import TorchStackTable
from rocmdoctor.frozen import frozen

# packaging is imported where it is used: collecting answers needs the standard library alone.


def holds(specifiers: str, version: str) -> bool | None:
    """Whether a version is one of those that `>=2.4,<3` allows; None where either cannot be read.

    A local version such as `+rocm6.4` meets `==2.9.1` (packaging.python.org, version specifiers).
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415
    from packaging.version import InvalidVersion  # noqa: PLC0415

    try:
        return SpecifierSet(specifiers, prereleases=True).contains(version)
    except (InvalidSpecifier, InvalidVersion):
        return None


def release_of(version: str) -> tuple[int, ...]:
    """The numbers of a version, () where it is none."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return Version(version).release
    except InvalidVersion:
        return ()


@frozen
class Pin:
    """One requirement that applies here: what `owner` asks of `name`. `met` is None where nothing of that name is."""

    owner: Dist
    name: str
    specifiers: str
    text: str
    there: Dist | None
    met: bool | None

    @property
    def exact(self) -> bool:
        return "==" in self.specifiers and ".*" not in self.specifiers


@frozen
class Pins(Fact):
    """Requirements that apply to the environment's Python on this system: on and by the distributions that matter here."""

    pins: tuple[Pin, ...]

    @classmethod
    def derive(cls, dists: Dists, table: TorchStackTable) -> Pins:
        from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

        python = dists.env.python or (3, 11)
        around = {
            "python_version": f"{python[0]}.{python[1]}",
            "python_full_version": f"{python[0]}.{python[1]}.0",
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": "",
        }
        there = {d.name: d for d in reversed(dists.dists) if not d.leftover}
        found = []
        for dist in dists.dists:
            for text in () if dist.leftover else dist.requires:
                name = named(text)
                # Most of an environment's requirements are on what no check looks at; to read them takes its time.
                if name not in table.watched and dist.name not in table.watched:
                    continue
                try:
                    asked = Requirement(text)
                    if asked.marker is not None and not asked.marker.evaluate(around):
                        continue
                except (InvalidRequirement, ValueError):
                    continue
                other = there.get(name)
                met = holds(str(asked.specifier), other.version) if other else None
                found.append(Pin(dist, name, str(asked.specifier), text.split(";")[0].strip(), other, met))
        return cls(tuple(found))

    def on(self, name: str) -> tuple[Pin, ...]:
        """What is asked of one distribution."""
        return tuple(p for p in self.pins if p.name == name)

    def by(self, owner: str) -> tuple[Pin, ...]:
        """What one distribution asks."""
        return tuple(p for p in self.pins if p.owner.name == owner)
