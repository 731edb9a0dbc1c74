"""Looking the whole installation over: a fault in one part stops no other part's checks."""
