"""How many compilers run at once. Pure, standard library only: the plan estimates it, and the build decides it."""

from __future__ import annotations


def fitting(threads: int, memory_mb: int, per_job_mb: int, most: int = 0) -> int:
    """One at least. `most`: not more than that, since more did not have memory enough before; 0 is no limit."""
    jobs = max(1, min(threads, memory_mb // max(1, per_job_mb)))
    return min(jobs, most) if most else jobs
