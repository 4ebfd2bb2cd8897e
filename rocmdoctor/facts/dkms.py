"""The DKMS tree, walked by ourselves: `dkms status` calls a failed build `added`, and a stale tree hides the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Glob, Link, List, Query, Run

TREE = "/var/lib/dkms"
MODULE = "amdgpu"
_MINE = f"{TREE}/{MODULE}"
_LOG_HEAD = re.compile(r"make\.log for (?P<name>\S+) for kernel (?P<kernel>\S+)")
_LOG = (
    r"^(?:DKMS .{0,40}make\.log for \S+ for kernel \S+.{0,40}"
    r"|.{0,300}?(?:\berror: .{0,200}|\*\*\* .{0,200}|No rule to make target.{0,200}|: not found$)"
    r"|.{0,40}(?:ERROR:|Error!) .{0,200})"
)
# What make says when a command before it failed; the compiler's own words tell more.
_ECHO = re.compile(r"^make(?:\[\d+\])?: \*\*\*|^cc1: ")


@frozen
class Built:
    """A module that DKMS built for a kernel. `installed` when it was put among that kernel's modules."""

    kernel: str
    arch: str
    installed: bool


@frozen
class Failed:
    """A build that ended in errors, from the make.log that DKMS leaves. `kernel` is "" when the log names none."""

    kernel: str
    log: str
    errors: tuple[str, ...]


@frozen
class DkmsVersion:
    """One version of DKMS' amdgpu. `source` is where its link points; `stale` when there is no dkms.conf behind it."""

    version: str
    source: str
    stale: bool
    built: tuple[Built, ...]
    failed: tuple[Failed, ...]
    exclusive: str = ""

    def serves(self, kernel: str) -> bool:
        """Installed for this kernel."""
        return any(b.installed and b.kernel == kernel for b in self.built)


@frozen
class StatusRow:
    """A line of `dkms status`."""

    module: str
    version: str
    kernel: str
    arch: str
    state: str


