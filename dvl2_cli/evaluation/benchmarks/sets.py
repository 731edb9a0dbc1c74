"""The benchmarks by their names on the command line."""

from __future__ import annotations

from dvl2_cli.evaluation.benchmarks.chartqa import CHARTQA
from dvl2_cli.evaluation.benchmarks.docvqa import DOCVQA, INFOVQA
from dvl2_cli.evaluation.benchmarks.item import Benchmark
from dvl2_cli.evaluation.benchmarks.mmbench import MMBENCH
from dvl2_cli.evaluation.benchmarks.mmmu import MMMU
from dvl2_cli.evaluation.benchmarks.ocrbench import OCRBENCH
from dvl2_cli.evaluation.benchmarks.refcoco import REFCOCO
from dvl2_cli.evaluation.benchmarks.textvqa import TEXTVQA

SETS: dict[str, Benchmark] = {
    item.name: item
    for item in (DOCVQA, INFOVQA, CHARTQA, TEXTVQA, OCRBENCH, MMBENCH, MMMU, REFCOCO)
}
