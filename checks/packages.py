"""Whether packages are whole, of one ROCm, of one origin, and whether apt gets them from where it should."""

from collections.abc import Iterable

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.apt import AptSources, RepositoryTable
from rocmdoctor.facts.dpkg import Dpkg, GpuPackage, GpuPackages, PackageTable, ShownPackages
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.hip import Compilers, CxxHeaders, HipConfigs, Looked
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.rocm import RocmFolders, RocmInstalls, RocmTable
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.facts.tools import Tools


def _some(names: Iterable[str], most: int = 4) -> str:
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def without_dpkg(system: OsRelease | None) -> Verdict:
    """What is said where no package of dpkg's could be read: another system has none."""
    if system is not None and "debian" not in system.family:
        return skip(f"{system.name} does not use dpkg")
    return unknown("read:/var/lib/dpkg/status: could not be read")


@check("packages.dpkg-consistent", fault="half-configured-dpkg")
def dpkg_consistent(dpkg: Dpkg | None, system: OsRelease | None, names: PackageTable) -> Verdict:
    """dpkg has finished every package that it began.

    What stands still behind the kernel driver's packages is told by packages.dpkg-driver.
    """
    if dpkg is None:
        return without_dpkg(system)
    if not dpkg.unfinished and not dpkg.updates:
        return ok(f"{len(dpkg.packages)} packages, all of them whole")
    if _of_driver(dpkg, names):
        return skip(f"it stopped at {_of_driver(dpkg, names)[0]}; packages.dpkg-driver says more")
    return _half_way(dpkg)


@check(
    "packages.dpkg-driver",
    fault="half-configured-dpkg",
    explained_by=("driver.dkms-built", "driver.headers", "driver.dkms-tree"),
)
def dpkg_driver(dpkg: Dpkg | None, system: OsRelease | None, names: PackageTable) -> Verdict:
    """dpkg has finished the packages of the kernel driver.

    They stop half way when the driver does not build, and whatever apt installed with them stops too.
    """
    if dpkg is None:
        return without_dpkg(system)
    if not any(names.driver.match(name) for name in dpkg.packages):
        return skip("no package of AMD's driver")
    if not _of_driver(dpkg, names):
        return ok("all of them whole")
    return _half_way(dpkg)


def _of_driver(dpkg: Dpkg, names: PackageTable) -> list[str]:
    return [p.name for p in dpkg.unfinished if names.driver.match(p.name)]


def _half_way(dpkg: Dpkg) -> Verdict:
    evidence = [f"/var/lib/dpkg/status: {p.name} {p.version} is {p.state}" for p in dpkg.unfinished]
    if dpkg.updates:
        evidence.append(f"/var/lib/dpkg/updates holds {len(dpkg.updates)} note(s) that dpkg has not merged")
    names = _some(p.name for p in dpkg.unfinished)
    why = (
        f"stopped half way: {names}"
        if names
        else "dpkg was interrupted before it wrote down what it had done"
    )
    return fail(
        f"{why}; apt refuses to install or remove anything until this is finished",
        *evidence,
        remedy=Remedy(
            "Let dpkg finish, then let apt complete what is missing. If a package fails again, its own message says why.",
            ("sudo dpkg --configure -a", "sudo apt-get -f install"),
            recipe="apt-repair",
        ),
    )


def _by_release(packages: Iterable[GpuPackage]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for package in packages:
        if package.release and not package.beside:
            found.setdefault(package.release, []).append(package.name)
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in version.split(".") if n.isdigit())


def _generations(packages: GpuPackages, table: RocmTable) -> str | None:
    ours = packages.rocm_from("amd")
    newer = [p.name for p in ours if p.newer]
    old = [p.name for p in ours if not p.newer and p.release and _number(p.release)[:2] <= table.last_classic]
    if newer and old:
        return f"packages of the older layout ({_some(old)}) stand beside those of the newer one ({_some(newer)})"
    return None


def _mixed_packages(packages: GpuPackages | None, table: RocmTable) -> list[str]:
    if packages is None:
        return []
    found = []
    releases = _by_release(p for p in packages.rocm_from("amd") if not p.newer)
    if len(releases) > 1:
        parts = (f"{release} ({_some(names, 3)})" for release, names in sorted(releases.items()))
        found.append(f"packages of several ROCm releases: {'; '.join(parts)}")
    clash = _generations(packages, table)
    return [*found, clash] if clash else found


