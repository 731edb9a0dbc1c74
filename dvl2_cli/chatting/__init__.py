"""What chat asks and what it makes of the answer, apart from how it is shown."""
