"""The training stack as it was reviewed, and what is said where it cannot be had."""

from __future__ import annotations

from typing import Any

import click
import pytest

from rocmdoctor.planning.refusal import RefusedError
from tests.planning.boxes import Box, planned, summary
from tests.planning.test_training_rules import answers

PARTS = ("rocm-libraries", "python", "torch", "bitsandbytes", "flash-attention", "deepspeed")

REVIEWED: list[tuple[str, Box, str, tuple[str, ...], str]] = [
    (
        "an MI210 on Ubuntu 22.04",
        Box(),
        "3.10",
        (),
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
python 3.10 system
torch 2.14.0+rocm7.2 wheel
rocm-libraries 6.0 amd
bitsandbytes 0.50.2 wheel
flash-attention 2.8.3.post2 source
deepspeed 0.19.8 source
python.venv.2: apt-get install python3.10-venv
python.environment: python3.10 -m venv /home/ann/.local/share/rocmdoctor/env
python.pip.1: + /home/ann/.cache/rocmdoctor/requirements/97431255127271b4.txt
python.pip.2: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps --require-hashes -r /home/ann/.cache/rocmdoctor/requirements/97431255127271b4.txt
torch.wheels: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --index-url https://download.pytorch.org/whl/rocm7.2 -- torch==2.14.0+rocm7.2 torchvision==0.29.0+rocm7.2 torchaudio==2.11.0+rocm7.2 triton-rocm==3.8.0
rocm-libraries.packages.2: apt-get install hipblas-dev hipblaslt-dev hipsparse-dev hipsolver-dev hiprand-dev hipcub-dev rocblas-dev rocprim-dev rocthrust-dev rccl-dev
bitsandbytes.wheel: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- bitsandbytes==0.50.2
flash-attention.build.1: < https://files.pythonhosted.org/packages/6c/b1/b77625e3d11260d2bd6a4fc249a4be9a3da97ff848e2222e810c4f0e0211/flash_attn-2.8.3.post2.tar.gz d0f9f0b08a986cdeadbffcf5ec8b3a8f514366c68ad1853d3ab061bc83cc340b
flash-attention.build.3: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==26.0 ninja==1.13.0 psutil==7.2.2 einops==0.8.2
deepspeed.numpy-for-older-pythons: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- numpy==1.26.4
deepspeed.build.1: < https://files.pythonhosted.org/packages/bc/d8/3162fc810870df1183e686ec70b57028b464a5940b148a90767c727f113c/deepspeed-0.19.8.tar.gz 9e491abd0827ea5c389dd702e15e11e13d83d904bac4a20d6c2a4cb37207a9af
deepspeed.build.3: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==26.0 ninja==1.13.0 py-cpuinfo==9.0.0 psutil==7.2.2 pydantic==2.13.5 hjson==3.1.0 msgpack==1.1.1 tqdm==4.70.1 einops==0.8.2
""",
    ),
    (
        "a Radeon on Ubuntu 24.04",
        Box(gpu="gfx1100", os="ubuntu-24.04"),
        "3.12",
        (),
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
python 3.12 system
torch 2.14.0+rocm7.2 wheel
rocm-libraries 0+none none
bitsandbytes 0.50.2 wheel
flash-attention 2.8.3.post2 triton
deepspeed 0.19.8 source
python.venv.2: apt-get install python3.12-venv
python.environment: python3.12 -m venv /home/ann/.local/share/rocmdoctor/env
torch.wheels: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --index-url https://download.pytorch.org/whl/rocm7.2 -- torch==2.14.0+rocm7.2 torchvision==0.29.0+rocm7.2 torchaudio==2.11.0+rocm7.2 triton-rocm==3.8.0
bitsandbytes.wheel: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- bitsandbytes==0.50.2
flash-attention.triton-backend.1: < https://files.pythonhosted.org/packages/6c/b1/b77625e3d11260d2bd6a4fc249a4be9a3da97ff848e2222e810c4f0e0211/flash_attn-2.8.3.post2.tar.gz d0f9f0b08a986cdeadbffcf5ec8b3a8f514366c68ad1853d3ab061bc83cc340b
flash-attention.triton-backend.3: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==26.0 ninja==1.13.0 psutil==7.2.2 einops==0.8.2
deepspeed.numpy: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- numpy==2.3.5
deepspeed.build.1: < https://files.pythonhosted.org/packages/bc/d8/3162fc810870df1183e686ec70b57028b464a5940b148a90767c727f113c/deepspeed-0.19.8.tar.gz 9e491abd0827ea5c389dd702e15e11e13d83d904bac4a20d6c2a4cb37207a9af
deepspeed.build.3: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==26.0 ninja==1.13.0 py-cpuinfo==9.0.0 psutil==7.2.2 pydantic==2.13.5 hjson==3.1.0 msgpack==1.1.1 tqdm==4.70.1 einops==0.8.2
""",
    ),
    (
        "an MI210 on Debian 12",
        Box(os="debian-12"),
        "3.11",
        (),
        """\
amdgpu-driver 0+kernel kernel
rocm 5.2.3 distro
python 3.11 system
torch 2.14.1+rocm7.14 wheel
rocm-libraries 0+none none
bitsandbytes 0.50.2 wheel
flash-attention 0+none none
deepspeed 0.19.8 source
python.venv.2: apt-get install python3.11-venv
python.environment: python3.11 -m venv /home/ann/.local/share/rocmdoctor/env
torch.wheels: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --index-url https://download.pytorch.org/whl/rocm7.14 -- torch==2.14.1+rocm7.14 torchvision==0.29.1+rocm7.14 triton-rocm==3.8.0
bitsandbytes.wheel: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- bitsandbytes==0.50.2
deepspeed.numpy: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- numpy==2.3.5
deepspeed.build.1: < https://files.pythonhosted.org/packages/bc/d8/3162fc810870df1183e686ec70b57028b464a5940b148a90767c727f113c/deepspeed-0.19.8.tar.gz 9e491abd0827ea5c389dd702e15e11e13d83d904bac4a20d6c2a4cb37207a9af
deepspeed.build.3: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==26.0 ninja==1.13.0 py-cpuinfo==9.0.0 psutil==7.2.2 pydantic==2.13.5 hjson==3.1.0 msgpack==1.1.1 tqdm==4.70.1 einops==0.8.2
""",
    ),
    (
        "the way of 2024 on an MI210",
        Box(),
        "3.10",
        ("axolotl-2024",),
        """\
amdgpu-driver 6.0.2 dkms
rocm 6.0.2 amd
python 3.10 system
torch 2.3.1+rocm6.0 wheel
rocm-libraries 6.0 amd
bitsandbytes 0.43.2.dev0 source
flash-attention 2.6.3 checkout
deepspeed 0.14.0 source
axolotl 0.4.0 source
python.venv.2: apt-get install python3.10-venv
python.environment: python3.10 -m venv /home/ann/.local/share/rocmdoctor/env
python.pip.1: + /home/ann/.cache/rocmdoctor/requirements/97431255127271b4.txt
python.pip.2: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps --require-hashes -r /home/ann/.cache/rocmdoctor/requirements/97431255127271b4.txt
torch.wheels: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --index-url https://download.pytorch.org/whl/rocm6.0 -- torch==2.3.1+rocm6.0 torchvision==0.18.1+rocm6.0 torchaudio==2.3.1+rocm6.0 pytorch-triton-rocm==2.3.1
rocm-libraries.packages.2: apt-get install hipblas-dev hipblaslt-dev hipsparse-dev hipsolver-dev hiprand-dev hipcub-dev rocblas-dev rocprim-dev rocthrust-dev rccl-dev
bitsandbytes.build.2: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 scikit-build-core==0.11.6 trove-classifiers==2025.8.6.13 packaging==23.2
flash-attention.build-checkout.2: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==23.2 ninja==1.13.0 psutil==7.2.2 einops==0.8.2
deepspeed.numpy-for-older-pythons: /home/ann/.local/share/rocmdoctor/env/bin/python PIP --no-deps -- numpy==1.26.4
deepspeed.build.1: < https://files.pythonhosted.org/packages/c4/d2/8ef74ea43580db602b845a499340ee21da98fb1e749d86ab9ee16bc32bd2/deepspeed-0.14.0.tar.gz 8a140b693f999776637ef004511243479795f6d3da2e3f92c1d508b756183917
deepspeed.build.3: patch deepspeed/0001-leave-cuda-out-on-rocm.patch
deepspeed.build.4: /home/ann/.local/share/rocmdoctor/env/bin/python PIP -- setuptools==80.9.0 wheel==0.45.1 packaging==23.2 ninja==1.13.0 py-cpuinfo==9.0.0 psutil==7.2.2 pydantic==2.6.3 hjson==3.1.0 msgpack==1.1.1 tqdm==4.70.1 einops==0.8.2
""",
    ),
]


