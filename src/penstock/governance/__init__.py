"""Governance: versions of rules, lists, features and models, changed at run time, approved and audited."""
