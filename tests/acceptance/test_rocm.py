"""ROCm's programs are there, agree with each other, and hipcc builds for the target."""

from __future__ import annotations

import re
import shlex
import struct

import pytest

# Adds 1 to numbers on the GPU and says whether they are right.
_PROGRAM = r"""
#include <hip/hip_runtime.h>
#include <cstdio>
__global__ void add(int *p) { p[threadIdx.x] += 1; }
int main() {
    int n[64], *d = nullptr;
    for (int i = 0; i < 64; i++) n[i] = i;
    if (hipMalloc((void **)&d, sizeof n) != hipSuccess) { puts("no GPU"); return 3; }
    if (hipMemcpy(d, n, sizeof n, hipMemcpyHostToDevice) != hipSuccess) return 4;
    add<<<1, 64>>>(d);
    if (hipMemcpy(n, d, sizeof n, hipMemcpyDeviceToHost) != hipSuccess) return 5;
    for (int i = 0; i < 64; i++) if (n[i] != i + 1) { puts("wrong"); return 6; }
    puts("right");
    return 0;
}
"""
_BUNDLE, _COMPRESSED = b"__CLANG_OFFLOAD_BUNDLE__", b"CCOB"
_ELF, _AMDGPU = b"\x7fELF", 224  # e_machine


def code_objects(data: bytes) -> dict[str, int]:
    """Target to machine number of the ELF file, of what clang has bundled into a program."""
    found = {}
    start = data.find(_BUNDLE)
    while start >= 0:
        (count,) = struct.unpack_from("<Q", data, start + len(_BUNDLE))
        at = start + len(_BUNDLE) + 8
        # The mark stands also in programs that only look for it; then no sensible count follows.
        for _ in range(count if count < 64 else 0):
            offset, size, length = struct.unpack_from("<QQQ", data, at)
            name = data[at + 24 : at + 24 + length].decode("ascii", "replace")
            at += 24 + length
            body = data[start + offset : start + offset + size]
            if name.startswith("hip") and body.startswith(_ELF):
                found[name.rpartition("--")[2]] = struct.unpack_from("<H", body, 18)[0]
        start = data.find(_BUNDLE, start + 1)
    return found


@pytest.fixture(scope="module")
def built(machine, user, gfx, hipcc):
    """A program that the user's hipcc has made: (path, content)."""
    folder = user.good("mktemp -d").strip()
    compile_it = (
        f"cd {folder} && cat > add.hip <<'END'\n{_PROGRAM}\nEND\n"
        f"hipcc --offload-arch={gfx} add.hip -o add $more 2>&1"
    )
    try:
        said = user.run(f"bash -ic {shlex.quote(compile_it)} </dev/null 2>/dev/null")
        assert said.code == 0, f"hipcc --offload-arch={gfx}: exit code {said.code}\n{said.out[-3000:]}"
        content = machine.host.file(f"{folder}/add").content
        if _BUNDLE not in content and _COMPRESSED in content:
            said = user.run(
                f"more=--no-offload-compress bash -ic {shlex.quote(compile_it)} </dev/null 2>/dev/null"
            )
            assert said.code == 0, said.out[-3000:]
            content = machine.host.file(f"{folder}/add").content
        yield f"{folder}/add", content
    finally:
        user.run(f"rm -rf -- {folder}")


@pytest.mark.parametrize("shell", ["bash -ic", "bash -lic"])
@pytest.mark.parametrize("name", ["rocminfo", "hipconfig", "hipcc"])
def test_a_new_shell_finds_the_program(user, name, shell) -> None:
    said = user.in_shell(shell, f"command -v {name}")
    assert said.out.startswith("/"), f"{shell}: {user.name} finds no {name}"


@pytest.mark.parametrize("name", ["rocminfo", "hipconfig", "hipcc"])
def test_the_program_is_of_an_installed_package_and_of_root(machine, user, owner, name) -> None:
    path = user.in_shell("bash -ic", f"command -v {name}").out
    assert owner(path), f"{path} is of no installed package"
    said = machine.good('stat -L -c "%u %a" -- "$1"', path).split()
    assert said[0] == "0", f"{path} is of user {said[0]}"
    assert int(said[1], 8) & 0o022 == 0, f"{path} has mode {said[1]}: others may write to it"


def test_hipconfig_is_of_the_release_that_is_installed(machine, user, owner, packages, source, hipcc) -> None:
    said = user.in_shell("bash -ic", "hipconfig --version").out
    wanted = machine.good("cat /opt/rocm/.info/version") if source == "amd" else packages[owner(hipcc)]
    number = re.match(r"(?:\d+:)?(\d+\.\d+)", wanted.strip())
    assert number, wanted
    assert said.startswith(f"{number[1]}."), f"hipconfig says {said}, installed is {wanted}"


@pytest.mark.parametrize("shell", ["bash -ic", "bash -lic"])
def test_hip_builds_for_amd(user, shell) -> None:
    """With an nvcc beside it HIP would build for NVIDIA, unless a variable says otherwise."""
    assert user.in_shell(shell, "hipconfig --platform").out == "amd"


def test_hipcc_builds_a_code_object_of_the_target(built, gfx) -> None:
    path, content = built
    found = code_objects(content)
    # gfx90a:sramecc+ and the like are of gfx90a, too.
    ours = {name: number for name, number in found.items() if name.partition(":")[0] == gfx.partition(":")[0]}
    assert ours, f"{path} holds code for {', '.join(found) or 'no GPU'}, not for {gfx}"
    assert set(ours.values()) == {_AMDGPU}


def test_the_program_runs_on_the_gpu(user, expect, gfx, request) -> None:
    if expect != "ran":
        pytest.skip(f"compiled is what is expected: no {gfx} is here that could run it")
    path, _ = request.getfixturevalue("built")
    said = user.run(path)
    assert (said.code, said.out.strip()) == (0, "right"), said.err[-1000:]


def test_rocminfo_names_every_gpu(user, a_gpu) -> None:
    said = user.in_shell(
        "bash -ic", "rocminfo | sed -n 's/^ *Name: *\\(gfx[0-9a-f]*\\) *$/\\1/p' | tr '\\n' ' '"
    )
    assert sorted(said.out.split()) == sorted(a_gpu)
