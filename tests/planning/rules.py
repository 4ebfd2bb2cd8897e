"""What a plan of AMD's driver and ROCm must keep to, by the collected facts alone: no recipe is looked at, nor any table of ours.

The facts lie beside the checkout, or where ROCMDOCTOR_FACTS says; tests that need them are skipped elsewhere.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Action, Exec, Fetch, Plan, Reboot, WriteFile
from tests.planning.boxes import Box

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parent.parent.parent
FACTS = Path(os.environ.get("ROCMDOCTOR_FACTS", CHECKOUT.parent / "shared" / "facts"))
needs_facts = pytest.mark.skipif(
    not (FACTS / "rocm_releases.toml").is_file(),
    reason=f"the collected facts are not in {FACTS}; ROCMDOCTOR_FACTS names their folder",
)
# Metapackages of the use cases, and the installer that picks among them.
ZOO = {
    "rocm",
    "rocm-hip-sdk",
    "rocm-ml-sdk",
    "rocm-dev",
    "rocm-libs",
    "rocm-developer-tools",
    "amdgpu-install",
}
APUS = ("gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153")


@cache
def facts() -> Mapping[str, Any]:
    return tomllib.loads((FACTS / "rocm_releases.toml").read_text(encoding="utf-8"))


def rows() -> list[Mapping[str, Any]]:
    return list(facts()["rocm_releases"])


def row_of(version: str) -> Mapping[str, Any]:
    return next((row for row in rows() if row["version"] == version), {})


def number(text: str) -> tuple[int, ...]:
    """The numbers that a version or a kernel release begins with."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(n) for n in found.group().split(".")) if found else ()


def series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def one_line(text: str) -> dict[str, str]:
    """A line of sources.list in its parts."""
    found = re.match(r"deb \[arch=(\S+) signed-by=(\S+)\] (\S+) (\S+) (\S+)$", text)
    if found is None:
        return {}
    return dict(zip(("arch", "key", "uri", "suite", "component"), found.groups(), strict=True))


def offered(row: Mapping[str, Any], codename: str, which: str = "apt_rocm") -> str | None:
    """The address that a release has for a system of this codename."""
    lines = [one_line(text) for text in row.get(which, ())]
    return next((x["uri"] for x in lines if x.get("suite") == codename), None)


def listed(row: Mapping[str, Any], gfx: str, box_os: str) -> bool:
    """AMD lists the target for the release; what is marked with a question mark is not."""
    for text in row.get("gfx_official", ()):
        if gfx in re.findall(r"gfx[0-9a-f]+", text.partition("(")[0]) and "?" not in text:
            return "22.04 only" not in text or box_os == "ubuntu-22.04"
    return False


def supports(driver: str, rocm: str) -> bool:
    """The driver's range names the series of ROCm."""
    ranges = {row["driver"].removesuffix(".x"): row["supports_rocm"] for row in facts()["driver_ranges"]}
    return series(rocm) in ranges.get(series(driver), ())


def kernels(row: Mapping[str, Any], system: str) -> set[tuple[int, ...]]:
    """Kernels that a release names for an Ubuntu, "" for any."""
    told = [text for text in row.get("ubuntu", ()) if system.removeprefix("ubuntu-") in text]
    inside = " ".join(re.sub(r"\b2\d\.\d\d(?:\.\d)?", "", text) for text in told)
    return {number(n) for n in re.findall(r"\b[5-9]\.\d+\b", inside)}


# ---------------------------------------------------------------- the rules

