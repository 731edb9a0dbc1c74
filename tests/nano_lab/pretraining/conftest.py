"""The small conversations of fine-tuning's tests."""

from tests.finetuning.conftest import data

__all__ = ["data"]
