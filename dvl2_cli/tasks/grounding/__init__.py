"""Boxes in the model's text: parsing, repair, coordinates, and a grammar that forces them."""
