"""Two steps of axolotl as its users start it, on a tiny random model, a tokenizer and a data set that are made on the spot."""

# mypy: ignore-errors

import glob
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import time

from prove import about, first_device, need

WORDS = ("<pad>", "<s>", "</s>", "<unk>", *(f"w{number}" for number in range(60)))
STEPS, ROWS = 2, 32


def prove(report, device):
    """On the processor, or on the first GPU. 4-bit weights where bitsandbytes is installed."""
    need(report, "axolotl", "axolotl")
    torch = need(report, "torch")
    for name in ("transformers", "peft", "datasets", "accelerate", "tokenizers"):
        need(report, name)
    report.stage("find the GPU")
    where = first_device(torch, device)
    report.say(device=about(torch, where))
    report.stage("make a model and a data set")
    _model("model")
    _data("data.jsonl")
    settings = _settings(torch, where)
    with open("config.yml", "w", encoding="utf-8") as file:
        json.dump(settings, file)  # JSON is YAML
    report.say(uses={"adapter": settings["adapter"], "optimizer": settings["optimizer"]})
    _launch(report, where)


def _model(folder):
    """A Llama of two thin layers, and a tokenizer that knows sixty words."""
    import tokenizers
    import transformers

    ids = {word: number for number, word in enumerate(WORDS)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)


def _data(path):
    with open(path, "w", encoding="utf-8") as file:
        for row in range(ROWS):
            text = " ".join(f"w{(row + 7 * place) % 60}" for place in range(40))
            file.write(json.dumps({"text": text}) + "\n")


def _settings(torch, where):
    here = os.getcwd()
    quantised = importlib.util.find_spec("bitsandbytes") is not None
    # Kernels of its own, which it takes unasked, are for GPUs.
    kernels = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel")
    return {
        **(dict.fromkeys(kernels, False) if where.type == "cpu" else {}),
        "base_model": f"{here}/model",
        "load_in_4bit": quantised,
        "adapter": "qlora" if quantised else "lora",
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "lora_target_linear": True,
        "datasets": [{"path": f"{here}/data.jsonl", "ds_type": "json", "type": "completion"}],
        "dataset_prepared_path": f"{here}/prepared",
        "output_dir": f"{here}/out",
        "sequence_len": 64,
        "val_set_size": 0,
        "micro_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "max_steps": STEPS,
        "logging_steps": 1,
        "save_steps": STEPS,
        "optimizer": "adamw_torch",
        "lr_scheduler": "constant",
        "learning_rate": 0.001,
        "bf16": where.type != "cpu" and torch.cuda.is_bf16_supported(),
        "fp16": False,
        "tf32": False,
        "gradient_checkpointing": False,
        "dataset_num_proc": 1,
        "dataset_processes": 1,
        "special_tokens": {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"},
    }


def _launch(report, where):
    argv = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"]
    argv += ["--mixed_precision", "no", "--dynamo_backend", "no", *(["--cpu"] if where.type == "cpu" else [])]
    argv += ["-m", "axolotl.cli.train", "config.yml"]
    report.say(command=" ".join(["accelerate launch", *argv[3:]]))
    report.stage("accelerate launch -m axolotl.cli.train")
    start = time.perf_counter()
    # Into a file: what is printed by the million must not fill a pipe.
    with open("log", "wb") as log:
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
    took = time.perf_counter() - start
    text = _log()
    if code:
        raise RuntimeError(_complaint(code, text))
    report.stage("read what it logged")
    _figures(report, took, text)


def _log():
    with open("log", encoding="utf-8", errors="replace") as file:
        return file.read()


def _complaint(code, text):
    """The last error that the run printed; what starts it prints a page of its own after that."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [x for x in lines if "Error" in x.partition(":")[0] and "CalledProcessError" not in x]
    return f"exit code {code}: {(errors or lines or ['it printed nothing'])[-1]}"[:1500]


def _figures(report, took, text):
    found = sorted(glob.glob("out/checkpoint-*/trainer_state.json")) or glob.glob("out/trainer_state.json")
    if not found:
        raise RuntimeError("it ended without an error and left no out/checkpoint-*/trainer_state.json")
    with open(found[-1], encoding="utf-8") as file:
        rows = json.load(file)["log_history"]
    losses = [float(row["loss"]) for row in rows if "loss" in row]
    # What it logs of the GPU's memory, in GiB; on the processor its largest process counts.
    told = max(
        (float(v) for row in rows for k, v in row.items() if k.startswith("memory/max_a")), default=0.0
    )
    # The trainer prints its own time, which leaves imports out (transformers trainer_utils.py, speed_metrics).
    runtime = re.search(r"train_runtime\W+([\d.]+)", text)
    report.figure(
        "training",
        steps=max((int(row.get("step", 0)) for row in rows), default=0),
        wanted=STEPS,
        losses=losses,
        step_seconds=(float(runtime.group(1)) if runtime else took) / STEPS,
        whole_seconds=took,
        peak_bytes=int(told * (1 << 30)) or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    )
