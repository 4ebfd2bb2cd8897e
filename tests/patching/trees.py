"""Small trees of sources, ours, with the shapes that the state.py files tell apart; no line of them is upstream's.

`GUARD`, `NARROW` and so on name what differs. A patch of ours changes them as it changes the real files.
"""

from __future__ import annotations

from rocmdoctor.content import bundled, load_patches

PROJECTS = load_patches((bundled(),))

COMPARE = """\
def assert_no_cuda_mismatch(name=""):
    major, minor = installed_cuda_version(name)
    if f"{major}.{minor}" != torch.version.cuda:
        raise CUDAMismatchException(name)
    return True
"""
# What the post of March 2024 put in its place: its own words are not repeated, only what it does.
FALSE = """\
def assert_no_cuda_mismatch(name=""):
    if torch.cuda.is_available():
        found = installed_cuda_version(name)
        if torch.version.cuda is None:
            return False
        if found != torch.version.cuda:
            raise CUDAMismatchException(name)
    return True
"""
SILENT = 'def assert_no_cuda_mismatch(name=""):\n    print("whatever")\n    return True\n'
_CLASS = """\


class OpBuilder:

    @staticmethod
    def is_rocm_pytorch():
        return torch.version.hip is not None

{flag}

class TorchCPUOpBuilder(OpBuilder):
    pass
"""
NARROW = """\
    def is_cuda_enable(self):
        try:
            assert_no_cuda_mismatch(self.name)
            return '-D__ENABLE_CUDA__'
        except MissingCUDAException:
            return '-D__DISABLE_CUDA__'
"""
BROAD = NARROW.replace("MissingCUDAException", "BaseException")
FIXED = """\
    def get_cuda_compile_flag(self):
        try:
            if not self.is_rocm_pytorch():
                assert_no_cuda_mismatch(self.name)
                return "-D__ENABLE_CUDA__"
        except MissingCUDAException:
            return "-D__DISABLE_CUDA__"
        return "-D__DISABLE_CUDA__"
"""
NO_RETURN = FIXED.rpartition("        return")[0]
OTHER_GUARD = FIXED.replace("get_cuda_compile_flag", "is_cuda_enable")
ENABLES = NARROW.replace(
    "        try:\n",
    "        if self.is_rocm_pytorch():\n            return '-D__ENABLE_CUDA__'\n        try:\n",
).replace("-D__DISABLE_CUDA__", "-D__OTHER__")
NO_GUARD_TO_ASK = NARROW


def builder(flag: str = NARROW, compare: str = COMPARE) -> str:
    """op_builder/builder.py."""
    return compare + _CLASS.format(flag=flag)


def sdist(flag: str = NARROW, compare: str = COMPARE, version: str = "0.14.0") -> dict[str, str]:
    """An unpacked sdist of DeepSpeed: the builder lies in it twice."""
    text = builder(flag, compare)
    return {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: deepspeed\nVersion: {version}\n\nAbout.\n",
        "version.txt": f"{version}\n",
        "op_builder/builder.py": text,
        "deepspeed/ops/op_builder/builder.py": text,
    }


# ---------------------------------------------------------------- axolotl

_READ = """\
import platform
from importlib.metadata import PackageNotFoundError, version
from setuptools import setup


def parse_requirements({given}):
    _install_requires = []
    _dependency_links = []
    with open("./requirements.txt", encoding="utf-8") as requirements_file:
        for line in requirements_file:
            _install_requires.append(line.strip())

    try:
{body}
    except PackageNotFoundError:
        pass
{blank}    return {handed}


setup(name="axolotl", version="{version}")
"""
_EXACT = """\
        if "Darwin" in platform.system():
            _install_requires.pop(_install_requires.index("xformers==0.0.22"))
        else:
            torch_version = version("torch")
            if not torch_version:
                raise ValueError("Invalid version format")

            if (major, minor) >= (2, 1):
                _install_requires.pop(_install_requires.index("xformers==0.0.22"))
                _install_requires.append("xformers>=0.0.23")"""
_SOUGHT = """\
        xformers_version = [req for req in _install_requires if "xformers" in req][0]
        _install_requires.pop(_install_requires.index(xformers_version))
        _install_requires.append("xformers==0.0.28.post3")"""
_TWO = "_install_requires, _dependency_links"
LINES = "packaging==23.2\neinops\n{}optimum==1.16.2\n"
FLASH = """\
from flash_attn.bert_padding import (
    pad_input,
)
from xformers.ops import SwiGLU

from axolotl.monkeypatch.utils import set_module_name


def is_xformers_swiglu_available() -> bool:
    from xformers.ops.common import get_xformers_operator

    return bool(get_xformers_operator("swiglu_packedw"))


class FusedMLP:
    def __init__(self):
        self.swiglu = SwiGLU()
"""
FLASH_PATH = "src/axolotl/monkeypatch/llama_attn_hijack_flash.py"
BUILD_PATH = "src/setuptools_axolotl_dynamic_dependencies.py"
FLASH_LATER = "from flash_attn.bert_padding import pad_input\n\n\ndef flash():\n    from axolotl.monkeypatch.xformers_ import FusedMLP\n"


def march_2024() -> dict[str, str]:
    """As axolotl was in March 2024."""
    setup = _READ.format(given="", body=_EXACT, blank="\n", handed=_TWO, version="0.4.0")
    return {"setup.py": setup, "requirements.txt": LINES.format("xformers==0.0.22\n"), FLASH_PATH: FLASH}


def later(version: str, *, extras: bool = False, twice: bool = False) -> dict[str, str]:
    """As it was from 0.5 on."""
    handed = f"{_TWO}, extras_require_map" if extras else _TWO
    given = "extras_require_map" if extras else ""
    tree = {
        "setup.py": _READ.format(given=given, body=_SOUGHT, blank="", handed=handed, version=version),
        "requirements.txt": LINES.format("xformers>=0.0.23.post1\n"),
        FLASH_PATH: FLASH_LATER,
    }
    if twice:
        tree[BUILD_PATH] = _READ.format(given="", body=_SOUGHT, blank="", handed=_TWO, version=version)
    return tree


_FLASH_SETUP = """\
def build_for_rocm():
    archs = os.getenv("GPU_ARCHS", "native").split(";")
    cc_flag = [f"--offload-arch={{arch}}" for arch in archs]

    sources = ["csrc/flash_attn_rocm/flash_api.cpp"]
    ext_modules.append(
        CUDAExtension(
            name="flash_attn_2_cuda",
            sources=sources,
            extra_compile_args={{"nvcc": ["-O3"] + cc_flag}},
            include_dirs=[
                Path(this_dir) / "csrc" / "flash_attn_rocm" / "src",
{folders}            ],
        )
    )
"""
_KERNELS = """\
                Path(this_dir)
                / "csrc"
                / "flash_attn_rocm"
                / "composable_kernel"
                / "include",
                Path(this_dir)
                / "csrc"
                / "flash_attn_rocm"
                / "composable_kernel"
                / "library"
                / "include",
"""


def flash_fork(folders: str = _KERNELS) -> dict[str, str]:
    """A checkout of ROCm's fork of flash-attention."""
    return {
        "setup.py": _FLASH_SETUP.format(folders=folders),
        "flash_attn/__init__.py": '__version__ = "2.0.4"\n',
    }
