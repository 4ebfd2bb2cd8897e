"""Who asks, in which groups, and whether the GPUs' device nodes open for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Access, Answer, Glob, List, Query, Read, Stat

KFD = "/dev/kfd"
_RENDER = re.compile(r"renderD(\d{1,6})")
_MAX_NODES = 256


@frozen
class Session(Fact):
    """The process that asks. `name` is None where the system has no name for the number; `gids` hold the primary."""

    uid: int
    name: str | None
    gids: tuple[int, ...]

    @property
    def who(self) -> str:
        """The user as people write it."""
        return self.name or f"user {self.uid}"

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "status": Read("/proc/self/status", keep=r"^(?:Uid|Gid|Groups):[\d \t]*$", limit=8192),
            "owner": Stat("/proc/self"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Session:
        values = {}
        for line in ev.text("status").splitlines():
            label, _, numbers = line.partition(":")
            values[label] = [int(n) for n in numbers.split() if n.isascii() and n.isdigit() and len(n) < 11]
        # proc(5): real, effective, saved and file system id; files are opened with the last.
        if len(values.get("Uid", ())) != 4 or len(values.get("Gid", ())) != 4:
            raise UnknownError(f"{ev.key('status')}: names no user")
        gids = (values["Gid"][3], *values.get("Groups", ()))
        return cls(uid=values["Uid"][3], name=user_name(ev["owner"]), gids=tuple(dict.fromkeys(gids)))


def user_name(owner: Answer) -> str | None:
    """The owner that a `Stat` names, None for a bare number."""
    words = owner.text.split()
    return words[2] if owner.ok and len(words) == 4 and not words[2].isdigit() else None


@frozen
class Node:
    """A device node. `opened` is None when nobody tried; `error` is the errno's name when it did not open."""

    path: str
    mode: int
    owner: str
    group: str
    opened: bool | None
    error: str = ""

    @property
    def shown(self) -> str:
        """Path, mode and owners."""
        return f"{self.path} is {self.mode:04o} {self.owner}:{self.group}"


@frozen
class DeviceNodes(Fact):
    """/dev/kfd and the render nodes, by minor number. `dri`: the folder /dev/dri is there.

    `live` is false of trees and old reports, in which nodes that are not there prove nothing.
    """

    kfd: Node | None
    renders: Mapping[int, Node]
    dri: bool
    live: bool = True

    templates: ClassVar[tuple[str, ...]] = ("stat:/dev/dri/renderD<n>", "access:/dev/dri/renderD<n>")

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"kfd": Stat(KFD), "open-kfd": Access(KFD), "dri": List("/dev/dri")}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        more: dict[str, Query] = {}
        for number in _minors(ev["dri"]):
            path = f"/dev/dri/renderD{number}"
            more[f"render {number}"] = Stat(path)
            more[f"open-render {number}"] = Access(path)
        return more

    @classmethod
    def parse(cls, ev: Evidence) -> DeviceNodes:
        # A folder that is not there is an answer; one that could not be read is not.
        ev.text("kfd", absent="")
        ev.text("dri", absent="")
        renders = {}
        for number in _minors(ev["dri"]):
            name = f"render {number}"
            node = _node(f"/dev/dri/renderD{number}", ev[name], ev[f"open-{name}"])
            if node is not None:
                renders[number] = node
        live = ev["open-kfd"].why != "not-asked"
        return cls(_node(KFD, ev["kfd"], ev["open-kfd"]), renders, ev["dri"].ok, live)


def _minors(dri: Answer) -> list[int]:
    names = (_RENDER.fullmatch(line) for line in dri.text.splitlines())
    return sorted(int(name.group(1)) for name in names if name)[:_MAX_NODES]


def _node(path: str, stat: Answer, opened: Answer) -> Node | None:
    words = stat.text.split()
    if not stat.ok or len(words) != 4 or not re.fullmatch(r"[0-7]{4}", words[1]):
        return None
    asked = opened.ok or opened.why not in ("not-asked", "timeout")
    error = "" if opened.ok else opened.detail or ("EACCES" if opened.why == "permission" else opened.why)
    return Node(
        path, int(words[1], 8), words[2], words[3], opened.ok if asked else None, error if asked else ""
    )


@frozen
class Group:
    """One line of /etc/group; `name` is "" for groups that have nothing to do with GPUs."""

    name: str
    gid: int
    member: bool


@frozen
class Groups(Fact):
    """/etc/group as far as it concerns GPUs and the asking user; other members never leave the machine."""

    all: tuple[Group, ...]

    templates: ClassVar[tuple[str, ...]] = ("read:/etc/group",)

    def gid(self, name: str) -> int | None:
        """The number of a group, which may be given as a number already."""
        if name.isdigit():
            return int(name)
        return next((g.gid for g in self.all if g.name == name), None)

    def on_paper(self, name: str) -> bool:
        """The user stands in the group's line."""
        return any(g.member and name in (g.name, str(g.gid)) for g in self.all)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"owner": Stat("/proc/self"), "kfd": Stat(KFD), "render": Stat("/dev/dri/renderD128")}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        names = {"render", "video"}
        for node in (ev["kfd"], ev["render"]):
            words = node.text.split()
            if node.ok and len(words) == 4 and not words[3].isdigit():
                names.add(words[3])
        return {"file": Read("/etc/group", keep=group_pattern(names, user_name(ev["owner"])))}

    @classmethod
    def parse(cls, ev: Evidence) -> Groups:
        return cls(read_groups(ev.text("file"), user_name(ev["owner"])))


