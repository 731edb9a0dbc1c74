"""One module per subcommand: arguments to requests, events to output."""
