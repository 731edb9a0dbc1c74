"""How nano, the bundled checkpoint, is made: data, pretraining and its evaluation."""
