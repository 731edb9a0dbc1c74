"""DeepSeek-VL2 (arXiv 2412.10302) as transformers classes, in the released on-disk format.

Importing the package registers its classes: ``AutoConfig``, ``AutoModelForCausalLM``,
``AutoModelForImageTextToText`` and ``AutoProcessor`` then load released checkpoints without
remote code.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from deepseek_vl_v2.configuration import (
    DeepseekVLV2Config,
    DeepseekVLV2ProjectorConfig,
    DeepseekVLV2TextConfig,
    DeepseekVLV2VisionConfig,
)
from deepseek_vl_v2.decoder import DeepseekVLV2TextForCausalLM, DeepseekVLV2TextModel
from deepseek_vl_v2.format.template import PromptError
from deepseek_vl_v2.modeling import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.processing import DeepseekVLV2Processor, ProcessedSample

AutoConfig.register(DeepseekVLV2Config.model_type, DeepseekVLV2Config, exist_ok=True)
for auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText):
    auto_class.register(DeepseekVLV2Config, DeepseekVLV2ForCausalLM, exist_ok=True)
AutoProcessor.register(DeepseekVLV2Config, DeepseekVLV2Processor, exist_ok=True)
del auto_class

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
