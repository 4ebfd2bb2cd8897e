"""What torch does when it is started: only with --deep."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown
from rocmdoctor.facts.deep import SECONDS, Deep
from rocmdoctor.facts.gpus import Gpus

_FILES = ("torch.whole", "torch.rocm-build", "torch.rocm-match", "torch.triton", "torch.device-wheel")


@check("torch.imports", explained_by=_FILES)
def imports(deep: Deep) -> Verdict:
    """torch can be imported by its own Python."""
    if deep.state == "not-wanted":
        return skip("asked with --deep only")
    if deep.state == "root":
        return unknown("root runs no code of an environment; ask as the user who trains")
    if deep.state == "absent":
        return unknown(f"{deep.python} could not be started{f': {deep.detail}' if deep.detail else ''}")
    if deep.state == "hangs":
        return fail(
            f"{deep.python} did not finish import torch and one small product in {SECONDS:.0f} s: it hangs",
            remedy=Remedy(
                "See where it stands.", (f"timeout 60 {deep.python} -v -c 'import torch' 2>&1 | tail",)
            ),
        )
    if deep.state == "died":
        return fail(
            f"{deep.python} died while it imported torch: {deep.detail}",
            remedy=Remedy("See what it says.", (f"{deep.python} -X faulthandler -c 'import torch'",)),
        )
    if deep.error == "ModuleNotFoundError: No module named 'torch'":
        return skip(f"{deep.python} knows no torch")
    if deep.stage == "import":
        return fail(
            f"import torch fails in {deep.python}: {deep.error}",
            remedy=Remedy("See the whole of it.", (f"{deep.python} -c 'import torch'",)),
        )
    return ok(f"torch {deep.version} in {deep.seconds:.1f} s")


@check(
    "torch.computes",
    after=("torch.imports", "gpu.present"),
    explained_by=(*_FILES, "driver.kfd-access", "driver.present"),
)
def computes(deep: Deep, gpus: Gpus | None) -> Verdict:
    """torch computes on every GPU, and its results are right."""
    if deep.state != "answered":
        return skip("asked with --deep only")
    if gpus is not None and not gpus.capable:
        return skip("no AMD GPU that can compute")
    look = Remedy(
        "See what the runtime says.",
        (f"AMD_LOG_LEVEL=3 {deep.python} -c 'import torch; print(torch.ones(2, device=\"cuda\").sum())'",),
    )
    if deep.error:
        return fail(f"torch {deep.version} stops at its {deep.stage}: {deep.error}", remedy=look)
    if not deep.available:
        return fail(
            f"torch.cuda.is_available() is False in {deep.python}: torch {deep.version} finds no GPU",
            remedy=look,
        )
    wrong = [str(d.get("name")) for d in deep.devices if d.get("right") is not True]
    if wrong:
        return fail(
            f"a product of ones comes out wrong on {', '.join(wrong)}: this torch has no right code for it",
            remedy=look,
            fault="unsupported-gfx",
        )
    return ok(f"{len(deep.devices)} GPU(s) multiply right")
