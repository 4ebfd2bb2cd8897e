"""Stand-in programs of the look-alike ROCm. Each says in its output what it is."""

from __future__ import annotations

# A root of Debian's with hipcc in it, bound there by the machine: what compiles is real, and no look-alike.
COMPILER = "/usr/lib/lookalike/debian"

# A file of the ELF format with nothing in it, so that ldconfig and readers of libraries have something to read.
LIBRARY = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01\x00\x00\x00" + bytes(24) + bytes(4)
    + b"\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00" + b"look-alike, no library of AMD's\n"
)  # fmt: skip

_HIPCC = """\
#!/bin/sh
# A look-alike of AMD's hipcc. Debian's clang and HIP, which lie in @COMPILER@, do the work.
root=@COMPILER@/usr
platform=${HIP_PLATFORM:-amd}
if [ "${1:-}" = --version ]; then
    echo 'HIP version: @HIP@-lookalike'
    echo "look-alike of AMD's hipcc of ROCm @RELEASE@; what compiles is Debian's clang:"
    set -- --version
    no_link=1
fi
if [ "$platform" != amd ]; then
    echo "look-alike hipcc: HIP_PLATFORM=$platform would hand this to nvcc" >&2
    exit 1
fi
llvm=$(ls -d "$root"/lib/llvm-*/bin 2>/dev/null | tail -n 1)
if [ -z "$llvm" ]; then
    echo "look-alike hipcc: no clang version below @COMPILER@; a real hipcc of Debian's belongs there" >&2
    exit 1
fi
libraries=$root/lib/x86_64-linux-gnu
if [ -z "${no_link:-}" ]; then
    set -- "$@" "-L$libraries" -lamdhip64 -fuse-ld=lld -Wl,--disable-new-dtags "-Wl,-rpath,$libraries"
    set -- -x hip --rocm-path="$root" --rocm-device-lib-path="$libraries/amdgcn/bitcode" -idirafter "$root/include" \\
        -D__HIP_PLATFORM_AMD__ "$@"
fi
LD_LIBRARY_PATH=$libraries:${llvm%/bin}/lib exec "$llvm/clang++" "$@"
"""

_HIPCONFIG = """\
#!/bin/sh
# A look-alike of AMD's hipconfig.
platform=${HIP_PLATFORM:-amd}
case ${1:---full} in
    --version | -v) printf '@HIP@-lookalike' ;;
    --platform | -P) printf '%s' "$platform" ;;
    --path | -p | --rocmpath | -R) printf '@ROOT@' ;;
    *) cat <<END
HIP version  : @HIP@-lookalike

== hipconfig (a look-alike of AMD's, of ROCm @RELEASE@)
HIP_PATH     : @ROOT@
ROCM_PATH    : @ROOT@
HIP_COMPILER : clang
HIP_PLATFORM : $platform
HIP_RUNTIME  : rocclr
CPP_CONFIG   :  -D__HIP_PLATFORM_HCC__= -D__HIP_PLATFORM_AMD__= -I@ROOT@/include

== hip-clang
HIP_CLANG_PATH   : @ROOT@/llvm/bin
END
        ;;
esac
"""

# What the real one prints, and its exit code, where the module is not loaded.
_ROCMINFO = """\
#!/bin/sh
# A look-alike of AMD's rocminfo of ROCm @RELEASE@. It knows no GPU.
echo 'look-alike of rocminfo, ROCm @RELEASE@' >&2
[ -e /dev/kfd ] || { echo 'ROCk module is NOT loaded, possibly no GPU devices'; exit 1; }
echo 'look-alike of rocminfo: there is a /dev/kfd, and this is no program that could ask it' >&2
exit 1
"""

_SMI = """\
#!/bin/sh
# A look-alike of AMD's @NAME@ of ROCm @RELEASE@. It knows no GPU.
echo 'look-alike of @NAME@, ROCm @RELEASE@' >&2
echo 'ERROR:root:Driver not initialized (amdgpu not found in modules)'
exit 1
"""

_ENUMERATOR = """\
#!/bin/sh
# A look-alike of AMD's rocm_agent_enumerator of ROCm @RELEASE@. gfx000 stands for the processor.
echo gfx000
"""

_CLANG = """\
#!/bin/sh
# A look-alike of AMD's clang of ROCm @RELEASE@; Debian's does the work.
llvm=$(ls -d @COMPILER@/usr/lib/llvm-*/bin 2>/dev/null | tail -n 1)
[ -n "$llvm" ] || { echo "look-alike clang: no clang version below @COMPILER@" >&2; exit 1; }
echo "look-alike of AMD's clang, ROCm @RELEASE@" >&2
LD_LIBRARY_PATH=@COMPILER@/usr/lib/x86_64-linux-gnu:${llvm%/bin}/lib exec "$llvm/$(basename "$0")" "$@"
"""

# package: {path below /opt/rocm-<release>: text}
PROGRAMS = {
    "hipcc": {"bin/hipcc": _HIPCC, "bin/hipconfig": _HIPCONFIG},
    "rocminfo": {"bin/rocminfo": _ROCMINFO, "bin/rocm_agent_enumerator": _ENUMERATOR},
    "rocm-smi-lib": {"bin/rocm-smi": _SMI.replace("@NAME@", "rocm-smi")},
    "amd-smi-lib": {"bin/amd-smi": _SMI.replace("@NAME@", "amd-smi")},
    "rocm-llvm": {"llvm/bin/clang": _CLANG, "llvm/bin/clang++": _CLANG},
}
# package: programs for which its scripts set links in /usr/bin, as apt's output of ROCm 6.2 and 6.3 shows.
LINKED = {
    "rocm-hip-runtime": ("rocm_agent_enumerator", "rocminfo"),
    "rocm-hip-runtime-dev": ("hipcc", "hipconfig"),
}


def filled(text: str, release: str, hip: str) -> str:
    """A program of one release."""
    values = {"RELEASE": release, "HIP": hip, "ROOT": f"/opt/rocm-{release}", "COMPILER": COMPILER}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
