"""Quantising to 4 and 8 bits and back, and the layers that compute with such weights, against full precision."""

# mypy: ignore-errors

from prove import about, compared, first_device, need, random

# A width that every block size divides.
ROWS, WIDTH = 256, 512
# Newer releases refuse blocks of 64 on GPUs whose wavefronts are 64 wide.
BLOCKS = (64, 128)
LANES = 128


def prove(report, device):
    """On the processor, or on the first GPU."""
    bnb = need(report, "bitsandbytes", "bitsandbytes")
    torch = need(report, "torch")
    report.stage("find the GPU")
    where = first_device(torch, device)
    report.say(device=about(torch, where), library=_library(bnb))
    for task in (_nf4, _eight_bit, _linear_4bit, _linear_8bit):
        try:
            task(report, torch, bnb, where)
        except (NotImplementedError, AttributeError, ValueError, AssertionError) as error:
            if where.type != "cpu":
                raise
            # Releases differ in what they can do without a GPU, and in how they say so.
            report.without(task.__name__.strip("_"), f"{type(error).__name__}: {error}")


def _library(bnb):
    """The compiled library that it loaded, "" where it says none."""
    loaded = getattr(getattr(bnb, "cextension", None), "lib", None)
    return str(getattr(getattr(loaded, "_lib", None), "_name", "") or type(loaded).__name__)


def _lanes(off):
    """The largest difference at each place of a run of 128 numbers: tells which threads of a kernel went wrong."""
    return [round(min(float(x), 1e6), 5) for x in off.reshape(-1, LANES).amax(0)]


def _round_trip(report, torch, name, values, back, block):
    values, back = values.double(), back.detach().double().cpu()
    largest = values.reshape(-1, block).abs().amax(1, keepdim=True).expand(-1, block).reshape(values.shape)
    finite = torch.isfinite(back)
    off = torch.where(finite, (back - values).abs() / largest, torch.full_like(values, 1e6))
    found = compared(torch, back, values, largest)
    report.figure(name, block=block, lanes=_lanes(off), **found)


def _nf4(report, torch, bnb, where):
    values = random(torch, ROWS, WIDTH)
    for block in BLOCKS:
        report.stage(f"quantise to nf4 in blocks of {block}")
        try:
            packed, state = bnb.functional.quantize_4bit(values.to(where), blocksize=block, quant_type="nf4")
        except (ValueError, AssertionError, NotImplementedError, RuntimeError) as error:
            if block == BLOCKS[-1]:
                raise
            report.without(f"nf4 {block}", error)
            continue
        back = bnb.functional.dequantize_4bit(packed, state)
        _round_trip(report, torch, "nf4", values, back, block)


def _eight_bit(report, torch, bnb, where):
    report.stage("quantise to 8 bits")
    values = random(torch, ROWS, WIDTH)
    packed, state = bnb.functional.quantize_blockwise(values.to(where), blocksize=256)
    back = bnb.functional.dequantize_blockwise(packed, state)
    _round_trip(report, torch, "8bit", values, back, 256)


def _linear_4bit(report, torch, bnb, where):
    """Against the product with the weights that it says it has: their rounding is judged by the round trip."""
    for rows in (1, 8):
        report.stage(f"4-bit layer, {rows} row(s)")
        layer = bnb.nn.Linear4bit(
            WIDTH, ROWS, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4", compress_statistics=False
        )
        layer.weight.data.copy_(random(torch, ROWS, WIDTH, seed=3))
        layer = layer.to(where)
        state = layer.weight.quant_state
        weights = bnb.functional.dequantize_4bit(layer.weight.data, state).to(torch.bfloat16).double().cpu()
        given = random(torch, rows, WIDTH, seed=4).to(torch.bfloat16)
        taken = given.to(where).requires_grad_(rows > 1)
        got = layer(taken)
        _product(report, torch, f"4bit layer, {rows} rows", got, given.double(), weights.t())
        if rows > 1:
            report.stage("4-bit layer, backward")
            slope = random(torch, rows, ROWS, seed=5).to(torch.bfloat16)
            got.backward(slope.to(where))
            _product(report, torch, "4bit layer, backward", taken.grad, slope.double(), weights)


def _product(report, torch, name, got, a, b):
    found = compared(torch, got, a @ b, a.abs() @ b.abs())
    report.figure(name, dtype="bfloat16", length=a.shape[1], **found)


def _linear_8bit(report, torch, bnb, where):
    """Rows of both sides are rounded to 127 steps: that, and the result's own rounding, is the scale of the figure."""
    report.stage("8-bit layer")
    half = torch.float16 if where.type != "cpu" else torch.bfloat16
    layer = bnb.nn.Linear8bitLt(WIDTH, ROWS, bias=False, has_fp16_weights=False, threshold=0.0)
    weights = random(torch, ROWS, WIDTH, seed=6).to(half)
    layer.weight.data.copy_(weights)
    layer = layer.to(where)
    given = random(torch, 8, WIDTH, seed=7).to(half)
    with torch.no_grad():
        got = layer(given.to(where))
    a, b = given.double(), weights.double()
    step_a, step_b = a.abs().amax(1, keepdim=True) / 254, b.abs().amax(1, keepdim=True) / 254
    exact = a @ b.t()
    allowed = a.abs().sum(1, keepdim=True) * step_b.t() + step_a * (b.abs().sum(1)[None] + WIDTH * step_b.t())
    found = compared(torch, got, exact, allowed + exact.abs() * torch.finfo(half).eps)
    report.figure("8bit layer", dtype=str(half).partition(".")[2], length=WIDTH, **found)
