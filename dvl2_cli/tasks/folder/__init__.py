"""A question about more pages than the context holds: read, choose, show, check."""
