"""What a monitoring system is told: vLLM's names under ``dvl2:``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.4, 0.8, 1.6)
_TOKENS = (1, 10, 50, 100, 250, 500, 1000, 2000, 4000)
_LABELS = ("model_name",)


class Metrics:
    """Counts and times of one server; each has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._name = ""
        self._running = self._gauge("num_requests_running", "Requests that are being answered.")
        self._waiting = self._gauge("num_requests_waiting", "Requests that wait for their turn.")
        self._prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts.")
        self._image_tokens = self._counter("image_tokens", "Tokens of pictures in prompts.")
        self._generated = self._counter("generation_tokens", "Tokens of answers.")
        self._queries = self._counter("prefix_cache_queries", "Prompt tokens that were looked up.")
        self._hits = self._counter("prefix_cache_hits", "Prompt tokens that were read before.")
        self._success = Counter(
            "dvl2:request_success",
            "Answers, by how they ended.",
            (*_LABELS, "finished_reason"),
            registry=self.registry,
        )
        self._refused = Counter(
            "dvl2:requests_refused", "Requests without an answer.", ("status",),
            registry=self.registry,
        )  # fmt: skip
        self._queue_time = self._times("request_queue_time_seconds", "From asking to the start.")
        self._first = self._times("time_to_first_token_seconds", "From asking to the first token.")
        self._step = self._times(
            "inter_token_latency_seconds", "From one token to the next.", _STEP_SECONDS
        )
        self._prefill = self._times("request_prefill_time_seconds", "Reading the prompt.")
        self._decode = self._times("request_decode_time_seconds", "Writing the answer.")
        self._whole = self._times("e2e_request_latency_seconds", "From asking to the end.")
        self._prompt_sizes = self._times("request_prompt_tokens", "Tokens of a prompt.", _TOKENS)
        self._answer_sizes = self._times(
            "request_generation_tokens", "Tokens of an answer.", _TOKENS
        )

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def name(self, model: str) -> None:
        """Set the model's name, which every series carries."""
        self._name = model

    def asked(self) -> None:
        """A request waits."""
        self._waiting.labels(self._name).inc()

    def left(self, *, started: bool) -> None:
        """A request ended."""
        (self._running if started else self._waiting).labels(self._name).dec()

    def started(self, seconds: float, prompt_tokens: int, reused_tokens: int) -> None:
        """A request is being answered, after ``seconds`` of waiting."""
        self._waiting.labels(self._name).dec()
        self._running.labels(self._name).inc()
        self._queue_time.labels(self._name).observe(seconds)
        self._queries.labels(self._name).inc(prompt_tokens)
        self._hits.labels(self._name).inc(reused_tokens)

    def token(self, seconds: float, *, first: bool) -> None:
        """A token came: ``seconds`` after the question, or after the token before."""
        (self._first if first else self._step).labels(self._name).observe(seconds)

    def finished(
        self,
        reason: str,
        seconds: float,
        tokens: tuple[int, int, int],
        stages: tuple[float, float],
    ) -> None:
        """An answer ended; ``tokens`` of prompt, pictures and answer, ``stages`` in seconds."""
        name = self._name
        self._success.labels(name, reason).inc()
        self._whole.labels(name).observe(seconds)
        counters = (self._prompt_tokens, self._image_tokens, self._generated)
        for counter, count in zip(counters, tokens, strict=True):
            counter.labels(name).inc(count)
        self._prompt_sizes.labels(name).observe(tokens[0])
        self._answer_sizes.labels(name).observe(tokens[2])
        self._prefill.labels(name).observe(stages[0])
        self._decode.labels(name).observe(stages[1])

    def refused(self, status: int) -> None:
        """A request was refused with ``status``."""
        self._refused.labels(str(status)).inc()

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"dvl2:{name}", words, _LABELS, registry=self.registry)

    def _counter(self, name: str, words: str) -> Counter:
        return Counter(f"dvl2:{name}", words, _LABELS, registry=self.registry)

    def _times(self, name: str, words: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        return Histogram(f"dvl2:{name}", words, _LABELS, registry=self.registry, buckets=buckets)
