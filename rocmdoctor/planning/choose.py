"""The releases of components: for each the newest that is for this machine and goes with the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from rocmdoctor.actions import Choice, Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.frozen import frozen
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.here import failed_here, older_than_here, plain
from rocmdoctor.planning.interpreter import PYTHON, unavailable
from rocmdoctor.planning.relations import Relations, Taken, within
from rocmdoctor.planning.search import Search
from rocmdoctor.planning.wish import ALONE, NONE, ROCM, named, unasked, unpinned, untrusted, unwished
from rocmdoctor.recipe import Recipe, Release

# The recipe that takes away what other releases left.
CLEARING = "purge"
EARLIER = "an earlier one in the recipe's order fits"


@frozen
class Chosen:
    """A release with why others fell out. `because`: why it is not what one would have expected first."""

    release: Release
    choice: Choice
    because: str = ""


@frozen
class Row:
    """A release and what stands against it on this machine. `wished`: it is among those that were asked for."""

    release: Release
    why: str | None
    wished: bool

    @property
    def name(self) -> str:
        return name_of(self.release)


Rows = Mapping[str, Sequence[Row]]


def name_of(release: Release) -> str:
    """How a release is called in reasons."""
    return f"{release.version} ({release.source})" if release.source else release.version


class Choosing:
    """One wish on one machine: rows, how they are tried, and what was found.

    `held` are requirements of the stacks that were asked for. `taken` is None where nothing goes together; `stuck` is then
    the component that had nothing left.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        known: Known,
        gfx: tuple[str, ...],
        request: Request,
        held: tuple[str, ...] = (),
    ) -> None:
        self.every = tuple(recipes)
        self.recipes = {recipe.id: recipe for recipe in recipes if recipe.releases}
        self.known, self.gfx, self.request, self.held = known, gfx, request, held
        self.relations = Relations(self.recipes, known, request)
        self._cleared = any(recipe.id == CLEARING for recipe in recipes)
        self._provided = frozenset(
            name for r in self.recipes.values() for release in r.releases for name in release.provides
        )
        self.rows: Rows = {
            recipe.id: [self._row(recipe.id, release) for release in self._ordered(recipe)]
            for recipe in self.recipes.values()
        }
        # What depends on ROCm is chosen after it, and what serves the others after them.
        self.order = sorted(self.rows, key=lambda name: (self.recipes[name].serves, name != ROCM))
        self._rank = {
            id(row.release): number for rows in self.rows.values() for number, row in enumerate(rows)
        }
        self.stuck = ""
        self.taken = self._solve()

    def _ordered(self, recipe: Recipe) -> list[Release]:
        """Without root, what a user can have alone stands first."""
        alone = self.request.no_root and self.request.rocm_source is None
        made = [self._here(release) for release in recipe.releases]
        return sorted(made, key=lambda release: alone and release.source != ALONE)

    def _here(self, release: Release) -> Release:
        """With what it needs besides on this machine."""
        more: dict[str, str] = {}
        for extra in release.also:
            if misfit(extra.fits, self.known, self.gfx) is None:
                for name, specifier in extra.needs.items():
                    more[name] = ",".join(filter(None, (more.get(name, release.needs.get(name)), specifier)))
        return replace(release, needs={**release.needs, **more}) if more else release

    def _row(self, component: str, release: Release) -> Row:
        here = None if plain(release.version) else self.relations.here(component)
        pins = (*self.request.pins, *self.held)
        wrong = unwished(component, release, here, self.request, pins)
        if release.source == NONE:
            wrong = named(component, self.request) or wrong
        why = (
            wrong
            or unasked(release, self.request)
            or next((b.why for b in release.but if misfit(b.fits, self.known, self.gfx) is None), None)
            or misfit(release.fits, self.known, self.gfx)
            or failed_here(release, self.known)
            or untrusted(release, self.request)
            or unpinned(component, release, pins)
            or (unavailable(release, self.known, self.request) if component == PYTHON else None)
            or (None if self._cleared or component != ROCM else older_than_here(release, self.known))
            or self.relations.alone(component, release, self._provided)
        )
        return Row(release, why, wrong is None)

    # ------------------------------------------------------------ together

    def _solve(self) -> Taken | None:
        """Releases that go together. What may be left out is so only where nothing else is found."""
        if self.request.no_root and self.request.rocm_source is None:
            taken = self._most(alone=True)
            if taken is not None:
                return taken
        return self._most()

    def _most(self, *, alone: bool = False) -> Taken | None:
        optional = [name for name, rows in self.rows.items() if self._optional(rows)]
        for count in range(len(optional) + 1):
            for left_out in combinations(optional, count):
                taken = self._search([name for name in optional if name not in left_out], alone=alone)
                if taken is not None:
                    return taken
        return None

    def _optional(self, rows: Sequence[Row]) -> bool:
        """It may be left out, and has a release besides that is for this machine."""
        fitting = [row.release.source == NONE for row in rows if not row.why]
        return not all(fitting) and any(fitting[1:]) and not fitting[0]

    def _search(self, kept: Sequence[str], *, alone: bool) -> Taken | None:
        """With `kept` in it, and, `alone`, with the ROCm that needs no root where one fits."""
        domains = {
            name: [
                row.release
                for row in self.rows[name]
                if not row.why and not (name in kept and row.release.source == NONE)
            ]
            for name in self.order
        }
        if alone and ROCM in domains:
            mine = [release for release in domains[ROCM] if release.source in (ALONE, "")]
            domains[ROCM] = mine or domains[ROCM]
        search: Search[Release] = Search(domains, self.relations.clash, self._wanted_first)
        taken = search.solve()
        self.stuck = search.stuck
        return taken

    def _wanted_first(self, component: str, releases: Sequence[Release], taken: Taken) -> list[Release]:
        """In the recipe's order, what the others prefer first, and what itself prefers those that are taken."""
        fitting = sorted(releases, key=lambda release: self._rank[id(release)])
        fitting.sort(key=lambda release: not self.prefers(release, taken))
        wanted = [s for other in taken.values() for name, s in other.prefers.items() if name == component]
        if not wanted or not fitting:
            return fitting
        liked = [r for r in fitting if r.source == fitting[0].source and _all(wanted, r.version)]
        return [*liked, *(r for r in fitting if r not in liked)]

    def prefers(self, release: Release, taken: Taken) -> bool:
        """What it prefers is taken, or here where none is chosen."""
        told = []
        for name, specifier in release.prefers.items():
            there = taken.get(name)
            version = there.version if there and plain(there.version) else self.relations.here(name)
            if name in taken or (name == ROCM and ROCM not in self.rows):
                told.append(version is not None and within(specifier, version))
        return bool(told) and all(told)


