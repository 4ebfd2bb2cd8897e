"""Whether apt gets AMD's packages from where it should: repository lines, their keys, and the pin."""

from collections.abc import Iterable

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.apt import AptKeys, AptPins, AptSources, KeyFile, Pin, RepositoryTable, Source
from rocmdoctor.facts.dpkg import Dpkg, GpuPackages, PackageTable
from rocmdoctor.facts.system import OsRelease


def _of_amd(apt: AptSources, table: RepositoryTable) -> list[Source]:
    return [s for s in apt.sources if table.vendor(s) == "amd"]


def _rocm_repositories(apt: AptSources | None, table: RepositoryTable) -> list[Source]:
    return [s for s in _of_amd(apt, table) if table.kind(s) == "rocm"] if apt else []


def _names(items: Iterable[str], most: int = 5) -> str:
    listed = list(dict.fromkeys(items))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


@check("packages.distribution-rocm", fault="apt-universe-clash")
def distribution_rocm(
    packages: GpuPackages | None,
    apt: AptSources | None,
    system: OsRelease | None,
    names: PackageTable,
    table: RepositoryTable,
) -> Verdict:
    """The distribution's ROCm and AMD's are not installed together."""
    if packages is None and system is not None and "debian" not in system.family:
        return skip(f"{system.name} does not use dpkg")
    if packages is None:
        return unknown("read:/var/lib/dpkg/status: could not be read")
    contested = {*names.competing, *names.runtime}
    theirs = [p for p in packages.rocm_from("distribution") if p.name in contested]
    ours = packages.rocm_from("amd")
    repositories = _rocm_repositories(apt, table)
    if not theirs:
        return ok("AMD's packages alone" if ours else "none of both")
    if not ours and not repositories:
        return ok("the distribution's packages alone", *[f"{p.name} {p.version}" for p in theirs])
    beside = (
        f"AMD's packages ({_names((p.name for p in ours), 3)})"
        if ours
        else f"AMD's repository ({repositories[0].line})"
    )
    return fail(
        f"{_names(p.name for p in theirs)} of the distribution stand beside {beside}; of equal names the higher version "
        "number wins, not the origin, so apt mixes both or refuses",
        *[f"{p.name} {p.version} is the distribution's" for p in theirs],
        remedy=Remedy(
            "Remove the distribution's, pin AMD's repository, then install AMD's. To keep the distribution's, remove AMD's "
            "repository line instead.",
            (
                f"sudo apt-get remove {' '.join(p.name for p in theirs)}",
                _pin_command(table),
                "sudo apt-get update",
            ),
            recipe="rocm-unmixed" if ours else None,
        ),
    )


def _pin_command(table: RepositoryTable) -> str:
    stanza = f"Package: *\\nPin: release o={table.pin_origin}\\nPin-Priority: {table.pin_priority}\\n"
    return f"printf '{stanza}' | sudo tee /etc/apt/preferences.d/rocm-pin-600"


def _aims(pin: Pin) -> bool:
    """The pin means AMD's repository, rightly or not."""
    said = " ".join(filter(None, (pin.origin(), pin.site(), pin.place.rpartition("/")[2]))).lower()
    return any(word in said for word in ("radeon", "rocm", "amd.com", "amdgpu")) or "radeon" in pin.pin


def _works(pin: Pin, table: RepositoryTable, name: str) -> bool:
    return (
        pin.prefers(table.pin_origin) and pin.covers(name) and pin.priority is not None and pin.priority > 500
    )


