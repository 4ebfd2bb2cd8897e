"""Wheels with the names, versions and requirements of others and next to nothing in them, for real installers to install."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

NO_FILES: Mapping[str, str] = {}


def wheel(
    folder: Path, name: str, version: str, requires: Sequence[str] = (), files: Mapping[str, str] = NO_FILES
) -> Path:
    """A wheel for any Python that holds these files, path to text, else one module of its name."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    told = "".join(f"Requires-Dist: {text}\n" for text in requires)
    inside = {
        **(files or {f"{name.replace('-', '_')}/__init__.py": f"__version__ = '{version}'\n"}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{told}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: stand-in\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in inside.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in inside.items():
            archive.writestr(place, text)
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def torch_files(version: str, hip: str | None = None, cuda: str | None = None) -> dict[str, str]:
    """The files that a torch is told by: for ROCm, for CUDA, or for processors alone."""
    kinds = ["cpu", *(["hip"] if hip else []), *(["cuda"] if cuda else [])]
    hold = {f"torch/lib/libtorch_{kind}.so": f"a stand-in for {kind} of {version}\n" for kind in kinds}
    if hip:
        hold["torch/lib/libamdhip64.so"] = "a stand-in\n"
    said = f"__version__ = '{version}'\nhip = {hip!r}\ncuda = {cuda!r}\n"
    return {"torch/__init__.py": "from torch.version import __version__\n", "torch/version.py": said, **hold}


def triton_files(version: str, words: str = "") -> dict[str, str]:
    """The module that several distributions bring under one name."""
    return {
        "triton/__init__.py": f"__version__ = '{version}'\n# {words}\n",
        "triton/_C/libtriton.so": f"a stand-in, {words}\n",
        "triton/backends/amd/driver.py": "\n",
    }


def rocm_stack(folder: Path) -> None:
    """torch 2.9.1 for ROCm 6.4 with all that its index has beside it, of the versions of its recipe."""
    wheel(
        folder, "torch", "2.9.1+rocm6.4",
        ("pytorch-triton-rocm==3.5.1",), torch_files("2.9.1+rocm6.4", hip="6.4.43484-123eb5128"),
    )  # fmt: skip
    wheel(folder, "pytorch-triton-rocm", "3.5.1", (), triton_files("3.5.1", "of ROCm"))
    for name, version in (("torchvision", "0.24.1+rocm6.4"), ("torchaudio", "2.9.1+rocm6.4")):
        wheel(folder, name, version, ("torch==2.9.1",), {f"{name}/version.py": f"__version__ = '{version}'\n",
                                                         f"{name}/__init__.py": ""})  # fmt: skip


def pypi(folder: Path) -> None:
    """What PyPI has under the same names: builds for CUDA, and what asks for them."""
    asked = ("triton==3.7.0", "nvidia-cublas-cu13==13.1.0", "nvidia-nccl-cu13==2.28.3")
    for version in ("2.9.1", "2.13.0"):
        wheel(folder, "torch", version, asked, torch_files(version, cuda="13.0"))
    for version in ("3.5.1", "3.7.0"):
        wheel(folder, "triton", version, (), triton_files(version, "of PyPI"))
    wheel(folder, "nvidia-cublas-cu13", "13.1.0")
    wheel(folder, "nvidia-nccl-cu13", "2.28.3")
    wheel(folder, "xformers", "0.0.35", ("torch>=2.10", "numpy"))
    wheel(folder, "bitsandbytes", "0.44.0", ("torch", "numpy"))
    wheel(folder, "kindly", "1.0", ("torch>=2.0", "xformers>=0.0.30", "numpy"))
    wheel(folder, "axolotl", "0.21.0", ("torch==2.13.0", "xformers>=0.0.34", "triton>=3.0", "numpy", "small"))
    wheel(folder, "numpy", "2.3.0")
    wheel(folder, "small", "1.0", ("numpy",))
