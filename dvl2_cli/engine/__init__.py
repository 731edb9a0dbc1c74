"""What answers: requests in, events out."""
