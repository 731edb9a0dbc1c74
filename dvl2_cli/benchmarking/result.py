"""What a benchmark found; plain data, no torch. Rates per second, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dvl2_cli.row import JsonRow
from dvl2_cli.units import Bytes, Count, Rate, Seconds


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cpu: str
    cores: Count
    threads: Count
    ram: Bytes
    kernels: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Peaks:
    """The best rate of dense products here, in multiply-adds per second, by type; 0 if none."""

    int8: Rate
    float32: Rate
    bfloat16: Rate

    @property
    def best(self) -> float:
        """What prefill and tower are compared with."""
        return max(self.int8, self.float32, self.bfloat16)

    @property
    def best_type(self) -> str:
        """The type whose rate is best."""
        return max(("int8", "float32", "bfloat16"), key=lambda name: float(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Speeds:
    """Rates, each beside the machine's limit for it in the same run.

    Attributes:
        first_token_seconds: from a picture of one tile to the first token, right after loading.
        warm_first_token_seconds: the same for another picture afterwards.
        outside_kernels: share of an answer's time that is not the compiled step: Python,
            sampling and text; None without kernels.
        lookup_gain: how many times faster a table is written with drafts; None if not measured.
    """

    load_seconds: Seconds
    first_token_seconds: Seconds
    warm_first_token_seconds: Seconds
    decode_tokens: Rate
    decode_bytes: Rate
    read_bandwidth: Rate
    prefill_tokens: Rate
    prefill_multiply_adds: Rate
    prefill_peak: Rate
    tiles: Rate
    tower_multiply_adds: Rate
    tower_peak: Rate
    outside_kernels: float | None
    lookup_gain: float | None

    @property
    def decode_ratio(self) -> float:
        """Bytes of weights read while decoding, to the measured read bandwidth."""
        return self.decode_bytes / self.read_bandwidth

    @property
    def prefill_ratio(self) -> float:
        """Multiply-adds while a prompt is read, to the best dense rate of the processor."""
        return self.prefill_multiply_adds / self.prefill_peak

    @property
    def tower_ratio(self) -> float:
        """Multiply-adds of the tower, to the best dense rate of the processor."""
        return self.tower_multiply_adds / self.tower_peak


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident sizes of the process and of the cache.

    Attributes:
        own_after_load: of ``after_load``, what is not pages of a file.
        load_peak: the highest size while the model was loaded.
        peak: the highest size of the whole run; the benchmark's own buffer is in it.
        cache_per_token: what the decoder's cache takes for a position.
        cache_per_token_expanded: what every head's keys and values would take.
    """

    weights: Bytes
    before_load: Bytes
    after_load: Bytes
    own_after_load: Bytes
    load_peak: Bytes
    peak: Bytes
    read_per_token: Bytes
    cache_per_token: Bytes
    cache_per_token_expanded: Bytes
    cap: Count | None

    @property
    def cache_ratio(self) -> float:
        """How many times smaller the cache is than every head's keys and values."""
        return self.cache_per_token_expanded / self.cache_per_token

    @property
    def load_ratio(self) -> float:
        """What loading took at most, to the size of the weight files."""
        return (self.load_peak - self.before_load) / self.weights


@dataclass(frozen=True, slots=True)
class Ratios:
    """Rates and sizes, each to its measure; see ``Speeds`` and ``Memory``."""

    decode_to_read_bandwidth: float
    prefill_to_dense_peak: float
    tower_to_dense_peak: float
    cache_expanded_to_latent: float
    load_to_file: float


@dataclass(frozen=True, slots=True)
class BenchResult(JsonRow):
    """One model measured once."""

    schema = "dvl2.bench/1"
    heading = "The line of dvl2 bench --json"
    MEMBERS: ClassVar = (
        "model", "quant", "machine", "speeds", "memory", "prompt_tokens", "answer_tokens", "peaks",
        "ratios",
    )  # fmt: skip

    model: str
    quant: str
    machine: Machine
    speeds: Speeds
    memory: Memory
    prompt_tokens: Count
    answer_tokens: Count
    peaks: Peaks

    @property
    def ratios(self) -> Ratios:
        """What was reached of what the machine can do."""
        speeds, memory = self.speeds, self.memory
        return Ratios(
            speeds.decode_ratio,
            speeds.prefill_ratio,
            speeds.tower_ratio,
            memory.cache_ratio,
            memory.load_ratio,
        )
