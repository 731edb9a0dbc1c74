"""DeepSeek-VL2 (arXiv 2412.10302) as transformers classes, in the released on-disk format.

Importing the package registers its classes: ``AutoConfig``, ``AutoModelForCausalLM``,
``AutoModelForImageTextToText`` and ``AutoProcessor`` then load released checkpoints without
remote code. Nothing heavy is imported for that: classes are registered once transformers is
imported, and loaded when first asked for. ``deepseek_vl_v2.format`` needs neither torch nor
transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepseek_vl_v2.registering import import_classes, register_with_transformers

if TYPE_CHECKING:
    from deepseek_vl_v2.configuration import (
        DeepseekVLV2Config,
        DeepseekVLV2ProjectorConfig,
        DeepseekVLV2TextConfig,
        DeepseekVLV2VisionConfig,
    )
    from deepseek_vl_v2.format.template import PromptError
    from deepseek_vl_v2.modeling import DeepseekVLV2ForCausalLM
    from deepseek_vl_v2.pretrained_decoder import (
        DeepseekVLV2TextForCausalLM,
        DeepseekVLV2TextModel,
    )
    from deepseek_vl_v2.processing import DeepseekVLV2Processor, ProcessedSample

__all__ = [
    "DeepseekVLV2Config",
    "DeepseekVLV2ForCausalLM",
    "DeepseekVLV2Processor",
    "DeepseekVLV2ProjectorConfig",
    "DeepseekVLV2TextConfig",
    "DeepseekVLV2TextForCausalLM",
    "DeepseekVLV2TextModel",
    "DeepseekVLV2VisionConfig",
    "ProcessedSample",
    "PromptError",
]

_MODULES = {
    "DeepseekVLV2Config": "configuration",
    "DeepseekVLV2ForCausalLM": "modeling",
    "DeepseekVLV2Processor": "processing",
    "DeepseekVLV2ProjectorConfig": "configuration",
    "DeepseekVLV2TextConfig": "configuration",
    "DeepseekVLV2TextForCausalLM": "pretrained_decoder",
    "DeepseekVLV2TextModel": "pretrained_decoder",
    "DeepseekVLV2VisionConfig": "configuration",
    "ProcessedSample": "processing",
    "PromptError": "format.template",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _MODULES[name].startswith("format."):
        import_classes()
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


register_with_transformers()
