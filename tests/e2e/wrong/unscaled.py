"""Stands in for flash-attention: forgets to divide by the root of the head's size. Otherwise right, and differentiable."""

import math

import torch

__version__ = "2.8.3"


def flash_attn_func(q, k, v, causal=False):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    found = torch.nn.functional.scaled_dot_product_attention(
        q * math.sqrt(q.shape[3]), k, v, is_causal=causal
    )
    return found.transpose(1, 2)