@check("packages.pin", fault="apt-pin")
def pin(
    apt: AptSources,
    pins: AptPins,
    system: OsRelease,
    packages: GpuPackages | None,
    names: PackageTable,
    table: RepositoryTable,
) -> Verdict:
    """apt prefers AMD's packages where the distribution has packages of the same names."""
    contested = [s for s in _rocm_repositories(apt, table) if s.host == table.pin_origin]
    if not contested:
        return skip("no repository of AMD whose packages have the names of the distribution's")
    if not {"ubuntu", "debian"} & set(system.family):
        return skip(f"{system.name} has no packages of these names")
    useless = [p for p in pins.pins if _aims(p)]
    name = names.competing[0]
    working = [p for p in useless if _works(p, table, name)]
    if working:
        return ok(f"{working[0].place}: {working[0].pin}, priority {working[0].priority}")
    remedy = Remedy(
        "Pin AMD's repository.", (_pin_command(table), "sudo apt-get update"), recipe="rocm-repositories"
    )
    why = f"{name} and others of {system.name} have higher version numbers than those of {contested[0].line}, and win"
    if useless:
        found = useless[0]
        said = f"{found.place} has no effect: `Pin: {found.pin}`, priority {found.priority}, packages {' '.join(found.packages)}"
        return fail(
            f"{said}; wanted is `release o={table.pin_origin}` with more than 500. {why}", remedy=remedy
        )
    if packages and packages.rocm_from("amd") and not packages.rocm_from("distribution"):
        return warn(f"no pin prefers {table.pin_origin}; at the next upgrade {why}", remedy=remedy)
    return fail(f"no pin prefers {table.pin_origin}; {why}", remedy=remedy)


def _release_of(source: Source, table: RepositoryTable) -> str | None:
    """The release of the system that a line is meant for."""
    if source.suite in table.codenames:
        return source.suite
    return next((name for part, name in table.suites.items() if part in source.path.split("/")), None)


@check("packages.repository-release", fault="repo-codename-mismatch")
def repository_release(apt: AptSources, system: OsRelease, table: RepositoryTable) -> Verdict:
    """AMD's repository lines name this release of the system and paths that exist."""
    found = _of_amd(apt, table)
    if not found:
        return skip("no repository of AMD is set up")
    for source in found:
        for pattern, why in table.dead:
            if pattern.search(f"{source.host}/{source.path} {source.suite}"):
                return fail(
                    f"{source.place}: {source.line}: {why}; apt update stops with 404",
                    remedy=_edit(source, "Replace the line by the one of AMD's current installation guide."),
                )
    served = {works for name, systems in table.codenames.items() for works in (name, *systems)}
    for source in found:
        meant = _release_of(source, table)
        if meant is None or system.codename in (meant, *table.codenames.get(meant, ())):
            continue
        why = f"{source.place}: {source.line} is for {meant}, and this is {system.name} ({system.codename})"
        remedy = _edit(source, f"Name the suite for {system.codename} in that line.")
        if system.codename in served:
            return fail(f"{why}; its packages need libraries that are not here", remedy=remedy)
        return warn(f"{why}, which AMD has no packages for; they may not fit", remedy=remedy)
    return ok(_names(s.line for s in found))


def _edit(source: Source, text: str) -> Remedy:
    return Remedy(text, (f"sudoedit {source.place}", "sudo apt-get update"), recipe="rocm-repositories")


def _conflict(one: Source, two: Source, dpkg: Dpkg | None) -> bool:
    """Two keys always clash; a key and none clash for apt before 3.0."""
    version = dpkg.packages["apt"].version if dpkg and "apt" in dpkg.packages else ""
    modern = version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 3
    return bool(one.signed_by and two.signed_by) or not modern


@check("packages.repository-once")
def repository_once(apt: AptSources, dpkg: Dpkg | None, table: RepositoryTable) -> Verdict:
    """Every repository of AMD is set up once."""
    found = _of_amd(apt, table)
    if not found:
        return skip("no repository of AMD is set up")
    seen: dict[tuple[str, str, str], Source] = {}
    again = []
    for source in found:
        same = seen.setdefault((source.host, source.path, source.suite), source)
        if same is source:
            continue
        if same.signed_by != source.signed_by and _conflict(same, source, dpkg):
            return fail(
                f"{same.place} and {source.place} name {source.uri} {source.suite} with different keys "
                f"({same.signed_by or 'none'} and {source.signed_by or 'none'}); apt refuses to read any source",
                remedy=_edit(source, f"Remove one of both; {same.place} holds the other."),
                fault="gpg-key",
            )
        again.append(f"{source.line} stands in {same.place} and in {source.place}")
    for kind in ("rocm", "amdgpu"):
        ours = {table.release(s): s for s in found if table.kind(s) == kind and table.release(s)}
        if len(ours) > 1:
            lines = [f"{s.place}: {s.line}" for s in ours.values()]
            return warn(
                f"several versions of one repository are set up: {_names(map(str, ours))}; a plain upgrade takes the newest, "
                "and packages of the others stay behind",
                *lines,
                remedy=_edit(
                    next(iter(ours.values())), "Keep the line of the release that is wanted, unless "
                    "versions are installed side by side under names that carry the version.",
                ),
                fault="mixed-rocm-versions",
            )  # fmt: skip
    if again:
        return warn(
            again[0],
            *again[1:],
            remedy=Remedy("Remove one of both lines.", ("sudo apt-get update",), recipe="rocm-repositories"),
        )
    return ok(_names(s.line for s in found))