def _mixed_hip(
    packages: GpuPackages | None, shown: ShownPackages | None, hips: HipConfigs | None, table: PackageTable
) -> list[str]:
    """HIP's first two numbers are those of its ROCm."""
    if hips is None or hips.main is None or hips.main.version is None:
        return []
    if hips.main.values.get("ROCM_PATH", "").startswith("/usr"):
        return []
    hip = ".".join(hips.main.version.split(".")[:2])
    known = {p.name: p.release for p in packages.rocm_from("amd") if p.release} if packages else {}
    known.update(
        {p.name: r for p in (shown.packages if shown else ()) if (r := table.release(p)) is not None}
    )
    releases = sorted({".".join(r.split(".")[:2]) for r in known.values()})
    if not releases or hip in releases:
        return []
    place = hips.main.values.get("HIP_PATH") or hips.main.values.get("ROCM_PATH", "")
    names = _some((f"{name} {release}" for name, release in known.items()), 2)
    return [f"hipconfig is of HIP {hips.main.version} at {place}, while packages are of {names}"]


def _mixed_folders(folders: RocmFolders | None) -> list[str]:
    return [
        f"{folder.root} says it is ROCm {folder.version}, and HIP in it is {folder.hip}"
        for folder in (folders.folders if folders else ())
        if folder.hip and folder.version and folder.hip.split(".")[:2] != folder.version.split(".")[:2]
    ]


def _tool_roots(tools: Tools | None, folders: RocmFolders | None) -> dict[str, str]:
    """The folder below /opt that each tool on PATH comes from, links of /opt/rocm followed."""
    found = {}
    for name, tool in tools.tools.items() if tools else ():
        root, inside, _ = (tool.path or "").rpartition("/bin/")
        if inside and root.startswith("/opt/rocm"):
            target = folders.target if folders and root == "/opt/rocm" else None
            found[name] = target or root
    return found


@check("packages.one-rocm", fault="mixed-rocm-versions")
def one_rocm(
    packages: GpuPackages | None,
    shown: ShownPackages | None,
    folders: RocmFolders | None,
    hips: HipConfigs | None,
    tools: Tools | None,
    looked: Looked | None,
    rocm: RocmTable,
    table: PackageTable,
) -> Verdict:
    """All of ROCm that is in use belongs to one release.

    Versions may stand side by side below /opt; what must not happen is that programs of one use files of another.
    """
    mixed = (
        _mixed_packages(packages, rocm) + _mixed_hip(packages, shown, hips, table) + _mixed_folders(folders)
    )
    roots = _tool_roots(tools, folders)
    if len(set(roots.values())) > 1:
        by_root = (f"{name} from {root}" for name, root in sorted(roots.items()))
        mixed.append(f"programs on PATH come from different folders: {_some(by_root, 6)}")
    chosen = dict(looked.places).get("ROCM_PATH") if looked else None
    if chosen == "/opt/rocm" and folders and folders.target:
        chosen = folders.target
    here = next(iter(set(roots.values())), None)
    if chosen and here and chosen.rstrip("/") != here and len(set(roots.values())) == 1:
        mixed.append(f"ROCM_PATH is {chosen}, and the programs on PATH come from {here}")
    if mixed:
        return fail(
            f"{mixed[0]}; compiler, runtime and libraries of different releases do not work together",
            *mixed[1:],
            remedy=_one_release(packages),
        )
    if folders is None and packages is None:
        return unknown("neither packages nor folders of ROCm could be read")
    if here and folders and folders.target and here != folders.target and not chosen:
        return warn(
            f"programs on PATH come from {here}, and /opt/rocm leads to {folders.target}; builds that look in /opt/rocm "
            "use another release than the shell does",
            remedy=Remedy("Say which one is meant.", (f"export ROCM_PATH={here}",)),
        )
    versions = sorted({f.version for f in folders.folders if f.whole and f.version} if folders else set())
    if not versions and not (packages and packages.rocm):
        return skip("no ROCm is installed")
    return ok(f"ROCm {', '.join(versions)}" if versions else "the distribution's ROCm alone")


