"""Whether code for the wanted GPUs can be compiled, holds what it should, and computes. Asked by `verify` alone."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.hip_probe import HipProbe

_NOT_ASKED = "nothing was compiled; 'rocmdoctor verify' does that"


def _for(probe: HipProbe) -> str:
    return ", ".join(probe.wanted)


@check(
    "verify.hipcc-compiles",
    fault="compiler-failure",
    explained_by=(
        "rocm.installed", "rocm.hip-platform", "rocm.hipcc", "packages.libstdcxx", "packages.dpkg-consistent",
        "packages.one-rocm",
    ),
)  # fmt: skip
def hipcc_compiles(probe: HipProbe) -> Verdict:
    """hipcc compiles a small program for the wanted GPUs."""
    if probe.compiled == "not-asked":
        return skip(_NOT_ASKED)
    if probe.compiled == "absent":
        return fail(
            f"hipcc is not on PATH, so nothing was compiled for {_for(probe)}",
            remedy=Remedy("Install ROCm's compiler.", ("rocmdoctor install rocm",), recipe="rocm"),
        )
    hipcc = probe.hipcc or "hipcc"
    if probe.compiled == "empty":
        return fail(
            f"{hipcc} ended without an error for {_for(probe)} and made no program: it handed the work to another compiler",
            remedy=Remedy("See which one it takes.", ("hipconfig --full",)),
        )
    if probe.compiled == "hangs":
        return unknown(f"{hipcc} did not compile a small program for {_for(probe)} in {probe.seconds:.0f} s")
    if probe.compiled == "failed":
        first = probe.said[0] if probe.said else "it printed nothing"
        return fail(
            f"{hipcc} does not compile a small program for {_for(probe)}: {first}",
            *probe.said[1:],
            remedy=Remedy("See what it stands on.", ("hipconfig --full",)),
        )
    return ok(f"{hipcc} compiled a small program for {_for(probe)} in {probe.seconds:.1f} s")


@check("verify.code-object", fault="compiler-failure", after=("verify.hipcc-compiles",))
def code_object(probe: HipProbe) -> Verdict:
    """The compiled program holds code for the wanted GPUs."""
    if probe.found is None:
        return unknown("the built file could not be looked into")
    found = {name.partition(":")[0] for name in probe.found}
    missing = [gfx for gfx in probe.wanted if gfx not in found]
    shown = ", ".join(probe.found) or "no GPU"
    if not missing:
        return ok(f"the program holds code for {shown}")
    return fail(
        f"{probe.hipcc or 'hipcc'} was asked for {_for(probe)}, and the program holds code for {shown}: something on the way "
        "changes the target, and what is built here does not run on the GPU that is meant",
        remedy=Remedy(
            "Look for a script named hipcc, and for flags that variables add.",
            ("type -a hipcc", "env | grep -E 'HIPCC|HCC_AMDGPU_TARGET'"),
        ),
    )


@check(
    "verify.program-runs",
    fault="device-permissions",
    after=("verify.code-object",),
    explained_by=(
        "driver.kfd-access", "access.render-nodes", "access.container-devices", "driver.kfd-present", "driver.present",
        "environment.visible-devices", "environment.hsa-override", "rocm.hip-platform",
    ),
)  # fmt: skip
def program_runs(probe: HipProbe, gpus: Gpus | None) -> Verdict:
    """The compiled program computes the right sums on each wanted GPU that is here."""
    if probe.ran == "not-asked":
        here = [g.gfx for g in gpus.capable if g.gfx in probe.wanted] if gpus else []
        if here:
            return skip(
                f"the driver does not offer the {here[0]} GPU to programs, so it was compiled and not run"
            )
        return skip(f"no GPU of {_for(probe)} is here, so it was compiled and not run")
    if probe.ran == "hangs":
        return unknown("the program did not end in time on the GPU; it was stopped")
    bad = [t for t in probe.tried if t.outcome in ("wrong", "failed")]
    if bad:
        said = "computes wrong sums" if bad[0].outcome == "wrong" else f"fails: {bad[0].detail}"
        return fail(
            f"on GPU {bad[0].number} ({bad[0].gfx}) a small program {said}",
            *(f"GPU {t.number} ({t.gfx}): {t.outcome} {t.detail}".rstrip() for t in probe.tried),
            remedy=Remedy("See what the kernel says of it.", ("sudo dmesg | grep -i amdgpu | tail",)),
            fault="gpu-reset" if bad[0].outcome == "failed" else "ras-ecc",
        )
    right = [t for t in probe.tried if t.outcome == "right"]
    if right:
        return ok(f"right sums on {len(right)} GPU(s): {', '.join(dict.fromkeys(t.gfx for t in right))}")
    others = ", ".join(t.gfx for t in probe.tried)
    seen = f"it sees {others}" if others else f"it counts {probe.devices or 0} GPU(s)"
    return fail(
        f"the program was compiled for {_for(probe)} and finds no such GPU, although the driver has one: {seen}",
        *probe.output,
        remedy=Remedy(
            "Let the doctor say who may use the GPUs, and which variables hide them.",
            ("rocmdoctor check --only 'access.*' --only 'driver.*' --only 'environment.*'",),
        ),
    )
