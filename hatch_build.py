"""Builds the CPU kernels into the wheel where a C++ compiler exists.

Without one the install succeeds all the same, and dvl2 decodes in torch.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("models/deepseek_vl_v2/kernels")


class KernelBuildHook(BuildHookInterface):
    """Compiles beside the sources, which serves editable installs too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library; ``version`` is "standard" or "editable"."""
        if self.target_name != "wheel":
            return
        builder = _load(Path(self.root) / KERNELS / "build.py")
        try:
            library = builder.build()
        except builder.BuildError as error:
            self.app.display_warning(f"dvl2's CPU kernels are left out: {error}")
            return
        build_data["artifacts"].append(f"/{KERNELS}/{library.name}")
        build_data["pure_python"] = False
        # ctypes needs no Python ABI: the wheel depends on the platform alone.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _load(path: Path) -> ModuleType:
    # By path: importing the package would import torch, which a build does not have.
    spec = importlib.util.spec_from_file_location("dvl2_kernel_build", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
