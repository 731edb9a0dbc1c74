"""What the user sees: rich, prompt-toolkit and PIL only, never torch."""