Rule = Callable[[Plan, Box], Iterator[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def broken(plan: Plan, box: Box) -> list[str]:
    """Everything in a plan that the facts do not bear out."""
    return [f"{function.__name__}: {said}" for function in RULES for said in function(plan, box)]


def written(plan: Plan, path: str) -> str | None:
    return next(
        (a.do.text for a in plan.actions if isinstance(a.do, WriteFile) and a.do.path.endswith(path)), None
    )


def sources(plan: Plan, name: str) -> dict[str, str]:
    """The fields of a repository's file."""
    text = written(plan, f"/rocmdoctor-{name}.sources") or ""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def installed(plan: Plan, *recipes: str) -> list[str]:
    """Packages that apt is told to install, in their order."""
    found: list[str] = []
    for action in plan.actions:
        if isinstance(action.do, Exec) and "install" in action.do.argv and action.recipe in recipes:
            found += action.do.argv[action.do.argv.index("install") + 1 :]
    return found


def there(plan: Plan, name: str) -> bool:
    """The plan rests on a package that is installed already, and does not remove it."""
    gone = {n for a in plan.actions for n in a.removes}
    return plan.claims.get(f"package {name}", "absent")[:1].isdigit() and name not in gone


def place(plan: Plan, told: Callable[[Action], bool]) -> int:
    return next((n for n, action in enumerate(plan.actions) if told(action)), -1)


def installs(name: str) -> Callable[[Action], bool]:
    return lambda a: isinstance(a.do, Exec) and "install" in a.do.argv and name in a.do.argv


@rule
def the_release_is_for_this_machine(plan: Plan, box: Box) -> Iterator[str]:
    rocm = plan.choice.get("rocm")
    if rocm is None or rocm.source != "amd":
        return
    row = row_of(rocm.version)
    if not row:
        yield f"{rocm.version} is no release of the facts"
    for gfx in plan.gfx:
        if not listed(row, gfx, box.os):
            yield f"{gfx} is not among {row.get('gfx_official')} of {rocm.version}"


@rule
def the_repository_is_the_one_of_the_release(plan: Plan, box: Box) -> Iterator[str]:
    rocm = plan.choice.get("rocm")
    if rocm is None or rocm.source != "amd" or not sources(plan, "rocm"):
        return
    row, said = row_of(rocm.version), sources(plan, "rocm")
    if row["line"] == "legacy":
        wanted = (offered(row, box.codename), box.codename)
    else:
        system = box.os.replace("-", "").replace(".", "")
        host = re.search(r"https://\S+?(?=/ubuntu\d{4})", row["apt_rocm"][0])
        wanted = (f"{host.group() if host else ''}/{system}", "stable")
    if (said["URIs"], said["Suites"]) != wanted:
        yield f"{said['URIs']} {said['Suites']}, and the facts say {wanted}"
    if (said["Components"], said["Architectures"]) != ("main", "amd64"):
        yield f"components {said['Components']}, architectures {said['Architectures']}"


@rule
def each_repository_is_held_to_the_right_key(plan: Plan, box: Box) -> Iterator[str]:
    keys = facts()["gpg_keys"]
    for name in ("rocm", "amdgpu"):
        said = sources(plan, name)
        if not said:
            continue
        host = said["URIs"].split("/")[2]
        key = next(k for k in keys if k["url"].split("/")[2] == host)
        trusted = key.get("fingerprint") or plan.request.trust_key
        keyring, fingerprint = said["Signed-By"].split()
        if fingerprint != trusted:
            yield f"{said['URIs']} is held to {fingerprint}, and its key is {trusted}"
        fetched = [a.do for a in plan.actions if isinstance(a.do, Fetch) and a.do.path == keyring]
        if [(f.url, f.key) for f in fetched] != [(key["url"], trusted)]:
            yield f"the key comes from {[(f.url, f.key) for f in fetched]}, and the facts say {key['url']}"


@rule
def the_pin_stands_before_the_packages(plan: Plan, box: Box) -> Iterator[str]:
    text = written(plan, "/preferences.d/rocmdoctor-rocm")
    classic = "rocm/apt" in sources(plan, "rocm").get("URIs", "")
    if classic != (text is not None):
        yield f"pinned: {text is not None}, and AMD's repository is {'' if classic else 'not '}there"
    if text is None:
        return
    stanza = [line for line in text.splitlines() if not line.startswith("Explanation:")]
    if " / ".join(stanza) not in facts()["naming"]["apt_pin"]:
        yield f"{stanza} is not {facts()['naming']['apt_pin']}"
    first = place(plan, lambda a: a.recipe == "rocm" and isinstance(a.do, Exec) and "install" in a.do.argv)
    if place(plan, lambda a: isinstance(a.do, WriteFile) and a.do.text == text) > first >= 0:
        yield "packages are installed before the pin"


@rule
def the_packages_are_those_that_training_needs(plan: Plan, box: Box) -> Iterator[str]:
    names, rocm = installed(plan, "rocm"), plan.choice.get("rocm")
    if zoo := ZOO & set(names):
        yield f"{sorted(zoo)} brings a use case"
    if rocm is None or rocm.source != "amd" or not sources(plan, "rocm"):
        return
    if row_of(rocm.version)["line"] == "legacy":
        missing = {"rocm-hip-runtime-dev", "rocminfo"} - set(names)
        if any(not there(plan, name) for name in missing):
            yield f"no compiler or no rocminfo among {names}"
        if wrong := [n for n in names if re.search(r"\d\.\d", n) and not n.startswith("libstdc")]:
            yield f"{wrong} bear a version"
    else:
        family = f"{series(rocm.version)}-{plan.gfx[0]}"
        if not any(n.startswith("amdrocm") and n.endswith(family) for n in names):
            yield f"none of {names} is amdrocm...{family}"


@rule
def the_driver_goes_with_rocm_kernel_and_gpus(plan: Plan, box: Box) -> Iterator[str]:
    driver, rocm = plan.choice.get("amdgpu-driver"), plan.choice.get("rocm")
    if driver is None or driver.source != "dkms" or plan.request.no_root:
        return
    if rocm and rocm.source == "amd" and not supports(driver.version, rocm.version):
        yield f"driver {driver.version} does not support ROCm {rocm.version}"
    said = sources(plan, "amdgpu")
    known = {offered(row, box.codename, "apt_amdgpu") for row in rows()}
    places = [url for row in rows() for url in row.get("amdgpu_install_urls", ())]
    folder = said.get("URIs", "").removeprefix("https://repo.radeon.com/amdgpu/").removesuffix("/ubuntu")
    installer = f"https://repo.radeon.com/amdgpu-install/{folder}/ubuntu/{box.codename}/"
    if said.get("URIs") not in known and not any(url.startswith(installer) for url in places):
        yield f"{said.get('URIs')} is not in the facts for {box.codename}"
    if said.get("Suites") != box.codename:
        yield f"suite {said.get('Suites')} on {box.codename}"
    if not box.os.startswith("ubuntu") or box.gfx in APUS or box.inside or box.locked or not box.packaged:
        yield f"AMD's driver on {box}"
    yield from _kernel(driver.version, box)


def _kernel(driver: str, box: Box) -> Iterator[str]:
    """The kernel is one that a release of the driver's series names for this system, or lies between two such."""
    mine = [r for r in rows() if series(str(r.get("amdgpu_driver", ""))) == series(driver)]
    mine += [r for r in rows() if series(r["version"]) == series(driver) and r["line"] == "legacy"]
    named = set().union(*(kernels(row, box.os) for row in mine)) if mine else set()
    least = min(set().union(*(kernels(row, "") for row in mine)), default=())
    here = number(box.release)[:2]
    # The kernel that an Ubuntu came with is the later one of the Ubuntu before it, which the tables name there.
    if named and not least <= here <= max(named):
        yield f"kernel {box.release} for driver {driver}, whose tables name {sorted(named)}"
    for failing, since in (("6.0", (6, 8)), ("30.30", (6, 18))):
        if series(driver) == failing and here >= since:
            yield f"driver {driver} is known not to build on {box.release}"


@rule
def a_driver_is_built_with_headers_and_loaded_by_a_start(plan: Plan, box: Box) -> Iterator[str]:
    driver = plan.choice.get("amdgpu-driver")
    at = place(plan, installs("amdgpu-dkms"))
    wanted = driver is not None and driver.source == "dkms" and not plan.request.no_root
    if wanted != (at >= 0):
        yield f"amdgpu-dkms is {'not ' if at < 0 else ''}installed, and the choice is {driver}"
    if not wanted:
        return
    before = [f"linux-headers-{box.release}"]
    if box.os in ("ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04"):
        before.append(f"linux-modules-extra-{box.release}")
    for name in before:
        if not there(plan, name) and not -1 < place(plan, installs(name)) < at:
            yield f"{name} does not come before amdgpu-dkms"
    if not any(isinstance(a.do, Reboot) for a in plan.actions[at:]):
        yield "no start loads the new driver"


@rule
def reboots_come_last_and_once(plan: Plan, box: Box) -> Iterator[str]:
    found = [n for n, a in enumerate(plan.actions) if isinstance(a.do, Reboot)]
    if len(found) > 1 or any(n != len(plan.actions) - 1 for n in found):
        yield f"reboots at {found} of {len(plan.actions)}"


@rule
def the_kernels_own_driver_has_a_reason(plan: Plan, box: Box) -> Iterator[str]:
    driver = plan.choice.get("amdgpu-driver")
    own = driver is not None and driver.source == "kernel" and plan.request.driver != "kernel"
    if own and not any("amdgpu-driver is the kernel's own" in note for note in plan.notes):
        yield "the kernel's own driver without a reason"
    if box.inside and driver is not None:
        yield f"a driver in a {box.inside}"


@rule
def the_user_gets_at_the_gpus(plan: Plan, box: Box) -> Iterator[str]:
    groups = [a for a in plan.actions if a.id.startswith("gpu-access.groups")]
    for name in ("render", "video"):
        claim = plan.claims.get(f"{plan.person.name} in group {name}")
        joins = any(isinstance(a.do, Exec) and name in " ".join(a.do.argv) for a in groups)
        if claim != "a member" and not joins:
            yield f"{plan.person.name} is not put into {name}"


@rule
def nothing_foreign_goes(plan: Plan, box: Box) -> Iterator[str]:
    gone = {name for a in plan.actions for name in a.removes}
    if box.nvidia and (left := [n for n in gone if "nvidia" in n or "cuda" in n]):
        yield f"{left} go beside an NVIDIA GPU"
    if kernel := [n for n in gone if box.release in n]:
        yield f"{kernel} of the running kernel go"


@rule
def steps_stand_in_their_order(plan: Plan, box: Box) -> Iterator[str]:
    order = ["purge", "amdgpu-driver", "rocm", "gpu-access", "host-tuning", "shell-env"]
    seen = [a.recipe for a in plan.actions if not isinstance(a.do, (Reboot, Fetch)) and a.recipe in order]
    if seen != sorted(seen, key=order.index):
        yield f"{list(dict.fromkeys(seen))}"


@rule
def keys_are_there_before_anything_goes(plan: Plan, box: Box) -> Iterator[str]:
    keys = [n for n, a in enumerate(plan.actions) if isinstance(a.do, Fetch) and a.do.key]
    going = [n for n, a in enumerate(plan.actions) if a.removes]
    if keys and going and max(keys) > min(going):
        yield f"{plan.actions[min(going)].id} removes before {plan.actions[max(keys)].id} has proved its key"


@rule
def a_user_alone_needs_no_root(plan: Plan, box: Box) -> Iterator[str]:
    if plan.request.no_root and (left := [a.id for a in plan.actions if a.root]):
        yield f"{left} need root"
