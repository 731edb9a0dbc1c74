"""What commands report: one envelope, one shape per command, published under docs/schemas."""

from dvl2_cli.results.caption import CaptionResult
from dvl2_cli.results.chat import ChatResult
from dvl2_cli.results.envelope import Envelope, ModelRecord, Source, UsageTotals
from dvl2_cli.results.ground import FoundObject, GroundResult, RejectedBox, Span
from dvl2_cli.results.lines import json_document, json_line, write_json_line
from dvl2_cli.results.ocr import Block, OcrResult, Quality, Table

__all__ = [
    "Block",
    "CaptionResult",
    "ChatResult",
    "Envelope",
    "FoundObject",
    "GroundResult",
    "ModelRecord",
    "OcrResult",
    "Quality",
    "RejectedBox",
    "Source",
    "Span",
    "Table",
    "UsageTotals",
    "json_document",
    "json_line",
    "write_json_line",
]
