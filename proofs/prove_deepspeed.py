"""Adam of DeepSpeed, on the processor and on the GPU, against torch's own in double precision."""

# mypy: ignore-errors

import glob
import os

from prove import about, first_device, need, random

# More than one of the chunks that the threads share, and a rest that no vector register fits.
SIZE, STEPS, RATE, BETAS = 4099, 6, 0.01, (0.9, 0.999)
USERS = os.environ.get("TORCH_EXTENSIONS_DIR")


def prove(report, device):
    """cpu_adam always; fused_adam on the first GPU."""
    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    need(report, "deepspeed", "deepspeed")
    torch = need(report, "torch")
    report.stage("find the GPU")
    where = first_device(torch, device)
    report.say(device=about(torch, where))
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    use_cache("cpu_adam")
    for decoupled in (True, False):
        report.stage("build or load cpu_adam")
        _steps(
            report, torch, "cpu_adam", torch.device("cpu"), decoupled, DeepSpeedCPUAdam, adamw_mode=decoupled
        )
    if where.type == "cpu":
        report.without("fused_adam", "it is a kernel for GPUs")
        return
    from deepspeed.ops.adam import FusedAdam

    use_cache("fused_adam")
    for decoupled in (True, False):
        report.stage("build or load fused_adam")
        _steps(report, torch, "fused_adam", where, decoupled, FusedAdam, adam_w_mode=decoupled)


def use_cache(name):
    """A kernel that the user's training would load is proved; one that must be built first is built in our folder."""
    from torch.utils import cpp_extension

    # Where torch looks, torch/utils/cpp_extension.py, _get_build_directory.
    built = f"{USERS}/{name}/*.so" if USERS else f"{cpp_extension.get_default_build_root()}/*/{name}/*.so"
    if glob.glob(built):
        return
    # Beside the folders of all proofs, since the training after it needs the same.
    os.environ["TORCH_EXTENSIONS_DIR"] = os.path.join(os.path.dirname(os.getcwd()), "extensions")


def _steps(report, torch, name, where, decoupled, kind, **mode):
    start = random(torch, SIZE, seed=1)
    ours = torch.nn.Parameter(start.clone().to(where))
    right = torch.nn.Parameter(start.double())
    settings = {"lr": RATE, "betas": BETAS, "eps": 1e-8, "weight_decay": 0.01}
    mine = kind([ours], **settings, **mode)
    torchs = (torch.optim.AdamW if decoupled else torch.optim.Adam)([right], **settings)
    report.stage(f"{name}, {'AdamW' if decoupled else 'Adam'}")
    for step in range(STEPS):
        slope = random(torch, SIZE, seed=10 + step)
        ours.grad, right.grad = slope.to(where), slope.double()
        mine.step()
        torchs.step()
    got = ours.detach().double().cpu()
    finite = torch.isfinite(got)
    off = (got - right.detach()).abs() / (right.detach().abs() + RATE)
    report.figure(
        name,
        decoupled=decoupled,
        steps=STEPS,
        beta2=BETAS[1],
        worst=float(off[finite].max()) if finite.any() else 0.0,
        nonfinite=int((~finite).sum()),
        count=SIZE,
        moved=float((right.detach() - start.double()).abs().mean()),
    )
