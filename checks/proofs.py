"""Whether the libraries of the environment compute the right numbers. Measured by `verify` alone; judged here.

Each bound is what the arithmetic itself allows, written beside it. A result beyond it is wrong, however plausible it looks.
"""

from collections.abc import Callable, Iterable

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip
from rocmdoctor.diagnosis.proving import WRONG, Judged, stopped_by, verdict_of
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.gpus import GpuTable
from rocmdoctor.facts.proofs import Figure, Proof, Proofs

_TORCH = "proof.torch-products"
# Significant bits of each format, the leading one included (IEEE 754; bfloat16 is the upper half of a float32).
_BITS = {"bfloat16": 8, "float16": 11, "float32": 24}
_FLOAT32 = 2.0 ** -_BITS["float32"]
# The values of nf4 are fixed; the widest gap is that between -1 and -0.6961928. Rounding to the nearest is off by at most
# half of it, in parts of the block's largest value (Dettmers and others, QLoRA, appendix E).
_NF4 = (1 - 0.6961928009986877) / 2
# The dynamic map of 8 bits cuts 0.1 to 1 into 64 parts, and has values in their middles, 0.9 / 64 apart. The lowest is
# -0.993, which releases move to -1 (bitsandbytes csrc/cpu_ops.cpp): one and a half parts is the widest gap.
_EIGHT_BIT = 1.5 * (0.9 / 64) / 2
# Scaling by the largest value and back are a few operations in float32.
_SCALING = 8 * _FLOAT32
_LANES = 32  # threads of a narrow wavefront