def _short(text: str) -> str:
    """Without the options that pip is always given, and without notes and what chores are told."""
    told = (
        "-I -m pip --no-input --disable-pip-version-check --no-python-version-warning install --no-user"
        " --progress-bar off --no-warn-script-location"
    )
    lines = [line.replace(told, "PIP") for line in text.splitlines()]
    kept = [line for line in lines if not line.startswith("note") and "rocmdoctor-chore" not in line]
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize(
    ("name", "box", "python", "targets", "text"),
    REVIEWED,
    ids=lambda v: v if isinstance(v, str) and v[:2] in ("an", "a ", "th") else "",
)
def test_a_plan_is_as_it_was_reviewed(
    name: str, box: Box, python: str, targets: tuple[str, ...], text: str
) -> None:
    made = planned(answers(box, python), *(targets or ("training",)))
    assert _short(summary(made, *PARTS)) == text


def test_the_fork_of_2024_is_taken_where_it_is_named_and_is_patched() -> None:
    made = planned(answers(Box(), "3.10"), "axolotl-2024", pins=("flash-attention==2.0.4",))
    lines = summary(made, "flash-attention").splitlines()
    assert "flash-attention 2.0.4 checkout" in lines
    assert (
        "flash-attention.build-checkout.2: patch flash-attn/0001-leave-composable-kernel-alone.patch" in lines
    )
    alone = planned(answers(Box(), "3.10"), "axolotl-2024").choice["flash-attention"]
    assert alone.version == "2.6.3"
    others = planned(answers(Box(), "3.10"), "training").choice["flash-attention"].others
    assert others["2.0.4 (checkout)"] == (
        "it is ROCm's fork of March 2024, and upstream has all of it from 2.6.2 on; --pin flash-attention==2.0.4 takes it"
    )


