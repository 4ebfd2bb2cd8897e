"""The kernel driver of healthy machines: the kernel's own module, a quiet log, no Secure Boot."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Spec, files, ran, text


def module(spec: Spec) -> Answers:
    """amdgpu as the running kernel shows it; without a GPU nothing loads it."""
    there = bool(spec.gpus)
    folder = "/sys/module/amdgpu"
    return {
        "stat:/sys/module": text("dir 0755 root root"),
        f"stat:{folder}": text("dir 0755 root root") if there else ABSENT,
        f"read:{folder}/initstate": text("live\n") if there else ABSENT,
        f"read:{folder}/version": ABSENT,
        f"read:{folder}/srcversion": text("0123456789ABCDEF0123456\n") if there else ABSENT,
        "stat:/sys/module/amdkcl": ABSENT,
        "stat:/dev": text("dir 0755 root root"),
    }


def kernels(spec: Spec) -> Answers:
    """The running kernel, with its extra modules and without headers, which only DKMS needs."""
    folder = f"/lib/modules/{spec.kernel}"
    own = "kernel/drivers/gpu/drm/amd/amdgpu"
    return {
        f"read:{folder}/modules.dep": text(f"{own}/amdgpu.ko\n"),
        f"read:{folder}/modules.builtin": text(""),
        f"list:{folder}/updates/dkms": ABSENT,
        f"list:{folder}/{own}": text("amdgpu.ko\n"),
        f"stat:{folder}/build/Makefile": ABSENT,
    }


def rules(_spec: Spec) -> Answers:
    """modprobe's settings, in which other modules are blacklisted."""
    return {
        "glob:/etc/modprobe.d/*.conf": files({"/etc/modprobe.d/blacklist.conf": ""}),
        "list:/etc/modprobe.d": text("blacklist.conf\n"),
        "list:/run/modprobe.d": ABSENT,
        "list:/usr/local/lib/modprobe.d": ABSENT,
        "glob:/run/modprobe.d/*.conf": ABSENT,
        "glob:/usr/local/lib/modprobe.d/*.conf": ABSENT,
        "glob:/usr/lib/modprobe.d/*.conf": files({"/usr/lib/modprobe.d/systemd.conf": ""}),
        "glob:/lib/modprobe.d/*.conf": files({"/lib/modprobe.d/systemd.conf": ""}),
    }


def dkms(_spec: Spec) -> Answers:
    """No DKMS."""
    tree = "/var/lib/dkms"
    return {
        f"list:{tree}": ABSENT,
        f"list:{tree}/amdgpu": ABSENT,
        f"glob:{tree}/*/*/source/dkms.conf": ABSENT,
        f"glob:{tree}/amdgpu/*/*/*/module/*": ABSENT,
        f"glob:{tree}/amdgpu/*/build/make.log": ABSENT,
        f"glob:{tree}/amdgpu/*/*/*/log/make.log": ABSENT,
        "run:dkms status": ABSENT,
    }


def boot(_spec: Spec) -> Answers:
    """UEFI with Secure Boot off."""
    variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    return {
        "stat:/sys/firmware": text("dir 0755 root root"),
        "stat:/sys/firmware/efi": text("dir 0755 root root"),
        f"read:{variable}": text("\x06\x00\x00\x00\x00"),
        "run:mokutil --sb-state": ran("SecureBoot disabled\n"),
        "read:/sys/kernel/security/lockdown": text("[none] integrity confidentiality\n"),
        "stat:/var/lib/shim-signed/mok/MOK.der": ABSENT,
        "stat:/var/lib/dkms/mok.pub": ABSENT,
    }


def log(spec: Spec) -> Answers:
    """What the kernel says when all is well, an optional firmware file that is not there included."""
    lines = [f"[    0.000000] Linux version {spec.kernel}"]
    for gpu in spec.gpus:
        lines += [
            f"[    3.100000] amdgpu {gpu.bdf}: Direct firmware load for amdgpu/isp_4_1_0.bin failed with error -2",
            f"[    4.200000] kfd kfd: amdgpu: added device 1002:{gpu.device}",
            f"[    4.300000] amdgpu {gpu.bdf}: amdgpu: no uncorrectable hardware errors detected in umc block",
        ]
    return {
        "run:dmesg": ran("\n".join(lines) + "\n"),
        "run:journalctl -k -b -o short --no-pager": ran("", 1, "No journal files were found.\n"),
    }


def counters(spec: Spec) -> Answers:
    """Error counters of cards with checked memory, all at zero."""
    device = "/sys/class/drm/card{}/device"
    checked = [n for n, gpu in enumerate(spec.cards) if gpu.pci_class == "38000"]
    bus = "/sys/bus/pci/devices"
    counts = {f"{device.format(n)}/ras/umc_err_count": "ue: 0\nce: 0\n" for n in checked}
    return {
        "glob:/sys/class/drm/card*/device/ras/*_err_count": files(counts),
        "glob:/sys/class/drm/card*/device/ras/gpu_vram_bad_pages": files(
            {f"{device.format(n)}/ras/gpu_vram_bad_pages": "" for n in checked}
        ),
        **{
            f"link:{bus}/{gpu.bdf}": text(f"../../../devices/pci0000:00/0000:00:01.1/{gpu.bdf}")
            for gpu in spec.cards
        },
    }


PARTS = (module, kernels, rules, dkms, boot, log, counters)
