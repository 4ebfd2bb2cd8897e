"""Code objects made by real compilers: the targets that are read agree with LLVM's own tools, compressed or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rocmdoctor.hosts.elf import describe
from tests.e2e.boxes import box
from tests.e2e.images import ROCM, Image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_KERNEL = '#include <hip/hip_runtime.h>\n__global__ void add(float *a) { a[0] += 1.0f; }\nextern "C" void go(float *a) { add<<<1, 64>>>(a); }\n'
_PLAIN = "__attribute__((global)) void add(float *a) { a[0] += 1.0f; }\n"
# Debian 13's hipcc cannot compress; the bundler of clang 19 can.
_CLANG = Image("bookworm", ("clang-19", "clang-tools-19", "llvm-19", "lld-19"))


def _targets(library: Path) -> list[str]:
    with library.open("rb") as file:
        return [line[4:] for line in describe(file).splitlines() if line.startswith("gfx ")]


@pytest.mark.parametrize(
    "wanted", [["gfx90a"], ["gfx1030"], ["gfx90a", "gfx1030"], ["gfx90a:xnack-", "gfx90a:xnack+"]]
)
def test_hipcc(wanted: list[str], tmp_path: Path) -> None:
    with box(ROCM["trixie"], tmp_path / "box") as machine:
        machine.write("/srv/k.hip", _KERNEL)
        arguments = " ".join(f"--offload-arch={gfx}" for gfx in wanted)
        env = {"HIP_PLATFORM": "amd"}
        machine.good(f"hipcc -shared -fPIC {arguments} /srv/k.hip -o /srv/k.so", seconds=300, env=env)
        listed = machine.good(
            "cd /srv; PATH=$(ls -d /usr/lib/llvm-*/bin | tail -n 1):$PATH; "
            "llvm-objcopy --dump-section .hip_fatbin=fatbin k.so && clang-offload-bundler -type=o -list -input=fatbin",
            seconds=60,
        )
        assert sorted(_targets(machine.root / "srv/k.so")) == sorted(wanted)
        assert sorted(re.findall(r"gfx\S+", listed)) == sorted(wanted)


def test_a_compressed_bundle(tmp_path: Path) -> None:
    with box(_CLANG, tmp_path / "box") as machine:
        machine.write("/srv/k.hip", _PLAIN)
        machine.write("/srv/w.s", '.section .hip_fatbin,"a",@progbits\n.p2align 12\n.incbin "/srv/packed"\n')
        listed = machine.good(
            """
            cd /srv; PATH=/usr/lib/llvm-19/bin:$PATH
            for gfx in gfx90a gfx1030; do
                clang-19 -x hip --cuda-device-only --offload-arch=$gfx -nogpuinc -nogpulib -O2 -c k.hip -o $gfx.o
            done
            A=hipv4-amdgcn-amd-amdhsa--
            clang-offload-bundler -type=o -bundle-align=4096 -compress \
                -targets=host-x86_64-unknown-linux--,${A}gfx90a,${A}gfx1030 \
                -input=/dev/null -input=gfx90a.o -input=gfx1030.o -output=packed
            clang-19 -shared -fuse-ld=lld-19 -nostdlib w.s -o k.so
            head -c 4 packed; echo
            clang-offload-bundler -type=o -list -input=packed
            """,
            seconds=300,
        )
        assert listed.startswith("CCOB")
        assert sorted(re.findall(r"gfx\w+", listed)) == ["gfx1030", "gfx90a"]
        assert sorted(_targets(machine.root / "srv/k.so")) == ["gfx1030", "gfx90a"]
