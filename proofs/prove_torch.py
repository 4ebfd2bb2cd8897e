"""Matrix products of torch in each precision against the same products in double precision."""

# mypy: ignore-errors

from prove import about, compared, first_device, need, random

# Rows, length of each sum, columns: sizes of layers, and odd ones that no tile fits.
SHAPES = ((256, 1024, 256), (67, 777, 129))


def prove(report, device):
    """On the processor, or on every GPU."""
    torch = need(report, "torch", "torch")
    report.say(hip=torch.version.hip, cuda=torch.version.cuda)
    report.stage("find the GPUs")
    devices = [first_device(torch, device)]
    if device == "gpu":
        devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    for where in devices:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for shape in SHAPES:
                _product(report, torch, where, dtype, shape)


def _product(report, torch, where, dtype, shape):
    rows, length, columns = shape
    name = str(dtype).partition(".")[2]
    report.stage(f"multiply {name} on {where}")
    # Rounded first: only the product is judged.
    a, b = random(torch, rows, length, seed=1).to(dtype), random(torch, length, columns, seed=2).to(dtype)
    got = a.to(where) @ b.to(where)
    exact, sizes = a.double() @ b.double(), a.double().abs() @ b.double().abs()
    found = compared(torch, got, exact, sizes)
    report.figure("product", dtype=name, length=length, device=about(torch, where), **found)
