"""``dvl2 train`` with accelerate's FSDP2 on CPU processes, where accelerate itself takes DDP."""

from __future__ import annotations

import os
from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

os.environ |= {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "DecoderLayer",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
begin = state.AcceleratorState.__init__


def begin_sharded(self: Any, *args: Any, **options: Any) -> None:
    begin(self, *args, **options)
    if options.get("fsdp_plugin") is not None:
        self.distributed_type = DistributedType.FSDP
        self.fsdp_plugin = options["fsdp_plugin"]


if __name__ == "__main__":
    state.AcceleratorState.__init__ = begin_sharded
    from dvl2_cli.app import main
    from dvl2_cli.finetuning.network import TrainingNetwork

    forward = TrainingNetwork.forward

    def checked(self: Any, *args: Any) -> Any:
        from torch.distributed.tensor import DTensor

        assert self.sharded
        layers = self.model.language.model.layers
        assert all(isinstance(parameter, DTensor) for parameter in layers[0].parameters())
        return forward(self, *args)

    TrainingNetwork.forward = checked  # type: ignore[method-assign, assignment]
    main()