REFUSALS: list[tuple[Box, str, dict[str, Any], str, str]] = [
    (
        Box(),
        "3.10",
        {"pins": ("torch<2.5", "bitsandbytes>=0.50")},
        (
            "--pin 'torch<2.5' and --pin 'bitsandbytes>=0.50' do not go together here: bitsandbytes 0.50.2, "
            "0.50.1 (wheel): it needs hip >=6.4,<8, and torch 2.4.1+rocm6.1 comes with hip 6.1; 0.50.1 "
            "(source): it needs hip >=6.3,<8, and torch 2.4.1+rocm6.1 comes with hip 6.1"
        ),
        (
            "Without --pin 'torch<2.5': torch 2.14.0+rocm7.2 from wheel, bitsandbytes 0.50.2 from wheel. "
            "Without --pin 'bitsandbytes>=0.50': torch 2.4.1+rocm6.1 from wheel, bitsandbytes 0.43.2.dev0 "
            "from source. 'rocmdoctor recipe show bitsandbytes' shows what each release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"pins": ("torch==2.9.*", "bitsandbytes==0.50.2", "flash-attention==2.6.3")},
        (
            "--pin bitsandbytes==0.50.2 and --pin flash-attention==2.6.3 do not go together here: torch "
            "2.14.1+rocm7.14 to 2.8.0+rocm6.4 (17 releases) (wheel): flash-attention 2.6.3 needs torch "
            ">=2.1,<2.6; 2.9.1+rocm6.3 to 2.7.0+rocm6.3 (4 releases) (wheel): bitsandbytes 0.50.2 needs hip "
            ">=6.4,<8, and it comes with hip 6.3; 2.7.1+rocm6.2.4 to 2.5.0+rocm6.2 (5 releases) (wheel): "
            "bitsandbytes 0.50.2 needs hip >=6.4,<8, and it comes with hip 6.2; 2.6.0+rocm6.1 to "
            "2.4.0+rocm6.1 (5 releases) (wheel): bitsandbytes 0.50.2 needs hip >=6.4,<8, and it comes with "
            "hip 6.1; 2.4.1+rocm6.0 (wheel): bitsandbytes 0.50.2 needs hip >=6.4,<8, and it comes with hip "
            "6.0; 2.3.1+rocm6.0 to 2.0.0+rocm5.4.2 (11 releases) (wheel): bitsandbytes 0.50.2 needs torch "
            ">=2.4; 2.13.0+rocm10.0.0 (amd-wheel): bitsandbytes 0.50.2 needs hip >=6.4,<8, and it comes with "
            "hip 10.0; 2.12.0+rocm7.14.0 (amd-wheel): flash-attention 2.6.3 needs torch >=2.1,<2.6"
        ),
        (
            "Without --pin flash-attention==2.6.3: torch 2.9.1+rocm6.4 from wheel, bitsandbytes 0.50.2 from "
            "wheel, flash-attention 2.8.3.post2 from source. 'rocmdoctor recipe show torch' shows what each "
            "release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"pins": ("deepspeed==0.17.5",)},
        (
            "--pin deepspeed==0.17.5 and this machine do not go together: deepspeed 0.17.5 (source): its op "
            "builder returns nothing on ROCm and stops with a TypeError; 0.17.6 is whole again"
        ),
        (
            "Without --pin deepspeed==0.17.5: deepspeed 0.19.8 from source. 'rocmdoctor recipe show "
            "deepspeed' shows what each release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"pins": ("deepspeed==0.15.0",)},
        (
            "--pin deepspeed==0.15.0 and this machine do not go together: deepspeed 0.15.0 (source): it "
            "cannot be installed or imported on ROCm: its GDS op joins a path that is not there; 0.15.1 is "
            "whole again"
        ),
        (
            "Without --pin deepspeed==0.15.0: deepspeed 0.19.8 from source. 'rocmdoctor recipe show "
            "deepspeed' shows what each release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"python": "3.12"},
        (
            "--python 3.12 and this machine do not go together: python 3.12 (environment): no environment is "
            "there yet; 3.12 (system): no python3.12 is installed; 3.12 (uv): uv is not here"
        ),
        (
            "Without --python 3.12: python 3.10 from system. A Python that fits comes from the distribution, "
            "as 'sudo apt-get install python3.12 python3.12-venv' where it has that version, or from uv, "
            "which brings its own: install uv, and plan again. 'rocmdoctor recipe show python' shows what "
            "each release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"more": ("axolotl",)},
        (
            "--with axolotl and this machine do not go together: python 3.12 to 3.8 (7 releases) "
            "(environment): no environment is there yet; 3.12 (system): no python3.12 is installed; 3.13 "
            "(system): no python3.13 is installed; 3.11 (system): no python3.11 is installed; 3.10 (system): "
            "axolotl 0.21.0 needs python >=3.12,<3.13; 3.14 (system): no python3.14 is installed; 3.9 "
            "(system): no python3.9 is installed; 3.8 (system): no python3.8 is installed; 3.12 to 3.8 (7 "
            "releases) (uv): uv is not here"
        ),
        (
            "Without --with axolotl: python 3.10 from system. A Python that fits comes from the "
            "distribution, as 'sudo apt-get install python3.12 python3.12-venv' where it has that version, "
            "or from uv, which brings its own: install uv, and plan again. 'rocmdoctor recipe show python' "
            "shows what each release is for."
        ),
    ),
    (
        Box(gpu="gfx1100", os="ubuntu-24.04"),
        "3.12",
        {"from_source": ("flash-attention",)},
        (
            "--from-source flash-attention and this machine do not go together: flash-attention 2.8.3.post2, "
            "2.8.3 (source): it is for gfx90a, gfx942, gfx950, and the target here is gfx1100; 2.6.3, 2.0.4 "
            "(checkout): it is for gfx90a, gfx942, and the target here is gfx1100"
        ),
        (
            "Without --from-source flash-attention: flash-attention 2.8.3.post2 from triton. 'rocmdoctor "
            "recipe show flash-attention' shows what each release is for."
        ),
    ),
    (
        Box(gpu="gfx906"),
        "3.12",
        {"more": ("axolotl",)},
        (
            "--with axolotl and this machine do not go together: axolotl 0.21.0 (wheel): it needs "
            "bitsandbytes >=0.50.1, and none is planned; 0.18.0 (wheel): it needs torch >=2.11.0,<=2.12.1, "
            "and torch 2.14.0+rocm7.2 is chosen; 0.4.0 (source): it is of March 2024; the stack axolotl-2024 "
            "has all that goes with it; --pin axolotl==0.4.0 takes it"
        ),
        (
            "Without --with axolotl the rest can be had. 'rocmdoctor recipe show axolotl' shows what each "
            "release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"pins": ("torch==9.9",)},
        (
            "--pin torch==9.9: rocmdoctor knows no such release of torch; there are 2.14.1+rocm7.14 to "
            "2.0.0+rocm5.4.2 (43 releases) (wheel), 2.13.0+rocm10.0.0, 2.12.0+rocm7.14.0 (amd-wheel)"
        ),
        (
            "Without --pin torch==9.9: torch 2.14.0+rocm7.2 from wheel. 'rocmdoctor recipe show torch' shows "
            "what each release is for."
        ),
    ),
    (
        Box(),
        "3.10",
        {"targets": ("axolotl-2024",), "pins": ("torch==2.14.*",)},
        ("--pin 'torch==2.14.*' and the stack do not go together: the stack is held to torch==2.3.1"),
        (
            "Without --pin 'torch==2.14.*': torch 2.3.1+rocm6.0 from wheel. 'rocmdoctor recipe show torch' "
            "shows what each release is for."
        ),
    ),
]


@pytest.mark.parametrize(("box", "python", "wish", "says", "instead"), REFUSALS)
def test_what_cannot_be_says_why_and_what_to_give_up(
    box: Box, python: str, wish: dict[str, Any], says: str, instead: str
) -> None:
    given = dict(wish)
    with pytest.raises(RefusedError) as refused:
        planned(answers(box, python), *given.pop("targets", ("training",)), **given)
    (only,) = refused.value.refusals
    assert (only.says, only.instead) == (says, instead)


MISNAMED: list[tuple[dict[str, Any], str]] = [
    (
        {"pins": ("axolotl==0.21.0",)},
        ("--pin 'axolotl==0.21.0': axolotl is no part of this plan, --with axolotl adds it"),
    ),
    (
        {"pins": ("tourch==2.9.*",)},
        ("--pin 'tourch==2.9.*': no part of this plan is called 'tourch', did you mean 'torch'?"),
    ),
    (
        {"more": ("axolotll",)},
        ("no recipe and no stack is called 'axolotll', did you mean 'axolotl'?"),
    ),
    (
        {"from_source": ("bitsandbites",)},
        (
            "--from-source bitsandbites: no part of this plan is called 'bitsandbites', did you mean "
            "'bitsandbytes'?"
        ),
    ),
]


@pytest.mark.parametrize(("wish", "says"), MISNAMED)
def test_a_component_that_is_no_part_of_the_plan_is_named(wish: dict[str, Any], says: str) -> None:
    with pytest.raises(click.UsageError) as error:
        planned(answers(Box(), "3.10"), "training", **wish)
    assert error.value.message == says


def test_wishes_narrow_and_add() -> None:
    made = planned(
        answers(Box(), "3.12"),
        "training",
        pins=("torch==2.13.*",),
        more=("axolotl",),
        from_source=("bitsandbytes",),
    )
    versions = {name: (c.version, c.source) for name, c in made.choice.items()}
    assert versions["torch"] == ("2.13.0+rocm7.2", "wheel")
    assert versions["axolotl"][0] == "0.21.0"
    assert versions["bitsandbytes"] == ("0.50.1", "source")


def test_an_older_torch_brings_the_rocm_that_builds_fit() -> None:
    made = planned(answers(Box(), "3.10"), "training", pins=("torch==2.9.*",))
    assert made.choice["torch"].version == "2.9.1+rocm6.4"
    assert made.choice["rocm"].version == "6.4.4"
    assert made.choice["flash-attention"].source == "source"


def test_each_newer_release_says_why_it_fell_out() -> None:
    made = planned(answers(Box(), "3.10"), "training")
    others = made.choice["torch"].others
    assert others["2.14.1+rocm7.14 (wheel)"] == "it is made for rocm ==7.14.*, and rocm 7.2.4 is chosen"
    assert (
        made.choice["deepspeed"]
        .others["0.17.5 (source)"]
        .startswith("its op builder returns nothing on ROCm")
    )


def test_an_environment_that_is_there_keeps_its_python() -> None:
    found = answers(Box(), "3.12")
    prefix = "/home/ann/.local/share/rocmdoctor/env"
    found["env:ROCMDOCTOR_ENV"] = {"ok": True, "text": prefix}
    found[f"stat:{prefix}"] = {"ok": True, "text": "dir 0755 ann ann"}
    found[f"read:{prefix}/pyvenv.cfg"] = {"ok": True, "text": "version = 3.11.7\n"}
    found[f"link:{prefix}/bin/python3"] = {"ok": True, "text": "python"}
    with pytest.raises(RefusedError) as refused:
        planned(found, "training", python="3.12")
    assert (
        f"the environment {prefix} has Python 3.11; --env names another one" in refused.value.refusals[0].says
    )


def test_a_part_that_cannot_be_had_is_told_without_the_other_wishes() -> None:
    with pytest.raises(RefusedError) as refused:
        planned(answers(Box(), "3.10"), "training", pins=("torch==2.13.*",), more=("axolotl",))
    (only,) = refused.value.refusals
    assert only.says.startswith("--with axolotl and this machine do not go together: python 3.12 to 3.8")
    assert "axolotl 0.21.0 needs python >=3.12,<3.13" in only.says
    assert "or from uv, which brings its own" in only.instead