@check("packages.repository-key", fault="gpg-key")
def repository_key(apt: AptSources, keys: AptKeys, table: RepositoryTable) -> Verdict:
    """The key of every repository of AMD is there, is AMD's and is valid."""
    found = _of_amd(apt, table)
    if not found:
        return skip("no repository of AMD is set up")
    notes, unsure = [], []
    for source in found:
        bad, note, doubt = _key_of(source, keys, table)
        if bad:
            return fail(
                f"{source.place}: {source.uri}: {bad}; apt refuses its packages", remedy=_renew(table)
            )
        notes += [f"{source.place}: {source.uri}: {note}"] if note else []
        unsure += [doubt] if doubt else []
    if notes:
        return warn(notes[0], *notes[1:], remedy=_renew(table))
    if unsure:
        return unknown(_names(unsure))
    return ok(_names(s.signed_by or "a key that is trusted for every repository" for s in found))


def _key_of(source: Source, keys: AptKeys, table: RepositoryTable) -> tuple[str, str, str]:
    """What is wrong, what is only unwise, and what could not be told."""
    if source.trusted:
        return "", "trusted=yes: apt takes packages from anybody who answers in its name", ""
    if source.signed_by == "inline" or (source.signed_by and not source.signed_by.startswith("/")):
        return "", "", ""
    if source.signed_by:
        file = keys.named.get(source.signed_by)
        return _judged(file, source, table) if file else ("", "", f"stat:{source.signed_by}: not asked")
    if not keys.general:
        return "the line names no key (signed-by), and none of AMD's is trusted for every repository", "", ""
    results = [_judged(file, source, table) for file in keys.general.values()]
    if any(not bad for bad, _, _ in results):
        old = [path for path in keys.general if path == "/etc/apt/trusted.gpg"]
        alone = old and len(keys.general) == 1
        note = f"its key is only in {old[0]}, which apt is about to stop reading" if alone else ""
        return "", note, next((doubt for bad, _, doubt in results if not bad and doubt), "")
    return results[0]


def _judged(file: KeyFile, source: Source, table: RepositoryTable) -> tuple[str, str, str]:
    if file.there is False:
        return f"its key {file.path} is not there", "", ""
    if file.keys is None:
        return "", "", f"{file.path}: the key could not be read ({file.why or 'not asked'})"
    if not file.keys:
        return f"{file.path} holds no key", "", ""
    ours = [k for k in file.keys if k.fingerprint in table.fingerprints]
    if source.host == table.pin_origin and not ours:
        return f"{file.path} holds {file.keys[0].fingerprint}, which is not AMD's key", "", ""
    expired = [k for k in ours or file.keys if k.validity in ("e", "r")]
    if len(expired) == len(ours or file.keys):
        word = "has expired" if expired[0].validity == "e" else "was revoked"
        return f"the key {expired[0].fingerprint[-16:]} in {file.path} {word}", "", ""
    return "", "", ""


def _renew(table: RepositoryTable) -> Remedy:
    return Remedy(
        f"Fetch AMD's key and name it in the line: signed-by={table.keyring}",
        (
            "sudo mkdir -p -m 755 /etc/apt/keyrings",
            f"wget -qO- {table.key_url} | gpg --dearmor | sudo tee {table.keyring} >/dev/null",
            "sudo apt-get update",
        ),
        recipe="rocm-repositories",
    )
