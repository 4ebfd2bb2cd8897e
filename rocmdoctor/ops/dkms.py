"""Leftovers of DKMS: trees without a source, which stop it at every kernel, and versions that no package owns."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.dkms import MODULE, TREE, Dkms, DkmsVersion
from rocmdoctor.facts.dpkg import Dpkg, PackageTable
from rocmdoctor.model import List, Query
from rocmdoctor.ops.arguments import Name
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation

ASIDE = "/var/backups/rocmdoctor-dkms"


def _asks(_ground: Ground, **_: object) -> Iterator[Query]:
    yield List(ASIDE)


@operation("dkms.clean", asks=_asks)
def clean(ground: Ground, *, modules: list[Name], unowned: bool = False) -> Iterator[Action]:
    """Move DKMS trees aside that have no source any more.

    dkms cannot remove such a tree itself ("Manual intervention is required"), and its older releases stop there before
    they build anything for a new kernel. With `unowned` whole versions of the GPU driver are removed too that no installed
    package `<module>-dkms` has brought. Modules that were copied among a kernel's own stay there. DKMS' folder has to
    be readable; else that is a refusal.
    """
    dkms = ground.known.get(Dkms)
    stale: list[tuple[str, str, DkmsVersion | None]] = [
        (MODULE, v.version, v) for v in dkms.versions if v.stale
    ]
    for name in dkms.stale_others:
        module, _, version = name.partition("/")
        stale.append((module, version, None))
    for module in modules:
        mine = [(version, seen) for name, version, seen in stale if name == module]
        ground.claim(f"DKMS trees of {module} without a source", ", ".join(v for v, _ in mine) or "none")
        for version, seen in mine:
            if f"{TREE}/{module}/{version}" not in ground.cleared:
                yield from _move(ground, module, version, seen)
        if unowned and module == MODULE:
            owned = _owned(ground, module)
            for seen in dkms.versions:
                if not seen.stale and seen.version != owned:
                    yield from _out(ground, module, seen)


def _out(ground: Ground, module: str, version: DkmsVersion) -> Iterator[Action]:
    if ground.package("dkms") is not None:
        yield _remove(module, version)
    else:
        yield from _move(ground, module, version.version, version)


def _owned(ground: Ground, module: str) -> str | None:
    """The version that a package has brought, as DKMS calls it: without epoch and without the release's code."""
    package = ground.known.get(Dpkg).packages.get(f"{module}-dkms")
    ground.claim(f"package {module}-dkms", package.version if package else "absent")
    if package is None:
        return None
    plain = package.version.partition(":")[2] or package.version
    found = ground.known.get(PackageTable).amd_version.search(plain)
    if found is None:
        return plain
    return plain[: found.start()] + "-" + found.group().partition("-")[2]


def _move(ground: Ground, module: str, version: str, seen: DkmsVersion | None) -> Iterator[Action]:
    target = _free(ground, f"{module}-{version}")
    ground.cleared.add(f"{TREE}/{module}/{version}")
    yield Action(
        do=Exec(("install", "-d", "-m", "0755", ASIDE)),
        says=f"make the folder {ASIDE}",
        undo=Undo("nothing", "an empty folder stays"),
        seconds=0.1,
    )
    yield _moved(f"{TREE}/{module}/{version}", target)
    # DKMS' marks that it put this version among a kernel's modules; they would point nowhere.
    for built in seen.built if seen else ():
        if built.installed:
            link = f"kernel-{built.kernel}-{built.arch}"
            yield _moved(f"{TREE}/{module}/{link}", f"{target}.{link}")


def _moved(source: str, target: str) -> Action:
    # dkms deletes a module's folder with the last version in it.
    folder = source.rpartition("/")[0]
    back = (("install", "-d", "-m", "0755", folder), ("mv", "-T", "--", target, source))
    return Action(
        do=Exec(("mv", "-T", "--", source, target), creates=target),
        says=f"move {source} to {target}",
        undo=Undo("commands", "moves it back", back),
        seconds=1.0,
    )


def _free(ground: Ground, name: str) -> str:
    """A name that nothing was moved to before."""
    taken = {line.rstrip("/@") for line in ground.answer(List(ASIDE)).text.splitlines()}
    names = (name if n == 1 else f"{name}.{n}" for n in range(1, len(taken) + 2))
    return f"{ASIDE}/{next(n for n in names if n not in taken)}"


def _remove(module: str, version: DkmsVersion) -> Action:
    name = f"{module}/{version.version}"
    kernels = [b.kernel for b in version.built if b.installed]
    again = (("dkms", "add", name), *(("dkms", "install", name, "-k", kernel) for kernel in kernels))
    return Action(
        do=Exec(("dkms", "remove", name, "--all")),
        says=f"remove {name} from DKMS; no package owns it",
        undo=Undo("commands", "adds it again, and builds it for the kernels that had it", again),
        timeout=600.0,
        seconds=20.0,
    )
