"""The releases of components: for each the newest that is for this machine and goes with the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rocmdoctor.actions import Choice, Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.frozen import frozen
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.here import failed_here, older_than_here, plain, source_here, version_here
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.planning.wish import ALONE, ROCM, ROCM_SOURCES, unasked, untrusted, unwished, wishes
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
Taken = Mapping[str, Release]


def name_of(release: Release) -> str:
    """How a release is called in reasons."""
    return f"{release.version} ({release.source})" if release.source else release.version


def choose(
    recipes: Iterable[Recipe], known: Known, gfx: tuple[str, ...], request: Request
) -> dict[str, Chosen]:
    """For each recipe with releases the first that fits, in the order of the recipe (newest first), with the others.

    ROCm is chosen first, and of the rest what goes with it. Raises RefusedError, which names every release with its
    reason, and what could be given up.
    """
    every = list(recipes)
    with_releases = [recipe for recipe in every if recipe.releases]
    cleared = any(recipe.id == CLEARING for recipe in every)
    search = _Search(with_releases, known, gfx, request, cleared=cleared)
    taken = search.solve()
    if taken is None:
        raise RefusedError(search.refusal())
    return {recipe.id: search.chosen(recipe.id, taken) for recipe in with_releases}


class _Search:
    """One wish on one machine."""

    def __init__(
        self,
        recipes: Sequence[Recipe],
        known: Known,
        gfx: tuple[str, ...],
        request: Request,
        *,
        cleared: bool,
    ) -> None:
        self.recipes = recipes
        self.known = known
        self.gfx = gfx
        self.request = request
        self.cleared = cleared
        self.rows: Rows = {
            recipe.id: [self._row(recipe.id, release) for release in self._ordered(recipe)]
            for recipe in recipes
        }
        # What depends on ROCm is chosen after it.
        self.order = sorted(self.rows, key=lambda name: name != ROCM)

    def _ordered(self, recipe: Recipe) -> list[Release]:
        """Without root, what a user can have alone stands first."""
        alone = self.request.no_root and self.request.rocm_source is None
        return sorted(recipe.releases, key=lambda release: alone and release.source != ALONE)

    def _row(self, component: str, release: Release) -> Row:
        here = None if plain(release.version) else version_here(component, self.known)
        wrong = unwished(component, release, here, self.request)
        why = (
            wrong
            or unasked(release, self.request)
            or next((b.why for b in release.but if misfit(b.fits, self.known, self.gfx) is None), None)
            or misfit(release.fits, self.known, self.gfx)
            or failed_here(release, self.known)
            or untrusted(release, self.request)
            or (None if self.cleared or component != ROCM else older_than_here(release, self.known))
        )
        return Row(release, why, wrong is None)

    # ------------------------------------------------------------ together

    def solve(self, order: Sequence[str] | None = None, taken: Taken | None = None) -> Taken | None:
        """Releases that go together, the first of each as far as they do."""
        order = self.order if order is None else order
        taken = taken or {}
        if not order:
            return taken
        for release in self._candidates(order[0], taken):
            found = self.solve(order[1:], {**taken, order[0]: release})
            if found is not None:
                return found
        return None

    def _candidates(self, component: str, taken: Taken) -> list[Release]:
        fitting = [r.release for r in self.rows[component] if not r.why]
        fitting = [release for release in fitting if not self.clash(component, release, taken)]
        wanted = [s for other in taken.values() for name, s in other.prefers.items() if name == component]
        liked = [r for r in fitting if r.source == fitting[0].source and _all(wanted, r.version)]
        return [*liked, *(r for r in fitting if r not in liked)] if wanted else fitting

    def clash(self, component: str, release: Release, taken: Taken) -> str | None:
        """Why a release does not go with those that are taken, or with what is here."""
        for name, other in taken.items():
            if not self._goes(other.needs.get(component), component, release):
                return f"{name} {other.version} needs {component} {other.needs[component]}"
        for name, specifier in release.needs.items():
            there = taken.get(name)
            if there is not None and not self._goes(specifier, name, there):
                return f"it needs {name} {specifier}, and {name} {there.version} is chosen"
            here = version_here(name, self.known) if name not in self.rows else None
            if here is not None and not _all([specifier], here):
                return f"it needs {name} {specifier}, and here is {here}"
        return self._foreign(component, release, taken) or self._unneeded(release, taken)

    def _goes(self, specifier: str | None, component: str, release: Release) -> bool:
        version = release.version if plain(release.version) else version_here(component, self.known)
        if release.source == "kernel":
            return True
        return specifier is None or version is None or _all([specifier], version)

    def _foreign(self, component: str, release: Release, taken: Taken) -> str | None:
        """Parts of ROCm come from where ROCm comes from."""
        if component == ROCM or release.source not in ROCM_SOURCES:
            return None
        rocm = taken.get(ROCM)
        source = rocm.source if rocm is not None and rocm.source else source_here(self.known)
        if source is None and release.source == "amd":
            return f"no ROCm of AMD's is here whose repository has it; name {ROCM} beside {component}"
        if source in (None, release.source):
            return None
        return f"it comes from '{release.source}', and ROCm from '{source}'"

    def _unneeded(self, release: Release, taken: Taken) -> str | None:
        """A distribution's ROCm is made for the kernel's own driver."""
        rocm = taken.get(ROCM)
        if (
            release.source != "dkms"
            or self.request.driver == "dkms"
            or rocm is None
            or rocm.source != "distro"
        ):
            return None
        return "the distribution's ROCm goes with the kernel's own driver"

    # ------------------------------------------------------------ reasons

    def chosen(self, component: str, taken: Taken) -> Chosen:
        """The release that was taken, and why not the others."""
        mine = taken[component]
        before = {name: release for name, release in taken.items() if self._decided(name, component)}
        others: dict[str, str] = {}
        passed = False
        for row in self.rows[component]:
            if row.release is mine:
                passed = True
                continue
            reason = row.why or self.clash(component, row.release, before)
            others[row.name] = reason or (
                (mine.why or EARLIER) if passed else _passed_over(mine, component, before)
            )
        choice = Choice(mine.version, mine.source, others)
        return Chosen(mine, choice, self._because(component, mine, before, others))

    def _decided(self, name: str, component: str) -> bool:
        return self.order.index(name) < self.order.index(component)

    def _because(self, component: str, mine: Release, before: Taken, others: Mapping[str, str]) -> str:
        """Why it comes from elsewhere than what one would have expected: what the others prefer, else the newest."""
        if mine.why:
            return mine.why
        wanted = [s for other in before.values() for name, s in other.prefers.items() if name == component]
        rows = [r for r in self.rows[component] if r.wished and r.release.source != mine.source]
        rows = [r for r in rows if plain(r.release.version)]
        liked = [r for r in rows if wanted and _all(wanted, r.release.version)]
        told = liked or (rows if mine.source == "kernel" else [])
        return f"{told[0].name}: {others[told[0].name]}" if told else ""

    def refusal(self) -> Refusal:
        """Why nothing is found, and what could be given up."""
        component = self._stuck()
        rows = self.rows[component]
        wished = [row for row in rows if row.wished]
        told = [row for row in (wished or rows) if plain(row.release.version)] or wished or rows
        shown = {row.name: row.why or self._alone(component, row.release) for row in told}
        reasons = "; ".join(f"{name}: {why}" for name, why in grouped(shown))
        asked = [*wishes(self.request), *([f"--arch {self.request.arch}"] if self.request.arch else [])]
        if not wishes(self.request):
            says = f"no release of {component} is for this machine: {reasons}"
        elif not wished:
            says = f"{' '.join(asked)}: rocmdoctor knows no such release of {component}; there are {_names(rows)}"
        else:
            says = f"{' '.join(asked)} and this machine do not go together: {component} {reasons}"
        place = next(recipe.path for recipe in self.recipes if recipe.id == component)
        return Refusal("no-release", says, self._instead(component), place)

    def _stuck(self) -> str:
        """The component that has no release; where each has some, the last one, which went with none of the others."""
        none = [name for name in self.order if all(row.why for row in self.rows[name])]
        return none[0] if none else self.order[-1]

    def _alone(self, component: str, release: Release) -> str:
        """Why a release that fits this machine goes with none of the others that do."""
        firsts = {
            name: next(r.release for r in self.rows[name] if not r.why)
            for name in self.order
            if name != component
        }
        return self.clash(component, release, firsts) or "no other component goes with it"

    def _instead(self, component: str) -> str:
        """Each wish that could be given up, with what there would be then."""
        found = []
        for wish, request in wishes(self.request).items():
            without = _Search(self.recipes, self.known, self.gfx, request, cleared=self.cleared)
            taken = without.solve()
            if taken is not None:
                got = ", ".join(f"{name} {words(r.version, r.source)}" for name, r in taken.items())
                found.append(f"Without {wish}: {got}.")
        return " ".join([*found, f"'rocmdoctor recipe show {component}' shows what each release is for."])


def words(version: str, source: str) -> str:
    """What a choice is called: versions that begin with 0+ are no releases."""
    if plain(version):
        return f"{version} from {source}" if source else version
    if source == "kernel":
        return "the kernel's own"
    return "the one that is here" if version.endswith("+installed") else "not planned"


def _passed_over(mine: Release, component: str, before: Taken) -> str:
    """Why an earlier one that fits was not taken."""
    for name, release in before.items():
        if component in release.prefers and _all([release.prefers[component]], mine.version):
            return f"{name} {release.version} was released with {mine.version}"
    return "no release of another component goes with it"


def _all(specifiers: Iterable[str], version: str) -> bool:
    return all(SpecifierSet(s).contains(Version(version), prereleases=True) for s in specifiers)


def _names(rows: Sequence[Row]) -> str:
    names = {row.name: row.release.source for row in rows if plain(row.release.version)}
    return ", ".join(name for name, _ in grouped(names))


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
