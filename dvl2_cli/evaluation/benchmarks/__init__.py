"""Public benchmarks from files that the user has: the paper's sets, their metrics, their prompts.

One file a set, one file a metric, and a reader for each of the two forms that the sets come in:
parquet as lmms-eval's, and TSV as VLMEvalKit's.
"""
