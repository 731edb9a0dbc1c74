"""How good the answers are: suites, metrics with confidence intervals, reports, plots."""
