"""The benchmarks' metrics: one answer against its references, without a model."""
