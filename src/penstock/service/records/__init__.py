"""Routes that read records: decisions, results, profiles, definitions, evaluations, verification, personal data."""
