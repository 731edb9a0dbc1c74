"""Answers that follow a schema: reading the schema, short field lists, checking answers."""