def _one_release(packages: GpuPackages | None) -> Remedy:
    releases = _by_release(packages.rocm_from("amd")) if packages else {}
    text = "Keep one release: remove the packages of the others, correct the repository lines, then install again."
    if len(releases) < 2:
        return Remedy(
            f"{text} Versions below /opt that are wanted side by side need PATH and ROCM_PATH to agree."
        )
    keep = max(releases, key=_number)
    old = [name for release, names in releases.items() if release != keep for name in names]
    return Remedy(
        text,
        ("grep -rn rocm /etc/apt/sources.list.d", f"sudo apt-get purge {' '.join(sorted(old))}"),
        recipe="rocm-unmixed",
    )


def _clash_names(packages: GpuPackages, table: PackageTable) -> list[str]:
    wanted = {*table.competing, *table.runtime}
    return [p.name for p in packages.rocm_from("distribution") if p.name in wanted]


@check("packages.nvidia", fault="nvidia-leftovers")
def nvidia(
    gpus: Gpus,
    displays: PciDisplays,
    packages: GpuPackages | None,
    compilers: Compilers | None,
    apt: AptSources | None,
    repositories: RepositoryTable,
) -> Verdict:
    """No CUDA or NVIDIA software misleads tools on a machine without an NVIDIA GPU."""
    if not gpus.capable:
        return skip("no AMD GPU here")
    if displays.nvidia:
        return skip("an NVIDIA GPU is here too")
    found = [p.name for p in (*packages.cuda, *packages.nvidia)] if packages else []
    places = [p for p in (compilers.nvcc, compilers.cuda) if p] if compilers else []
    lines = [s for s in apt.sources if repositories.vendor(s) == "nvidia"] if apt else []
    if not found and not places and lines:
        return ok("none installed", *[f"{s.place}: {s.line}" for s in lines])
    if not found and not places:
        return ok("none found")
    return warn(
        f"CUDA or NVIDIA software without an NVIDIA GPU: {_some([*found, *places])}; builds that look for nvcc or "
        "CUDA_HOME first take the wrong path",
        *[f"package {name}" for name in found[:20]],
        *[f"{s.place}: {s.line}" for s in lines],
        remedy=Remedy(
            "Remove it if nothing else needs it; HIP_PLATFORM=amd keeps HIP's own tools right meanwhile.",
            (f"sudo apt-get remove {' '.join(found[:12])}",) if found else ("export HIP_PLATFORM=amd",),
            recipe="cuda-out" if found else None,
        ),
    )


@check("packages.libstdcxx", fault="missing-libstdcxx-dev")
def libstdcxx(headers: CxxHeaders, installs: RocmInstalls, tools: Tools | None, rocm: RocmTable) -> Verdict:
    """The C++ headers of the GCC version that clang chooses are installed."""
    hipcc = tools.tools.get("hipcc") if tools else None
    if not any(i.layout != "wheel" for i in installs.installs) or (hipcc and hipcc.state == "absent"):
        return skip("no hipcc is installed")
    chosen = headers.chosen
    if chosen is None or chosen in headers.headers:
        return ok(f"GCC {chosen}, with headers" if chosen else "clang finds no GCC folder to choose")
    version = installs.version
    if version and _number(version) >= rocm.libstdcxx_solved and installs.active and _amd(installs):
        return ok(f"GCC {chosen} has no C++ headers, and the clang of ROCm {version} passes it over")
    return fail(
        f"clang chooses GCC {chosen}, the highest in /usr/lib/gcc/x86_64-linux-gnu, and /usr/include/c++/{chosen} is not "
        "there; hipcc stops with: 'cmath' file not found",
        f"headers are there for: {', '.join(map(str, headers.headers)) or 'no version'}",
        remedy=Remedy(
            "Install the headers of that version.",
            (f"sudo apt-get install libstdc++-{chosen}-dev",),
            recipe="cxx-headers",
        ),
    )


def _amd(installs: RocmInstalls) -> bool:
    return installs.active is not None and installs.active.layout in ("classic", "core")
