"""Some steps of LoRA on a tiny random model, through as much of the stack as is installed.

transformers and peft where both are there, else a small network with adapters of our own; weights in 4 bits where bitsandbytes is,
flash-attention on a GPU where it is, the optimizer of DeepSpeed where it is. The task, which word follows which, is learnable:
the loss of a guess is the logarithm of the number of words, and a stack that trains gets below it.
"""

# mypy: ignore-errors

import importlib.util
import math
import os
import resource
import time

from prove import about, first_device, need

WORDS, WIDTH, LAYERS, HEADS = 64, 128, 2, 4
STEPS, BATCH, LENGTH, RATE, RANK = 12, 8, 32, 0.01, 16


def prove(report, device):
    """On the processor, or on the first GPU."""
    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    torch = need(report, "torch", "torch")
    report.stage("find the GPU")
    where = first_device(torch, device)
    report.say(device=about(torch, where))
    torch.manual_seed(1)
    # What is used, and what is not, each with the reason.
    uses, left = {}, {}
    model = _model(report, torch, where, uses, left)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(report, torch, where, learned, uses, left)
    report.say(uses=uses, left=left)
    _train(report, torch, where, model, optimizer, sum(p.numel() for p in learned))


def _have(name, left):
    if importlib.util.find_spec(name) is None:
        left[name] = "not installed"
        return False
    return True


def _model(report, torch, where, uses, left):
    found = [_have(name, left) for name in ("transformers", "peft")]
    if not all(found):
        uses["model"] = "a small network of ours, since transformers and peft are not both installed"
        return _plain(torch).to(where)
    transformers, peft = need(report, "transformers"), need(report, "peft")
    uses["model"] = f"transformers {transformers.__version__}"
    uses["adapters"] = f"peft {peft.__version__}"
    base = _base(report, torch, transformers, where, uses, left)
    report.stage("add adapters")
    if "weights" in uses:
        base = peft.prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    settings = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, task_type="CAUSAL_LM")
    return peft.get_peft_model(base, settings)


def _base(report, torch, transformers, where, uses, left):
    report.stage("make a tiny random model")
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2 * LENGTH,
        initializer_range=0.1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = os.path.join(os.getcwd(), "model")
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    report.stage("load the model")
    more = {"attn_implementation": _attention(where, uses, left)}
    if _have("bitsandbytes", left):
        import bitsandbytes

        uses["weights"] = f"nf4 of bitsandbytes {bitsandbytes.__version__}"
        report.stage("load the model in 4 bits")
        more["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        more["device_map"] = {"": where.type if where.index is None else where.index}
    # The name of this argument was another one before transformers 4.56, which still takes it.
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.bfloat16, **more)
    return model if "quantization_config" in more else model.to(where)


def _attention(where, uses, left):
    if _have("flash_attn", left):
        if where.type != "cpu":
            uses["attention"] = "flash-attention"
            return "flash_attention_2"
        left["flash_attn"] = "has no way on the processor"
    uses["attention"] = "torch"
    return "sdpa"


def _optimizer(report, torch, where, learned, uses, left):
    if _have("deepspeed", left):
        try:
            return _deepspeed(report, where, learned, uses)
        except Exception as error:
            # It has a proof of its own, which tells that; the rest of the stack can still train.
            left["deepspeed"] = f"{type(error).__name__}: {error}"[:200]
    uses["optimizer"] = "AdamW of torch"
    return torch.optim.AdamW(learned, lr=RATE)


def _deepspeed(report, where, learned, uses):
    need(report, "deepspeed")
    report.stage("build or load the optimizer of DeepSpeed")
    if where.type == "cpu":
        from deepspeed.ops.adam import DeepSpeedCPUAdam as Adam
    else:
        from deepspeed.ops.adam import FusedAdam as Adam
    from prove_deepspeed import use_cache

    use_cache("cpu_adam" if where.type == "cpu" else "fused_adam")
    optimizer = Adam(learned, lr=RATE)
    uses["optimizer"] = f"{Adam.__name__} of DeepSpeed"
    return optimizer


def _train(report, torch, where, model, optimizer, learned):
    words = torch.Generator().manual_seed(7)
    follows = torch.randperm(WORDS, generator=words)
    losses, times = [], []
    if where.type != "cpu":
        torch.cuda.reset_peak_memory_stats(where)
    model.train()
    for step in range(STEPS):
        report.stage(f"training step {step + 1}")
        start = time.perf_counter()
        rows = [torch.randint(WORDS, (BATCH,), generator=words)]
        for _ in range(LENGTH - 1):
            rows.append(follows[rows[-1]])
        batch = torch.stack(rows, 1).to(where)
        loss = _loss(torch, model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        times.append(time.perf_counter() - start)
        if not math.isfinite(losses[-1]):
            report.say(diverged=step + 1)
            losses.pop()
            break
    report.figure(
        "training",
        steps=len(times),
        losses=[round(x, 5) for x in losses],
        guess=math.log(WORDS),
        step_seconds=sorted(times)[len(times) // 2],
        first_seconds=times[0],
        peak_bytes=_peak(torch, where),
        learned=learned,
    )


def _loss(torch, model, batch):
    said = model(input_ids=batch)
    logits = said.logits if hasattr(said, "logits") else said
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch[:, 1:].flatten())


def _peak(torch, where):
    if where.type == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated(where)


def _plain(torch):
    """Frozen random layers, each with an adapter of two thin matrices, the second of which starts at zero."""

    class Adapted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = torch.nn.Linear(WIDTH, WIDTH).requires_grad_(False)
            self.down = torch.nn.Linear(WIDTH, RANK, bias=False)
            self.up = torch.nn.Linear(RANK, WIDTH, bias=False)
            torch.nn.init.zeros_(self.up.weight)

        def forward(self, given):
            return given + torch.nn.functional.gelu(self.frozen(given) + 2 * self.up(self.down(given)))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(WORDS, WIDTH).requires_grad_(False)
            self.layers = torch.nn.Sequential(*(Adapted() for _ in range(LAYERS)))
            self.head = torch.nn.Linear(WIDTH, WORDS, bias=False).requires_grad_(False)

        def forward(self, input_ids):
            return self.head(self.layers(self.words(input_ids)))

    return Network()
