"""Texts as programs print them that stand in no file of known errors, each with the fault that must be named first."""

from __future__ import annotations

WORDINGS: tuple[tuple[str, str], ...] = (
    ("pcie-atomics", "[    4.5] kfd kfd: amdgpu: skipped device 1002:699f, PCI rejects atomics 520<145"),
    (
        "gpu-power-hang",
        "kernel: amdgpu 0000:63:00.0: Unable to change power state from D3hot to D0, device inaccessible",
    ),
    (
        "iommu",
        "[ 99.1] AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:c1:00.0 domain=0x0021 address=0x7f40 flags=0x0020]\n[ 99.2] amdgpu 0000:c1:00.0: amdgpu: GPU reset begin!",
    ),
    ("unsupported-gfx", "kfd kfd: amdgpu: TOPAZ  not supported in kfd"),
    (
        "unsupported-gfx",
        "rocBLAS error: Cannot read /usr/lib/x86_64-linux-gnu/rocblas/4.1.2/library/TensileLibrary.dat: No such file or directory for GPU arch : gfx1150",
    ),
    (
        "unsupported-gfx",
        "torch.AcceleratorError: HIP error: no kernel image is available for execution on the device",
    ),
    ("unsupported-gfx", "ggml_cuda_compute_forward: RMS_NORM failed\nROCm error: invalid device function"),
    ("unsupported-gfx", "clang-20: error: invalid target ID 'gfx1153'; format is a processor name"),
    (
        "ras-ecc",
        "amdgpu 0000:07:00.0: amdgpu: socket: 1 14 uncorrectable hardware errors detected in gfx block",
    ),
    ("ras-ecc", "HW Exception by GPU node-3 (Agent handle: 0x1b7c2d0) reason :ECC"),
    (
        "kernel-too-new",
        "Error! Bad return status for module build on kernel: 6.17.0-5-generic (x86_64)\nConsult /var/lib/dkms/amdgpu/6.14.14-2212064.24.04/build/make.log for more information.",
    ),
    (
        "kernel-too-new",
        "/tmp/amd.kHr3PZ/amd/amdkcl/kcl_drm_fb.c:88:9: error: implicit declaration of function ‘drm_fbdev_ttm_setup’",
    ),
    (
        "kernel-too-new",
        'DKMS make.log for amdgpu-6.3.6-1697589.22.04 for kernel 6.10.3-amd64 (x86_64)\n/var/lib/dkms/amdgpu/6.3.6-1697589.22.04/build/scheduler/gpu_scheduler_trace.h:56:29: error: macro "__assign_str" passed 2 arguments, but takes just 1',
    ),
    ("dkms-build-failure", "modprobe: ERROR: could not insert 'amdgpu': Exec format error"),
    ("dkms-build-failure", "amdgpu: disagrees about version of symbol drm_dev_enter"),
    (
        "dkms-stale-tree",
        "ERROR (dkms apport): kernel package linux-headers-6.5.0-rc1 is not supported\nError! Bad return status for module build on kernel: 6.5.0-rc1 (x86_64)",
    ),
    (
        "dkms-stale-tree",
        "Error! DKMS tree already contains: amdgpu/6.2.4-1683306.22.04\nYou cannot add the same module/version combo more than once.",
    ),
    (
        "dkms-stale-tree",
        "Error! amdgpu/5.18.13 is broken! Missing the source directory or the symbolic link pointing to it.",
    ),
    (
        "missing-headers",
        "Error! Your kernel headers for kernel 6.8.0-1012-oem cannot be found at /lib/modules/6.8.0-1012-oem/build or /lib/modules/6.8.0-1012-oem/source.",
    ),
    (
        "missing-headers",
        "modprobe: FATAL: Module amdgpu not found in directory /lib/modules/6.8.0-1021-azure",
    ),
    ("missing-headers", "E: Unable to locate package linux-headers-6.5.0-14-lowlatency"),
    (
        "secure-boot",
        "insmod: ERROR: could not insert module /lib/modules/6.8.0-31-generic/updates/dkms/amdgpu.ko.zst: Key was rejected by service",
    ),
    ("secure-boot", "Loading of unsigned module is rejected"),
    (
        "module-blacklisted",
        "[    0.0] Booted with the nomodeset parameter. Only the system framebuffer will be available",
    ),
    (
        "module-blacklisted",
        "ROCk module is NOT loaded, possibly no GPU devices\nbob is member of render group",
    ),
    (
        "firmware-missing",
        "amdgpu 0000:c5:00.0: Direct firmware load for amdgpu/psp_14_0_1_toc.bin failed with error -2\namdgpu 0000:c5:00.0: amdgpu: Fatal error during GPU init",
    ),
    (
        "driver-userspace-mismatch",
        "RuntimeError: HIP error: driver version is insufficient for runtime version",
    ),
    (
        "gpu-reset",
        "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring sdma0 timeout, last signaled seq=1679, last emitted seq=1680",
    ),
    ("gpu-reset", "amdgpu 0000:83:00.0: amdgpu: MES failed to respond to msg=ADD_QUEUE"),
    ("gpu-reset", "amdgpu 0000:03:00.0: amdgpu: GPU reset(4) failed"),
    (
        "wsl",
        "WSL environment detected.\nhsa api call failure at: ./rocminfo.cc:1282\nCall returned HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources.",
    ),
    (
        "device-permissions",
        'ROCk module version 6.14.14 is loaded\nUnable to open /dev/kfd read-write: Permission denied\njdoe is not member of "plugdev" group, the default DRM access group.',
    ),
    ("device-permissions", "RuntimeError: No HIP GPUs are available"),
    (
        "docker-device-flags",
        "root is member of nogroup group\nUnable to open /dev/kfd read-write: Permission denied",
    ),
    (
        "docker-device-flags",
        "ROCk module version 6.10.5 is loaded\nUnable to open /dev/kfd read-write: No such file or directory",
    ),
    (
        "docker-device-flags",
        "docker: Error response from daemon: Unable to find group video: no matching entries in group file.",
    ),
    (
        "memlock-or-shm",
        "RuntimeError: DataLoader worker (pid(s) 4242) exited unexpectedly\nERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
    ),
    (
        "memlock-or-shm",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_911_1234_0>: No space left on device (28)",
    ),
    (
        "memlock-or-shm",
        "gpu07:55:71 [3] misc/ibvwrap.cc:262 NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory",
    ),
    (
        "apt-universe-clash",
        " rocm-dev : Depends: rocm-cmake (= 0.14.0.60401-83~22.04) but 5.0.0-1 is to be installed\n            Depends: rocm-utils (= 6.4.1.60401-83~22.04) but it is not going to be installed",
    ),
    (
        "apt-universe-clash",
        "16.16  rocm-hip-runtime : Depends: rocminfo (= 1.0.0.60400-47~22.04) but 5.0.0-1 is to be installed",
    ),
    (
        "apt-universe-clash",
        " trying to overwrite '/usr/bin/rocminfo', which is also in package rocminfo 6.1.2-1",
    ),
    (
        "apt-pin",
        "E: Invalid record in the preferences file /etc/apt/preferences.d/repo-radeon-pin-600, no Package header",
    ),
    (
        "gpg-key",
        "W: GPG error: https://repo.radeon.com/amdgpu/6.2.4/ubuntu jammy InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 9386B48A1A693C5C",
    ),
    (
        "gpg-key",
        "  The following signatures were invalid: EXPKEYSIG 9386B48A1A693C5C James Adrian Edwards (ROCm Release Manager)",
    ),
    (
        "gpg-key",
        "Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C, which is needed to verify signature.",
    ),
    (
        "repo-codename-mismatch",
        "E: The repository 'https://repo.radeon.com/rocm/apt/6.4.1 oracular Release' does not have a Release file.",
    ),
    (
        "repo-codename-mismatch",
        "Err:5 https://repo.radeon.com/amdgpu/6.9/ubuntu noble Release\n  404  Not Found [IP: 13.82.220.49 443]\nE: The repository 'https://repo.radeon.com/amdgpu/6.9/ubuntu noble Release' no longer has a Release file.",
    ),
    (
        "repo-codename-mismatch",
        " hipsolver : Depends: libcholmod3 but it is not installable\n             Depends: libsuitesparseconfig5 but it is not installable",
    ),
    ("repo-codename-mismatch", " rocm-gdb : Depends: libpython3.10 (>= 3.10.0) but it is not installable"),
    (
        "mixed-rocm-versions",
        "HIP version: 6.4.43482-0f2d60242\nPackage: rocm-libs\nVersion: 6.2.4.60204-139~22.04",
    ),
    (
        "mixed-rocm-versions",
        " rocm-hip-sdk : Depends: rocm-core (= 7.0.0.70000-17~24.04) but 6.4.3.60403-128~24.04 is to be installed",
    ),
    (
        "mixed-rocm-versions",
        "/usr/bin/ld: warning: libamdhip64.so.6, needed by /opt/rocm/lib/librccl.so, may conflict with libamdhip64.so.7",
    ),
    (
        "half-configured-dpkg",
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. ",
    ),
    (
        "half-configured-dpkg",
        "dpkg: error processing package rocm-opencl-runtime (--configure):\n dependency problems - leaving unconfigured",
    ),
    (
        "missing-libstdcxx-dev",
        "/opt/rocm-7.0.0/lib/llvm/lib/clang/20/include/cuda_wrappers/cmath:27:15: fatal error: 'cmath' file not found",
    ),
    (
        "missing-libstdcxx-dev",
        "/opt/rocm/include/hip/amd_detail/host_defines.h:26:10: fatal error: 'type_traits' file not found",
    ),
    (
        "nvidia-leftovers",
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
    ),
    ("nvidia-leftovers", "dpkg: error processing package nvidia-dkms-550 (--configure):"),
    ("disk-full", "tar: ./lib/rocblas/library: Cannot write: No space left on device"),
    ("disk-full", "OSError: [Errno 122] Disk quota exceeded: '/home/bob/.cache/pip/http'"),
    ("hsa-override-wrong", "HSA_OVERRIDE_GFX_VERSION 10.3 is invalid"),
    ("hip-visible-devices", "HIP error: invalid device ordinal"),
    (
        "hip-visible-devices",
        "    amdgcn-amd-amdhsa--gfx1201 - [Found]\n    amdgcn-amd-amdhsa--gfx1036 - [Not Found]\nhipErrorNoBinaryForGpu: Unable to find code object for all current devices!",
    ),
    ("hip-platform-nvidia", "HIP_PLATFORM : nvidia\nHIP_RUNTIME  : cuda"),
    (
        "hip-platform-nvidia",
        "In file included from /opt/rocm/include/hip/nvidia_detail/nvidia_hip_runtime.h:28:\nfatal error: 'cuda_runtime.h' file not found",
    ),
    (
        "ld-library-path",
        "ImportError: /opt/rocm-6.0.2/lib/libamdhip64.so.6: version `hip_6.2' not found (required by /x/torch/lib/libtorch_hip.so)",
    ),
    (
        "ld-library-path",
        "ImportError: /opt/rocm-7.2.0/lib/libMIOpen.so.1: undefined symbol: _ZN2ck16tensor_operation6device8instance59add_device",
    ),
    (
        "conda-libstdcxx",
        "ImportError: /home/bob/anaconda3/lib/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /opt/rocm/lib/librocm_smi64.so.7)",
    ),
    (
        "rocm-home-unresolved",
        "clang++: error: cannot find HIP runtime; provide its path via '--rocm-path', or pass '-nogpuinc' to build without HIP runtime",
    ),
    ("rocm-home-unresolved", "/bin/sh: 1: hipcc: not found"),
    (
        "rocm-home-unresolved",
        "  The ROCm root directory:\n   /usr\n  does not contain the HIP runtime CMake package, expected at one of:",
    ),
    (
        "miopen-cache",
        "MIOpen Error: /src/sqlite_db.cpp:129: Internal error while accessing SQLite database: attempt to write a readonly database",
    ),
    ("cuda-torch-installed", "AssertionError: Torch not compiled with CUDA enabled"),
    (
        "cuda-torch-installed",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
    ),
    (
        "cuda-torch-installed",
        "ImportError: libcudart.so.13: cannot open shared object file: No such file or directory",
    ),
    (
        "cuda-torch-installed",
        "  File \"/tmp/pip-build-env-x1/setup.py\", line 20\nModuleNotFoundError: No module named 'torch'",
    ),
    (
        "torch-overwritten-by-pip",
        "Collecting nvidia-cuda-runtime-cu12==12.4.127\n  Attempting uninstall: torch\n    Found existing installation: torch 2.6.0+rocm6.2.4\n    Uninstalling torch-2.6.0+rocm6.2.4:",
    ),
    (
        "torch-overwritten-by-pip",
        "torchaudio 2.7.1+rocm6.3 requires torch==2.7.1, but you have torch 2.8.0 which is incompatible.",
    ),
    ("torch-overwritten-by-pip", "RuntimeError: operator torchvision::nms does not exist"),
    (
        "torch-rocm-mismatch",
        '  File "/x/site-packages/torch/__init__.py", line 443, in <module>\n    from torch._C import *\nImportError: librocprofiler-sdk.so.1: cannot open shared object file: No such file or directory',
    ),
    (
        "torch-rocm-mismatch",
        "ImportError: libhipsolver.so.0: cannot open shared object file: No such file or directory",
    ),
    (
        "python-version-no-wheel",
        "ERROR: Could not find a version that satisfies the requirement torchaudio==2.1.2+rocm5.6 (from versions: none)",
    ),
    (
        "python-version-no-wheel",
        "ERROR: torch-2.3.0+rocm6.2-cp39-cp39-linux_x86_64.whl is not a supported wheel on this platform.",
    ),
    (
        "python-version-no-wheel",
        "ERROR: Package 'unsloth' requires a different Python: 3.14.0 not in '<3.14,>=3.9'",
    ),
    (
        "triton-mismatch",
        "RuntimeError: 2 active drivers ([<class 'CudaDriver'>, <class 'HIPDriver'>]). There should only be one.",
    ),
    ("triton-mismatch", "AssertionError: libcuda.so cannot found!"),
    ("missing-device-wheel", "ModuleNotFoundError: No module named '_rocm_sdk_libraries_gfx94X_dcgpu'"),
    (
        "hipblaslt-arch",
        "RuntimeError: CUDA error: HIPBLAS_STATUS_NOT_SUPPORTED when calling `hipblasLtMatmul( ltHandle, computeDesc.descriptor()`",
    ),
    ("hipblaslt-arch", "rocblaslt error: Could not initialize Tensile library"),
    (
        "glibc-too-old",
        "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by ./rocm-smi)",
    ),
    (
        "glibc-too-old",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.33' not found (required by /x/libhipblaslt.so)",
    ),
    (
        "bnb-missing-rocm-lib",
        "Configured ROCm binary not found at /srv/v/lib/python3.13/site-packages/bitsandbytes/libbitsandbytes_rocm714.so",
    ),
    (
        "bnb-missing-rocm-lib",
        "Could not find the bitsandbytes CUDA binary at PosixPath('/x/bitsandbytes/libbitsandbytes_hip_nohipblaslt.so')\nCould not load bitsandbytes native library: /x/bitsandbytes/libbitsandbytes_cpu.so: cannot open shared object file: No such file or directory\nCUDA Setup failed despite CUDA being available. Please run the following command to get more information:",
    ),
    (
        "bnb-cuda-build",
        "RuntimeError: CUDA Setup failed despite GPU being available. Please run the following command to get more information:",
    ),
    (
        "bnb-cuda-build",
        "Could not load bitsandbytes native library: 'NoneType' object has no attribute 'split'",
    ),
    (
        "bnb-rocm-mismatch",
        "OSError: /x/bitsandbytes/libbitsandbytes_rocm62.so: undefined symbol: hipblasLtMatmulPreferenceCreate",
    ),
    (
        "bnb-rocm-mismatch",
        "Could not load bitsandbytes native library: libhipblas.so.2: cannot open shared object file: No such file or directory",
    ),
    (
        "bnb-stale-branch",
        "OSError: /x/bitsandbytes/libbitsandbytes_rocm70.so: undefined symbol: _Z36__device_stub__kOptimizer32bit1StateI12hip_bfloat16Li2EEvPT_",
    ),
    ("bnb-stale-branch", "AttributeError: module 'bitsandbytes.nn' has no attribute 'Linear4bit'"),
    ("flash-attn-arch", "RuntimeError: FlashAttention only supports AMD MI300 GPUs."),
    ("flash-attn-arch", "RuntimeError: FlashAttention only supports Ampere GPUs or newer."),
    (
        "flash-attn-oom-build",
        "clang++: error: unable to execute command: Killed\nninja: build stopped: subcommand failed.",
    ),
    ("flash-attn-oom-build", "Memory cgroup out of memory: Killed process 811 (clang-18) total-vm:7340032kB"),
    (
        "deepspeed-nvcc",
        "deepspeed.ops.op_builder.builder.MissingCUDAException: CUDA_HOME does not exist, unable to compile CUDA op(s)",
    ),
    (
        "deepspeed-nvcc",
        "  File \"/x/deepspeed/ops/op_builder/builder.py\", line 43, in installed_cuda_version\nFileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda-12/bin/nvcc'",
    ),
    (
        "deepspeed-rocm-detect",
        "FileNotFoundError: [Errno 2] No such file or directory: '/opt/rocm/.info/version-dev'",
    ),
    ("xformers-hip", "xFormers wasn't build with CUDA support"),
    (
        "xformers-hip",
        "NotImplementedError: No operator found for `memory_efficient_attention_backward` with inputs:",
    ),
    (
        "hip-out-of-memory",
        "RuntimeError: HIP out of memory. Tried to allocate 20.00 MiB (GPU 0; 11.98 GiB total capacity)",
    ),
    ("hip-out-of-memory", "hipErrorOutOfMemory: out of memory"),
    (
        "gpu-memory-access-fault",
        "ollama  | Memory access fault by GPU node-1 (Agent handle: 0x559ee9967590) on address 0x7fe05f439000. Reason: Page not present or supervisor privilege.",
    ),
    (
        "gpu-memory-access-fault",
        "amdgpu 0000:c2:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:24 vmid:8 pasid:32773)",
    ),
    (
        "compiler-failure",
        "ld.lld: error: relocation R_X86_64_32 out of range: 4295032832 is not in [0, 4294967295]",
    ),
    ("compiler-failure", "error: local memory (81920) exceeds limit (65536) in function 'kernel'"),
    (
        "compiler-failure",
        "fatal error: error in backend: Cannot select: intrinsic %llvm.amdgcn.mfma.f32.16x16x16bf16.1k",
    ),
    (
        "rccl",
        "RuntimeError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/NCCLUtils.cpp:77, unhandled system error",
    ),
    ("rccl", "node1:1:9 [0] NCCL WARN Duplicate GPU detected : rank 3 and rank 2 both on CUDA device 43000"),
    (
        "iommu",
        'NCCL WARN Missing "iommu=pt" from kernel command line which can lead to system instablity or hang!',
    ),
    (
        "bnb-wave32",
        '  File "/x/bitsandbytes/functional.py", line 900, in quantize_blockwise\n    assert blocksize in [4096, 2048, 1024, 512, 256, 128]\nAssertionError',
    ),
    (
        "gpg-key",
        "Sub-process /usr/bin/sqv returned an error code (1), error message is: Signing key on CA8BB4727A47B4D09B4EE8969386B48A1A693C5C is bad: The primary key is not live because: Expired on 2026-01-01T00:00:00Z",
    ),
    (
        "gpg-key",
        "W: OpenPGP signature verification failed: https://repo.radeon.com/rocm/apt/6.4.3 noble InRelease: Sub-process /usr/bin/sqv returned an error code (1), error message is: Signing key on CA8BB4727A47B4D09B4EE8969386B48A1A693C5C is not bound: No binding signature at time 2025-08-07T19:56:47Z",
    ),
    ("unsupported-gfx", "kfd kfd: amdgpu: device 1002:1636 NOT added due to errors"),
    (
        "unsupported-gfx",
        "RuntimeError: Triton Error [HIP]:  Code: 209, Messsage: no kernel image is available for execution on the device",
    ),
    (
        "compiler-failure",
        "csrc/a.hip:3:1: error: unknown type name 'foo'\n2 errors generated when compiling for gfx942.",
    ),
    ("compiler-failure", "LLVM ERROR: Cannot emit physreg copy instruction"),
    ("deepspeed-nvcc", "AssertionError: Unable to pre-compile async_io"),
    ("python-version-no-wheel", "ERROR: No matching distribution found for torch==2.9.1+rocm6.4"),
    (
        "device-permissions",
        "WARNING: User is missing the following required groups: render. Please add user to these groups.",
    ),
    (
        "miopen-cache",
        "MIOpen(HIP): Error [FlushUnsafe] Temp file is unwritable: /root/.config/miopen/gfx90a.ufdb.txt.temp",
    ),
    (
        "rocm-home-unresolved",
        "/src/kernel.hip:2:10: fatal error: 'hip/hip_fp16.h' file not found\n1 error generated when compiling for gfx90a.",
    ),
    (
        "rocm-home-unresolved",
        "clang-11: error: cannot find ROCm installation.  Provide its path via --rocm-path, or pass -nogpulib.",
    ),
    ("unsupported-gfx", "loc(\"/x/y.py\":10:0): error: unsupported target: 'gfx1036'"),
    (
        "dkms-stale-tree",
        " trying to overwrite '/usr/share/dkms/x.sh', which is also in package rock-dkms 1:4.5.2",
    ),
)