@frozen
class Dkms(Fact):
    """DKMS' amdgpu, newest version first, and the modules of others whose source is gone.

    `status` is what `dkms status` lists and `complaint` what it says instead; the tree decides where both are known.
    """

    versions: tuple[DkmsVersion, ...]
    stale_others: tuple[str, ...]
    status: tuple[StatusRow, ...]
    complaint: str
    walked: bool

    templates: ClassVar[tuple[str, ...]] = (
        f"list:{TREE}/<module>",
        f"link:{_MINE}/<version>/source",
        f"link:{_MINE}/kernel-<kernel>-<arch>",
    )

    def serving(self, kernel: str) -> DkmsVersion | None:
        """The version that is installed for a kernel."""
        return next((v for v in self.versions if v.serves(kernel)), None)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        nothing = r"(?!)"  # the names are wanted, not the texts
        return {
            "tree": List(TREE),
            "mine": List(_MINE),
            "confs": Glob(
                f"{TREE}/*/*/source/dkms.conf", keep=r"^BUILD_EXCLUSIVE_KERNEL=.{1,120}", limit=1 << 15
            ),
            "modules": Glob(f"{_MINE}/*/*/*/module/*", keep=nothing, limit=1),
            "logs": Glob(f"{_MINE}/*/build/make.log", keep=_LOG, limit=8 << 20),
            "kernel-logs": Glob(f"{_MINE}/*/*/*/log/make.log", keep=_LOG, limit=8 << 20),
            "status": Run(("dkms", "status"), timeout=3.0),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for name in _folders(ev["tree"].text):
            if name != MODULE:
                asked[f"other {name}"] = List(f"{TREE}/{name}")
        for name in _folders(ev["mine"].text):
            asked[f"source {name}"] = Link(f"{_MINE}/{name}/source")
        for name in ev["mine"].text.splitlines():
            if name.startswith("kernel-") and name.endswith("@"):
                asked[name.rstrip("@")] = Link(f"{_MINE}/{name.rstrip('@')}")
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> Dkms:
        answers = [answer for argv, answer in ev.runs("dkms") if argv[1:2] == ("status",) and answer.ok]
        rows, complaint = _status(answers)
        if ev["tree"].ok or ev["tree"].why == "absent":
            versions = [_version(name, ev) for name in _folders(ev["mine"].text)]
            others = _stale_others(ev)
        elif answers:
            versions, others = _from_status(rows, complaint), ()
        else:
            raise UnknownError(f"{ev.key('tree')}: {ev['tree'].why}")
        versions.sort(key=lambda v: [int(n[:9]) for n in re.findall(r"\d+", v.version)], reverse=True)
        return cls(
            tuple(versions), others, rows, complaint, walked=ev["tree"].ok or ev["tree"].why == "absent"
        )


def _folders(listing: str) -> list[str]:
    """Folders of modules or versions. Beside them DKMS keeps plain files, such as keys, and the kernel's own modules."""
    names = (line[:-1] for line in listing.splitlines() if line.endswith("/"))
    return [name for name in names if name and name != "original_module"]


def _version(name: str, ev: Evidence) -> DkmsVersion:
    link = ev[f"source {name}"]
    conf = f"{_MINE}/{name}/source/dkms.conf"
    found = re.search(r"BUILD_EXCLUSIVE_KERNEL=[\"']?([^\"'\n]+)", ev["confs"].files.get(conf, ""))
    return DkmsVersion(
        version=name,
        source=link.text.strip(),
        stale=ev["confs"].ok and conf not in ev["confs"].files,
        built=_built(name, ev),
        failed=_failed(name, ev),
        exclusive=found.group(1) if found else "",
    )


def _built(name: str, ev: Evidence) -> tuple[Built, ...]:
    found: dict[tuple[str, str], bool] = {}
    for path in ev["modules"].files:
        parts = path[len(_MINE) + 1 :].split("/")
        if parts[0] == name and re.fullmatch(rf"{MODULE}\.ko(\.\w+)?", parts[-1]):
            found[parts[1], parts[2]] = False
    # dkms.in: a module counts as installed when this link names its folder.
    for question in ev.names():
        target = ev[question].text.strip().split("/")
        if question.startswith("kernel-") and len(target) == 3 and target[0] == name:
            found[target[1], target[2]] = True
    return tuple(Built(kernel, arch, installed) for (kernel, arch), installed in sorted(found.items()))


def _failed(name: str, ev: Evidence) -> tuple[Failed, ...]:
    found = []
    built = {(b.kernel) for b in _built(name, ev)}
    for question in ("logs", "kernel-logs"):
        for path, text in ev[question].files.items():
            if not path.startswith(f"{_MINE}/{name}/"):
                continue
            head = _LOG_HEAD.search(text)
            kernel = head["kernel"] if head else ""
            errors = [line.strip() for line in text.splitlines() if not _LOG_HEAD.search(line)]
            telling = [line for line in errors if not _ECHO.match(line)] or errors
            # A log that stayed in build/ is of a build that never ended well; others are kept for good builds too.
            if kernel in built or (question == "kernel-logs" and not errors):
                continue
            found.append(Failed(kernel, path, tuple(dict.fromkeys(telling))[:5]))
    return tuple(found)


def _stale_others(ev: Evidence) -> tuple[str, ...]:
    if not ev["confs"].ok:
        return ()
    whole = {path.rpartition("/source/")[0] for path in ev["confs"].files}
    found: list[str] = []
    for question in ev.names():
        if question.startswith("other "):
            module = question[len("other ") :]
            found += [f"{module}/{version}" for version in _folders(ev[question].text)]
    return tuple(name for name in found if f"{TREE}/{name}" not in whole)


# dkms 3 writes `amdgpu/6.3.6, 6.1.0-56-amd64, x86_64: installed`, dkms 2 `amdgpu, 3.9-19, 5.4.0-54, x86_64: installed`.
_ROW = re.compile(
    r"^(?P<module>[\w.+-]+)(?:/|, )(?P<version>[\w.:+~-]+)(?:, (?P<kernel>[^,\s]+), (?P<arch>\w+))?: (?P<state>\w+)",
    re.MULTILINE,
)
# dkms 3.0 and before; dkms 3.1 and later, which also lists the version as `broken`.
_NO_CONF = re.compile(
    r"File: \S*?/dkms/(?P<module>[^/\s]+)/(?P<version>[^/\s]+)/source/dkms\.conf does not exist"
)


def _status(answers: list[Answer]) -> tuple[tuple[StatusRow, ...], str]:
    text = "\n".join(f"{a.stdout}\n{a.stderr}" for a in answers)
    rows = [
        StatusRow(m["module"], m["version"], m["kernel"] or "", m["arch"] or "", m["state"])
        for m in _ROW.finditer(text)
        if m["module"] not in ("Error", "Warning")
    ]
    said = [line.strip() for line in text.splitlines() if line.startswith("Error!") or _NO_CONF.search(line)]
    return tuple(rows), " ".join(said)


def _from_status(rows: tuple[StatusRow, ...], complaint: str) -> list[DkmsVersion]:
    mine: dict[str, list[Built]] = {}
    for row in rows:
        if row.module == MODULE:
            builds = mine.setdefault(row.version, [])
            if row.kernel and row.state in ("built", "installed"):
                builds.append(Built(row.kernel, row.arch, row.state == "installed"))
    gone = [m["version"] for m in _NO_CONF.finditer(complaint) if m["module"] == MODULE]
    gone += [row.version for row in rows if row.module == MODULE and row.state == "broken"]
    for version in gone:
        mine.setdefault(version, [])
    return [DkmsVersion(v, "", v in gone, tuple(builds), ()) for v, builds in mine.items()]