def _length_bound(figure: Figure) -> float:
    """Of a sum of products, in parts of the sum of their sizes.

    The sum runs in float32, each addition off by half a unit at most; partial sums may be rounded to the result's own format
    once before they are joined, and the result is (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    bits = _BITS.get(figure.text("dtype"))
    if bits is None:
        raise UnknownError(f"the figure '{figure.name}' is of an unknown format '{figure.text('dtype')}'")
    return 2 * 2.0**-bits + figure.number("length") * _FLOAT32


def _with(figures: Iterable[Figure], start: str) -> list[Figure]:
    return [f for f in figures if f.name.startswith(start)]


@check(
    _TORCH,
    explained_by=(
        "torch.rocm-build", "torch.whole", "torch.rocm-match", "torch.device-wheel", "driver.kfd-access", "driver.present",
        "environment.visible-devices", "environment.hsa-override",
    ),
    required=True,
)  # fmt: skip
def torch_products(proofs: Proofs) -> Verdict:
    """Matrix products of torch are right in bfloat16, float16 and float32."""
    proof = proofs.of("torch")
    stopped = stopped_by(proof, "torch")
    if stopped is not None:
        return stopped
    judged = [
        Judged(
            f,
            f"{f.text('dtype')}, {f.text('length')} products a sum, {f.text('device')}",
            _length_bound(f),
            f.number("worst"),
            "of the sum of their sizes",
        )
        for f in _with(proof.figures, "product")
    ]
    cure = Remedy("See which torch this is, and for which GPUs.", ("rocmdoctor check --only 'torch.*' -v",))
    return verdict_of(proof, f"torch {proof.version}", judged, (), cure)


_BNB_FILES = (
    "training.bitsandbytes-build", "training.bitsandbytes-library", "training.bitsandbytes-rocm",
    "training.bitsandbytes-fork", "training.bitsandbytes-wavefront",
)  # fmt: skip
_BNB = "bitsandbytes"


def _bnb_cure(proof: Proof) -> Remedy:
    pip = f"{proof.python} -m pip install --force-reinstall --no-deps"
    return Remedy(
        "Take the release again from the index; what is there was damaged, or built for other processors or GPUs.",
        (f"{pip} {_BNB}=={proof.version}" if proof.version else f"{pip} {_BNB}",),
    )


def _round_trips(figures: list[Figure], what: str, bound: float) -> list[Judged]:
    unit = "of the block's largest value"
    return [
        Judged(f, f"{what}, blocks of {f.text('block')}", bound + _SCALING, f.number("worst"), unit)
        for f in figures
        if not f.without
    ]


def _products(figures: list[Figure]) -> list[Judged]:
    unit = "of the sum of their sizes"
    return [Judged(f, f.name, _length_bound(f), f.number("worst"), unit) for f in figures if not f.without]


def _narrow(proof: Proof, table: GpuTable, bound: float) -> Callable[[list[Judged]], str]:
    """Names the fault: half of each 64 numbers wrong on a GPU with 64-wide wavefronts is what narrow kernels leave there."""

    def fault(wrong: list[Judged]) -> str:
        target = next((t for name, t in table.targets.items() if name in proof.device.split()), None)
        wide = target is not None and target.wavefront == 2 * _LANES
        trips = [j.figure for j in wrong if "lanes" in j.figure.values]
        half = any(_half_is_wrong(f.numbers("lanes"), bound + _SCALING) for f in trips)
        return "bnb-wave32" if wide and half else WRONG

    return fault


def _half_is_wrong(lanes: tuple[float, ...], bound: float) -> bool:
    """Whether of each 64 places one half is right throughout and most of the other wrong."""
    runs = [lanes[at : at + _LANES] for at in range(0, len(lanes) - _LANES + 1, _LANES)]
    bad = [sum(x > bound for x in run) for run in runs]
    pairs = list(zip(bad[::2], bad[1::2], strict=False))
    return bool(pairs) and all(min(pair) == 0 and max(pair) >= _LANES // 2 for pair in pairs)


@check("proof.bitsandbytes-4bit", after=(_TORCH,), explained_by=_BNB_FILES, required=True)
def bnb_4bit(proofs: Proofs, table: GpuTable) -> Verdict:
    """bitsandbytes rounds to nf4 and back, and its 4-bit layer computes, as full precision does within that rounding."""
    proof = proofs.of("bitsandbytes")
    stopped = stopped_by(proof, _BNB)
    if stopped is not None:
        return stopped
    trips, layers = _with(proof.figures, "nf4"), _with(proof.figures, "4bit layer")
    judged = _round_trips(trips, "nf4 and back", _NF4) + _products(layers)
    without = [f for f in proof.figures if f.without and ("nf4" in f.name or "4bit" in f.name)]
    name = f"{_BNB} {proof.version}"
    return verdict_of(proof, name, judged, without, _bnb_cure(proof), _narrow(proof, table, _NF4))


@check("proof.bitsandbytes-8bit", after=(_TORCH,), explained_by=_BNB_FILES, required=True)
def bnb_8bit(proofs: Proofs, table: GpuTable) -> Verdict:
    """bitsandbytes rounds to 8 bits and back, and its 8-bit layer computes, as full precision does within that rounding."""
    proof = proofs.of("bitsandbytes")
    stopped = stopped_by(proof, _BNB)
    if stopped is not None:
        # One failure is one verdict: the other check tells it.
        return (
            stopped
            if stopped.status != "fail"
            else skip("see proof.bitsandbytes-4bit: it stopped before its end")
        )
    judged = _round_trips([f for f in proof.figures if f.name == "8bit"], "8 bits and back", _EIGHT_BIT)
    judged += [
        # The scale of this figure is what rounding rows of both sides to 127 steps can do, with the result's own rounding.
        Judged(f, "8-bit layer", 1.0, f.number("worst"), "of what rounding to 127 steps may do")
        for f in _with(proof.figures, "8bit layer")
        if not f.without
    ]
    without = [
        f for f in proof.figures if f.without and ("8bit" in f.name or "8_bit" in f.name or "eight" in f.name)
    ]
    name = f"{_BNB} {proof.version}"
    return verdict_of(proof, name, judged, without, _bnb_cure(proof), _narrow(proof, table, _EIGHT_BIT))


@check("proof.flash-attention", after=(_TORCH,), explained_by=("training.flash-attention",), required=True)
def flash_attention(proofs: Proofs) -> Verdict:
    """flash-attention and its gradients are as right as torch's own attention in the same format."""
    proof = proofs.of("flash_attention")
    stopped = stopped_by(proof, "flash-attn")
    if stopped is not None:
        return stopped
    judged, without = [], [f for f in proof.figures if f.without]
    for f in (f for f in proof.figures if not f.without):
        # Other orders of the same operations may round otherwise, so up to three times torch's own error, as in the
        # project's own tests (flash-attention tests/test_flash_attn.py), and the rounding of the result where that is none.
        bound = 3 * f.number("torch") + 2.0 ** -_BITS.get(f.text("dtype"), 8) * f.number("size")
        causal = ", causal" if f.values.get("causal") else ""
        judged.append(
            Judged(f, f"{f.name} in {f.text('dtype')}{causal}", bound, f.number("worst"), "at most")
        )
    cure = Remedy(
        "Build it again for this GPU.", ("rocmdoctor install flash-attention",), recipe="flash-attention"
    )
    return verdict_of(proof, f"flash-attn {proof.version}", judged, without, cure)