# What programs print when all is well, or as good as: no line of these may be taken for a fault.
HARMLESS: tuple[str, ...] = (
    "UserWarning: Attempting to use hipBLASLt on an unsupported architecture! Overriding blas backend to hipblas",
    "amdgpu: module verification failed: signature and/or required key missing - tainting kernel",
    "W: Possible missing firmware /lib/firmware/amdgpu/ip_discovery.bin for module amdgpu",
    "amdgpu 0000:03:00.0: Direct firmware load for amdgpu/isp_4_1_1.bin failed with error -2\n[drm] Initialized amdgpu 3.57.0",
    "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring gfx_0.0.0 timeout, but soft recovered",
    "amdgpu 0000:c1:00.0: amdgpu: no uncorrectable hardware errors detected in umc block",
    "amdgpu 0000:c1:00.0: amdgpu: 3 correctable hardware errors detected in umc block, no user action is needed.",
    "[drm] amdgpu kernel modesetting enabled.\nkfd kfd: amdgpu: added device 1002:740f",
    "amdgpu 0000:03:00.0: amdgpu: SMU is initialized successfully!",
    "PKCS#7 signature not signed with a trusted key",
    "/opt/amdgpu/share/libdrm/amdgpu.ids: No such file or directory",
    "-- Could NOT find HIP (missing: HIP_DIR)\n-- Looking for pthread.h - found\n-- Configuring done",
    "N: Skipping acquire of configured file 'main/binary-i386/Packages' as repository 'https://repo.radeon.com/rocm/apt/6.4 noble InRelease' doesn't support architecture 'i386'",
    "W: https://repo.radeon.com/rocm/apt/5.7/dists/jammy/InRelease: Key is stored in legacy trusted.gpg keyring (/etc/apt/trusted.gpg), see the DEPRECATION section in apt-key(8) for details.",
    "0 upgraded, 42 newly installed, 0 to remove and 3 not upgraded.",
    "Setting up rocm-llvm (18.0.0.24491.60304-76~24.04) ...\nProcessing triggers for libc-bin (2.39-0ubuntu8.4) ...",
    "amdgpu/6.12.12-2164967.24.04, 6.8.0-60-generic, x86_64: installed (Original modules exist)",
    "Building for 6.8.0-60-generic\nBuilding initial module for 6.8.0-60-generic\nDone.\namdgpu.ko.zst:\nRunning module version sanity check.",
    "MIOpen(HIP): Warning [ParseAndLoadDb] File is unreadable: /opt/rocm/share/miopen/db/gfx90a68.HIP.fdb.txt",
    "UserWarning: Flash Efficient attention on Current AMD GPU is still experimental. Enable it with TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL=1.",
    "[INFO] [real_accelerator.py:203:get_accelerator] Setting ds_accelerator to cuda (auto detect)\n [WARNING]  sparse_attn is not compatible with ROCM",
    "async_io ............... [NO] ....... [NO]\nfused_adam ............. [NO] ....... [OKAY]",
    "NCCL WARN NUMA auto balancing enabled which can lead to variability in the RCCL performance!",
    "NCCL INFO Connected all rings\nNCCL INFO comm 0x55 rank 0 nranks 8 cudaDev 0 busId c1000 - Init COMPLETE",
    "Installing collected packages: pytorch-triton-rocm, torch\n  Attempting uninstall: torch\n    Found existing installation: torch 2.8.0+rocm6.4\n    Uninstalling torch-2.8.0+rocm6.4:\nSuccessfully installed pytorch-triton-rocm-3.5.1 torch-2.9.1+rocm6.4",
    "Requirement already satisfied: torch==2.9.1+rocm6.4 in ./lib/python3.12/site-packages (2.9.1+rocm6.4)",
    "1 warning generated when compiling for gfx90a.\n[130/130] hipcc -shared -o flash_attn_2_cuda.so",
    "kernel.hip:10:5: warning: ignoring return value of function declared with 'nodiscard' attribute [-Wunused-result]",
    "{'loss': 1.82, 'grad_norm': 0.61, 'learning_rate': 0.0002, 'epoch': 0.1}\n{'loss': 1.79, 'errors': 0, 'failed': 0}",
    "PLAY RECAP ****\nbox : ok=12 changed=3 unreachable=0 failed=0",
    "HSA_STATUS_SUCCESS: The function has been executed successfully.",
    "HIP version  : 6.4.43483-a187df25c\nHIP_PLATFORM : amd\nVersion: 6.4.1.60401-83~24.04",
    "Filesystem      Size  Used Avail Use% Mounted on\n/dev/nvme0n1p2  1.8T  900G  850G  52% /",
    "crw-rw---- 1 root render 235, 0 Nov 26 10:00 /dev/kfd",
    "max locked memory           (kbytes, -l) unlimited",
    "PyTorch version: 2.9.1+rocm6.4\nCUDA used to build PyTorch: N/A\nROCM used to build PyTorch: 6.4.43484\nIs CUDA available: True",
    "PyTorch version: 2.5.1+cu124\nCUDA used to build PyTorch: 12.4\nROCM used to build PyTorch: N/A\nIs CUDA available: True",
    "bitsandbytes library loaded: libbitsandbytes_rocm64.so\nSUCCESS!",
    "A matching Triton is available",
    "Audit: https://repo.radeon.com/rocm/apt/6.4.3/dists/noble/InRelease: Sub-process /usr/bin/sqv returned an error code (1), error message is:\n   Signing key on CA8BB4727A47B4D09B4EE8969386B48A1A693C5C is not bound:\n              No binding signature at time 2025-09-18T22:16:53Z",
    "W: https://repo.radeon.com/rocm/apt/6.4.3/dists/noble/InRelease: Policy will reject signature within a year, see --audit for details",
    "amdgpu: Runlist is getting oversubscribed. Expect reduced ROCm performance.",
    "WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status",
    'CMake Warning at CMakeLists.txt:12 (find_package):\n  Could not find a package configuration file provided by "rccl" with any of the following names:',
    "[1/9] Generating x.hip\n3 warnings generated when compiling for gfx90a.\n[9/9] Linking",
)