def choose(
    recipes: Iterable[Recipe],
    known: Known,
    gfx: tuple[str, ...],
    request: Request,
    held: tuple[str, ...] = (),
) -> dict[str, Chosen]:
    """For each recipe with releases the first that fits, in the order of the recipe (newest first), with the others.

    ROCm is chosen first, and of the rest what goes with it. Raises RefusedError, which names every release with its
    reason, and what could be given up.
    """
    choosing = Choosing(tuple(recipes), known, gfx, request, held)
    if choosing.taken is None:
        from rocmdoctor.planning.collisions import refused  # noqa: PLC0415 - it looks for other choices in its turn

        raise refused(choosing)
    taken = choosing.taken
    return {name: _chosen(choosing, name, taken) for name in choosing.recipes}


def _chosen(choosing: Choosing, component: str, taken: Taken) -> Chosen:
    """The release that was taken, and why not the others."""
    mine = taken[component]
    place = choosing.order.index
    before = {name: release for name, release in taken.items() if place(name) < place(component)}
    after = {name: release for name, release in taken.items() if place(name) > place(component)}
    others: dict[str, str] = {}
    passed = False
    for row in choosing.rows[component]:
        if row.release is mine:
            passed = True
            continue
        clash = choosing.relations.clash(component, row.release, before)
        later = None if passed else choosing.relations.clash(component, row.release, after)
        reason = row.why or (clash.why if clash else None) or (later.why if later else None)
        others[row.name] = reason or (
            (mine.why or EARLIER) if passed else _passed_over(row.release, mine, component, taken)
        )
    return Chosen(
        mine,
        Choice(mine.version, mine.source, others),
        _because(choosing, component, mine, before, others),
    )


def _because(
    choosing: Choosing, component: str, mine: Release, before: Taken, others: Mapping[str, str]
) -> str:
    """Why it comes from elsewhere than what one would have expected: what the others prefer, else the newest."""
    if mine.why:
        return mine.why
    wanted = [s for other in before.values() for name, s in other.prefers.items() if name == component]
    rows = [r for r in choosing.rows[component] if r.wished and r.release.source != mine.source]
    rows = [r for r in rows if plain(r.release.version)]
    liked = [r for r in rows if wanted and _all(wanted, r.release.version)]
    told = liked or (rows if mine.source == "kernel" else [])
    return f"{told[0].name}: {others[told[0].name]}" if told else ""


def _passed_over(release: Release, mine: Release, component: str, taken: Taken) -> str:
    """Why an earlier one that fits was not taken."""
    for name, other in taken.items():
        if component in other.prefers and _all([other.prefers[component]], mine.version):
            return f"{name} {other.version} was released with {mine.version}"
    for name, specifier in release.prefers.items():
        if name in taken and mine.prefers.get(name) != specifier:
            return f"it is made for {name} {specifier}, and {name} {taken[name].version} is chosen"
    return "no release of another component goes with it"


def words(version: str, source: str) -> str:
    """What a choice is called: versions that begin with 0+ are no releases."""
    if plain(version):
        return f"{version} from {source}" if source else version
    if source == "kernel":
        return "the kernel's own"
    return "the one that is here" if version.endswith("+installed") else "not planned"


def _all(specifiers: Iterable[str], version: str) -> bool:
    return all(within(s, version) for s in specifiers)


def grouped(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Releases of one source that fell out for one reason, under one name such as `7.2.4 to 5.4.0 (amd)`."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, why in reasons.items():
        version, _, source = name.partition(" ")
        found.setdefault((source, why), []).append(version)
    return [(f"{_range(versions)} {source}".strip(), why) for (source, why), versions in found.items()]


def _range(versions: Sequence[str]) -> str:
    if len(versions) < 4:
        return ", ".join(versions)
    return f"{versions[0]} to {versions[-1]} ({len(versions)} releases)"