# In six steps or fewer no step of Adam is longer than this many learning rates: by Cauchy and Schwarz the square of
# mean / root of mean square is at most the sum of w^2 / v over the steps, with w and v the weights of the two means.
_LONGEST = 1.2


def _adam_bound(figure: Figure) -> float:
    """In parts of parameter + learning rate, after all steps.

    Per step: the parameter is rounded twice, the step some eight times; and 1 - beta2, kept in float32, has lost all digits but those
    of beta2's last place, which half of it enters the step through the root.
    """
    lost = _FLOAT32 / (2 * (1 - figure.number("beta2")))
    return figure.number("steps") * (_LONGEST * (lost + 8 * _FLOAT32) + 2 * _FLOAT32)


@check(
    "proof.deepspeed-adam",
    after=(_TORCH,),
    explained_by=("training.deepspeed", "training.deepspeed-rocm", "training.cuda-home"),
    required=True,
)
def deepspeed_adam(proofs: Proofs) -> Verdict:
    """Adam and AdamW of DeepSpeed make the steps that torch's own make."""
    proof = proofs.of("deepspeed")
    stopped = stopped_by(proof, "DeepSpeed")
    if stopped is not None:
        return stopped
    judged = [
        Judged(
            f,
            f"{f.name} as {'AdamW' if f.values.get('decoupled') else 'Adam'}, {f.text('steps')} steps",
            _adam_bound(f),
            f.number("worst"),
            "of parameter and rate",
        )
        for f in proof.figures
        if not f.without
    ]
    cure = Remedy(
        "Let it be built again: remove the built kernels.",
        ('rm -r "${TORCH_EXTENSIONS_DIR:-$HOME/.cache/torch_extensions}"',),
    )
    return verdict_of(
        proof, f"DeepSpeed {proof.version}", judged, [f for f in proof.figures if f.without], cure
    )


@check("proof.all-reduce", after=(_TORCH,), required=True)
def all_reduce(proofs: Proofs) -> Verdict:
    """Sums over all GPUs are exact for whole numbers."""
    proof = proofs.of("all_reduce")
    fault = "rccl" if proof.asked == "gpu" else WRONG
    look = Remedy("See what it says.", ("NCCL_DEBUG=INFO rocmdoctor verify -v",))
    stopped = stopped_by(proof, "a sum over all GPUs" if proof.asked == "gpu" else "a sum over two processes")
    if stopped is not None:
        if stopped.status == "fail" and stopped.fault is None:
            return fail(stopped.why, remedy=look, fault=fault)
        return stopped
    sums = [f for f in proof.figures if not f.without]
    if not sums:
        return skip(next((f.without for f in proof.figures), "it gave no figures"))
    backend, ranks = ((proof.said or {}).get(key, "?") for key in ("backend", "ranks"))
    wrong = [f for f in sums if f.number("wrong")]
    if wrong:
        f = wrong[0]
        return fail(
            f"{backend} adds wrong over {ranks} processes, without an error: rank {f.text('rank')} has {f.text('wrong')} wrong "
            f"of {f.text('size')} sums of whole numbers, none is allowed",
            remedy=look,
            fault=fault,
        )
    sizes = ", ".join(dict.fromkeys(f.text("size") for f in sums))
    return ok(f"{backend} adds right over {ranks} processes ({sizes} numbers at once)")
