"""What a benchmark found; plain data, no torch. Rates per second, sizes in bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cpu: str
    cores: int
    threads: int
    ram: int
    kernels: str
    versions: dict[str, str]


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

    load_seconds: float
    first_token_seconds: float
    warm_first_token_seconds: float
    decode_tokens: float
    decode_bytes: float
    read_bandwidth: float
    prefill_tokens: float
    prefill_multiply_adds: float
    prefill_peak: float
    tiles: float
    tower_multiply_adds: float
    tower_peak: float
    outside_kernels: float | None
    lookup_gain: float | None

    @property
    def decode_ratio(self) -> float:
        """Bytes of weights read while decoding, to the measured read bandwidth."""
        return self.decode_bytes / self.read_bandwidth

    @property
    def prefill_ratio(self) -> float:
        """Multiply-adds while a prompt is read, to torch's dense peak at the same sizes."""
        return self.prefill_multiply_adds / self.prefill_peak

    @property
    def tower_ratio(self) -> float:
        """Multiply-adds of the tower, to torch's dense peak at the same sizes."""
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

    weights: int
    before_load: int
    after_load: int
    own_after_load: int
    load_peak: int
    peak: int
    read_per_token: int
    cache_per_token: int
    cache_per_token_expanded: int
    cap: int | None

    @property
    def cache_ratio(self) -> float:
        """How many times smaller the cache is than every head's keys and values."""
        return self.cache_per_token_expanded / self.cache_per_token

    @property
    def load_ratio(self) -> float:
        """What loading took at most, to the size of the weight files."""
        return (self.load_peak - self.before_load) / self.weights


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One model measured once."""

    model: str
    quant: str
    machine: Machine
    speeds: Speeds
    memory: Memory
    prompt_tokens: int
    answer_tokens: int

    def as_json(self) -> dict[str, Any]:
        """Plain data with the ratios beside what they are made of."""
        plain = asdict(self)
        speeds = self.speeds
        plain["ratios"] = {
            "decode_to_read_bandwidth": speeds.decode_ratio,
            "prefill_to_dense_peak": speeds.prefill_ratio,
            "tower_to_dense_peak": speeds.tower_ratio,
            "cache_expanded_to_latent": self.memory.cache_ratio,
            "load_to_file": self.memory.load_ratio,
        }
        return {"schema": "dvl2.bench/1", **plain}
