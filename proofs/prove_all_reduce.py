"""The sum over all GPUs that training makes after every step: RCCL with several of them, gloo on the processor.

Whole numbers are added, so that the sum is exact in any order. Each rank is a process of its own, as in training.
"""

# mypy: ignore-errors

import json
import os
import subprocess
import sys
import time

SIZES = (1, 1023, 1 << 20)


def prove(report, device):
    """As many ranks as there are GPUs; two on the processor."""
    from prove import need  # not in the ranks, which this file is started anew for

    torch = need(report, "torch", "torch")
    if not torch.distributed.is_available():
        report.without("all-reduce", "this torch was built without torch.distributed")
        return
    if device == "gpu" and not torch.cuda.is_available():
        raise LookupError("torch.cuda.is_available() is False")
    ranks = torch.cuda.device_count() if device == "gpu" else 2
    if ranks < 2:
        report.without("all-reduce", "one GPU has nobody to add with")
        return
    backend = "nccl" if device == "gpu" else "gloo"
    report.say(backend=backend, ranks=ranks)
    report.stage(f"add over {ranks} processes with {backend}")
    start = time.perf_counter()
    meeting = os.path.join(os.getcwd(), "meeting")
    argv = [sys.executable, "-I", os.path.abspath(__file__), backend, meeting, str(ranks)]
    children = [
        subprocess.Popen([*argv, str(rank)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    said = [child.communicate() for child in children]
    for rank, (child, (out, error)) in enumerate(zip(children, said)):
        if child.returncode:
            last = (error.strip().splitlines() or ["it printed nothing"])[-1]
            raise RuntimeError(f"rank {rank} ended with exit code {child.returncode}: {last}"[:800])
        for found in json.loads(out.splitlines()[-1]):
            report.figure("all-reduce", rank=rank, **found)
    report.say(took=round(time.perf_counter() - start, 2))


def _rank(backend, meeting, ranks, rank):
    import torch
    import torch.distributed as dist

    where = torch.device("cpu") if backend == "gloo" else torch.device("cuda", rank)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    dist.init_process_group(backend, init_method=f"file://{meeting}", world_size=ranks, rank=rank)
    found = []
    for size in SIZES:
        base = torch.arange(size, dtype=torch.float32) % 1000
        mine = (base + rank).to(where)
        dist.all_reduce(mine)
        right = base * ranks + sum(range(ranks))
        wrong = int((mine.cpu() != right).sum())
        found.append({"size": size, "wrong": wrong})
    dist.destroy_process_group()
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _rank(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
