"""Limits, room, libraries and tools of the host."""

# ruff: noqa: S108 - paths are asked and shown here, nothing is written to them

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, warn
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.host import (
    BuildTools,
    DiskSpace,
    HostTable,
    Limits,
    SystemGlibc,
    size_in_words,
)
from rocmdoctor.facts.system import Hardware, Inside, OsRelease
from rocmdoctor.facts.torch_files import TorchTable

_NO_GPU = "no AMD GPU that it could concern"


# ---------------------------------------------------------------- limits


@check("host.memlock", fault="memlock-or-shm")
def memlock(limits: Limits, gpus: Gpus, inside: Inside | None, table: HostTable) -> Verdict:
    """Processes may lock enough memory for transfers between GPUs."""
    if not gpus.capable:
        return skip(_NO_GPU)
    wanted, found = table.value("memlock"), limits.memlock.soft
    said = f"{size_in_words(found)} may be locked"
    if found >= wanted:
        return ok(said)
    if not table.applies("memlock", gpus):
        return ok(f"{said}; that matters with several GPUs only")
    boxed = inside is not None and inside.container
    commands = (
        ("docker run --ulimit memlock=-1:-1 ...",)
        if boxed
        else (
            "printf '* soft memlock unlimited\\n* hard memlock unlimited\\n' | sudo tee /etc/security/limits.d/90-rocm.conf",
        )
    )
    text = "Start the container with a higher limit." if boxed else "Raise the limit, then log in again."
    return warn(
        f"{said}, {size_in_words(wanted)} or no limit is wanted: transfers between GPUs and network cards fail or turn slow",
        remedy=Remedy(text, commands, None if boxed else "host-tuning"),
    )


@check("host.open-files")
def open_files(limits: Limits, gpus: Gpus, table: HostTable) -> Verdict:
    """Processes may open enough files for data loaders and several GPUs."""
    if not gpus.capable:
        return skip(_NO_GPU)
    wanted, found = table.value("nofile"), limits.nofile
    if found.soft >= wanted:
        return ok(f"{found.soft} files may be open")
    if found.hard >= wanted:
        return ok(f"{found.soft} files may be open, and ulimit -n {wanted} raises that without root")
    return warn(
        f"{found.soft} files may be open and no more than {found.hard}, {wanted} are wanted: data loaders with many workers stop "
        "with 'Too many open files'",
        remedy=Remedy(
            "Raise the limit, then log in again.",
            (
                f"printf '* soft nofile {wanted}\\n* hard nofile {wanted}\\n' | sudo tee /etc/security/limits.d/91-rocm.conf",
            ),
            recipe="host-tuning",
        ),
    )


@check("host.shared-memory", fault="memlock-or-shm")
def shared_memory(disks: DiskSpace, gpus: Gpus, inside: Inside | None, table: HostTable) -> Verdict:
    """/dev/shm has room for data loaders and for transfers between processes."""
    if not gpus.capable:
        return skip(_NO_GPU)
    room = disks.rooms.get("/dev/shm")
    boxed = inside is not None and inside.container is not None
    wanted = table.value("shm")
    if boxed and table.applies("shm-many", gpus):
        wanted = table.value("shm-many")
    if room is None:
        return skip("/dev/shm could not be asked")
    if room.total >= wanted:
        return ok(f"/dev/shm holds {size_in_words(room.total)}")
    text = f"/dev/shm holds {size_in_words(room.total)}, {size_in_words(wanted)} is wanted: workers of data loaders die with a bus error"
    if boxed:
        return warn(
            text,
            remedy=Remedy(
                "Start the container with the host's shared memory, or a larger one of its own.",
                ("docker run --ipc=host ...", "docker run --shm-size 16G ..."),
            ),
        )
    return warn(text, remedy=Remedy("Make it larger.", ("sudo mount -o remount,size=50% /dev/shm",)))


# ---------------------------------------------------------------- room


