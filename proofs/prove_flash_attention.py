"""flash-attention, forward and backward, against exact attention; beside it what torch's own attention is off."""

# mypy: ignore-errors

import math

from prove import about, first_device, need, random

# Batch, places, heads, size of a head: a length that no tile fits.
SHAPE = (2, 193, 4, 64)


def prove(report, device):
    """On the first GPU. On the processor only where the module takes tensors that lie there."""
    need(report, "flash_attn", "flash-attn")
    torch = need(report, "torch")
    from flash_attn import flash_attn_func

    report.stage("find the GPU")
    where = first_device(torch, device)
    report.say(device=about(torch, where))
    for dtype in (torch.bfloat16, torch.float16):
        for causal in (True, False):
            if not _attention(report, torch, flash_attn_func, where, dtype, causal):
                return


def _attention(report, torch, attend, where, dtype, causal):
    name = str(dtype).partition(".")[2]
    report.stage(f"attention in {name}{', causal' if causal else ''}")
    given = [random(torch, *SHAPE, seed=seed).to(dtype) for seed in (1, 2, 3)]
    slope = random(torch, *SHAPE, seed=4).to(dtype)
    exact = _run(lambda q, k, v: _exact(torch, q, k, v, causal), [x.double() for x in given], slope.double())
    plain = _run(lambda q, k, v: _torch(torch, q, k, v, causal), given, slope)
    try:
        found = _run(
            lambda q, k, v: attend(q, k, v, causal=causal),
            [x.to(where) for x in given],
            slope.to(where),
        )
    except Exception as error:
        if where.type != "cpu":
            raise
        report.without("attention", f"{type(error).__name__}: {error}")
        return False
    for part, got, torchs, right in zip(("forward", "dq", "dk", "dv"), found, plain, exact):
        ours = got.double().cpu()
        finite = torch.isfinite(ours)
        report.figure(
            part,
            dtype=name,
            causal=causal,
            worst=float((ours - right).abs()[finite].max()) if finite.any() else 0.0,
            nonfinite=int((~finite).sum()),
            count=ours.numel(),
            torch=float((torchs.double() - right).abs().max()),
            size=float(right.abs().max()),
        )
    return True


def _run(attend, given, slope):
    taken = [x.detach().clone().requires_grad_(True) for x in given]
    got = attend(*taken)
    got.backward(slope)
    return [got.detach(), *(x.grad for x in taken)]


def _exact(torch, q, k, v, causal):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    if causal:
        length = scores.shape[2]
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -math.inf)
    return (scores.softmax(3) @ v).transpose(1, 2)


def _torch(torch, q, k, v, causal):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)
