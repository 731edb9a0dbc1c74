"""How the documents and scenes of the suite are drawn, and what stands in them."""