@check("host.disk", fault="disk-full")
def disk(disks: DiskSpace, gpus: Gpus, table: HostTable) -> Verdict:
    """There is room for packages, builds and caches."""
    if not gpus.capable:
        return skip(_NO_GPU)
    places = [p for p in ("/", "/opt", "/var", "/tmp", disks.home) if p and p in disks.rooms]
    found = {p: disks.rooms[p].free for p in places}
    if not found:
        return skip("no file system could be asked")
    shown = tuple(
        f"{p}: {size_in_words(disks.rooms[p].free)} free of {size_in_words(disks.rooms[p].total)}"
        for p in found
    )
    full, wanted = table.value("disk-full"), table.value("disk")
    look = Remedy(
        "Make room; caches of pip, conda and Hugging Face are the usual ones.",
        ("pip cache purge", "sudo apt-get clean", "du -xh --max-depth=2 ~ | sort -h | tail"),
    )
    # /tmp is often small and in memory; it is judged only when it is full.
    least = min(found, key=lambda p: found[p])
    if found[least] < full:
        return fail(
            f"{least} has {size_in_words(found[least])} left: installations and builds stop half way",
            *shown,
            remedy=look,
        )
    low = [p for p in found if p != "/tmp" and found[p] < wanted]
    if low:
        names = ", ".join(low)
        return warn(
            f"{names}: {size_in_words(min(found[p] for p in low))} free, {size_in_words(wanted)} is what torch with its build trees takes",
            *shown,
            remedy=look,
        )
    return ok(f"{size_in_words(min(found.values()))} or more free on {', '.join(found)}", *shown)


@check("host.memory")
def memory(hardware: Hardware, gpus: Gpus, table: HostTable) -> Verdict:
    """There is memory for at least one large compile job."""
    if not gpus.capable:
        return skip(_NO_GPU)
    wanted = table.value("memory")
    jobs = hardware.memory_available // wanted
    said = (
        f"{size_in_words(hardware.memory_total)}, of which {size_in_words(hardware.memory_available)} is free"
    )
    if hardware.memory_total >= wanted:
        return ok(f"{said}: room for {max(1, jobs)} of flash-attention's compile jobs at once")
    return warn(
        f"{said}; one compile job of flash-attention takes up to {size_in_words(wanted)}, and the system ends builds that take more than there is",
        remedy=Remedy("Build with one job at a time and with swap, or take wheels.", ("export MAX_JOBS=1",)),
    )


# ---------------------------------------------------------------- libraries and tools


@check("host.glibc", fault="glibc-too-old")
def glibc(found: SystemGlibc, gpus: Gpus, table: HostTable, torch: TorchTable) -> Verdict:
    """The C library is new enough for torch's wheels."""
    if not gpus.capable:
        return skip(_NO_GPU)
    version, source = found.version, found.source
    if version is None:
        name = (
            found.distribution if found.distribution in table.glibc else found.distribution.partition(".")[0]
        )
        version, source = table.glibc.get(name), f"what {found.distribution} carries"
    if version is None:
        return skip(f"the C library of {found.distribution or 'this system'} is not known")
    wanted = min((i.glibc for i in torch.indexes), default=(0, 0))
    said = f"glibc {version[0]}.{version[1]} ({source})"
    if version >= wanted:
        return ok(said)
    return fail(
        f"{said}; torch's ROCm wheels want {wanted[0]}.{wanted[1]}, and pip finds none that fits",
        remedy=Remedy("Move to a newer release of the distribution, or use a container with one."),
    )


@check("host.build-tools")
def build_tools(tools: BuildTools, gpus: Gpus, os: OsRelease | None) -> Verdict:
    """What builds from source need is there."""
    if not gpus.capable:
        return skip(_NO_GPU)
    missing = [name for name, there in tools.programs.items() if not there]
    missing += [] if tools.python_headers else ["Python.h"]
    if not missing:
        return ok(
            "git, cmake, ninja, compilers and Python's headers are here"
            + ("" if tools.drm_headers else "; libdrm's headers, for a few builds, are not")
        )
    family = os.family if os else ()
    command = "apt install build-essential git cmake ninja-build pkg-config python3-dev libdrm-dev"
    if any(name in ("rhel", "fedora", "centos") for name in family):
        command = "dnf install gcc-c++ make git cmake ninja-build pkgconf python3-devel libdrm-devel"
    elif any(name in ("suse", "sles", "opensuse") for name in family):
        command = "zypper install gcc-c++ make git cmake ninja pkg-config python3-devel libdrm-devel"
    return skip(f"{', '.join(missing)} not there; only builds from source need that (sudo {command})")