def group_pattern(names: set[str], user: str | None) -> str:
    """Lets through the names of these groups, all group numbers, and this user among the members.

    Every line of the file begins with one match, its name or nothing, so that lines can be told apart.
    """
    wanted = "|".join(re.escape(n) for n in sorted(names))
    member = rf"|(?<=[:,]){re.escape(user)}(?=,|\s*$)" if user else ""
    return rf"^(?:{wanted})(?=:)|^(?=.)|(?<=:)\d{{1,10}}(?=:){member}"


def read_groups(text: str, user: str | None) -> tuple[Group, ...]:
    """The groups of a file that went through `group_pattern`."""
    found: list[Group] = []
    name = ""
    for line in text.splitlines():
        if line.isascii() and line.isdigit():
            found.append(Group(name, int(line), member=False))
            name = ""
        elif user is not None and line == user and found and not name:
            found[-1] = Group(found[-1].name, found[-1].gid, member=True)
        else:
            name = line
    return tuple(found)


@frozen
class NewUsers(Fact):
    """What adduser(8) does for new accounts: `extra` groups, None when it adds none."""

    extra: tuple[str, ...] | None

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "conf": Read(
                "/etc/adduser.conf",
                keep=r"^[ \t]*(?:ADD_EXTRA_GROUPS[ \t]*=[ \t]*[01]|EXTRA_GROUPS[ \t]*=[\w \t\"'.-]*)",
            )
        }

    @classmethod
    def parse(cls, ev: Evidence) -> NewUsers:
        text = ev.text("conf", absent="")
        # adduser's read_config: the last line of a name counts.
        on = re.findall(r"^\s*ADD_EXTRA_GROUPS\s*=\s*([01])", text, re.MULTILINE)
        names = re.findall(r"^\s*EXTRA_GROUPS\s*=(.*)", text, re.MULTILINE)
        return cls(tuple(re.findall(r"[\w.-]+", names[-1])) if on[-1:] == ["1"] and names else None)


@frozen
class DeviceRules(Fact):
    """Files of udev rules that speak of /dev/kfd or render nodes and set a mode, with the mode."""

    modes: Mapping[str, tuple[int, ...]]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        keep = r"KERNEL==\"(?:kfd|renderD[0-9*?\[\]-]{0,12})\"|MODE:?=\"0?[0-7]{3}\""
        return {"rules": Glob("/etc/udev/rules.d/*.rules", keep=keep)}

    @classmethod
    def parse(cls, ev: Evidence) -> DeviceRules:
        found = {}
        for path, text in ev.files("rules").items():
            modes = re.findall(r"MODE:?=\"(\d+)\"", text)
            if "KERNEL" in text and modes:
                found[path] = tuple(int(m, 8) for m in modes)
        return cls(found)


@frozen
class Udev(Fact):
    """`running`: udev gives device nodes their owners here. In containers it does not run."""

    running: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        # systemd src/shared/udev-util.c (udev_available) asks the same.
        return {"control": Stat("/run/udev/control")}

    @classmethod
    def parse(cls, ev: Evidence) -> Udev:
        ev.text("control", absent="")
        return cls(ev["control"].ok)


@frozen
class Wsl(Fact):
    """The bridge to the GPU under the Windows Subsystem for Linux."""

    dxg: bool
    library: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"dxg": Stat("/dev/dxg"), "library": Stat("/usr/lib/wsl/lib/libdxcore.so")}

    @classmethod
    def parse(cls, ev: Evidence) -> Wsl:
        ev.text("dxg", absent="")
        return cls(dxg=ev["dxg"].ok, library=ev["library"].ok)


@frozen
class DriverSources(Fact):
    """Source trees of the amdgpu driver for DKMS in /usr/src: something builds a kernel driver here."""

    trees: tuple[str, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"src": List("/usr/src")}

    @classmethod
    def parse(cls, ev: Evidence) -> DriverSources:
        names = (line.rstrip("/@") for line in ev.text("src", absent="").splitlines())
        return cls(tuple(name for name in names if name.startswith("amdgpu-")))


@frozen
class HostDriver(Fact):
    """The kernel runs amdgpu, seen in /sys, which containers share with their host."""

    loaded: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"module": Stat("/sys/module/amdgpu"), "class": Stat("/sys/class/kfd")}

    @classmethod
    def parse(cls, ev: Evidence) -> HostDriver:
        ev.text("module", absent="")
        return cls(loaded=ev["module"].ok or ev["class"].ok)
