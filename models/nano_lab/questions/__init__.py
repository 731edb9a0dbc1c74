"""Questions as people ask them: wordings of every intent, and what nano says it cannot do."""
