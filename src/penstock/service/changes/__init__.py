"""Routes that change what decides: rules, lists, features, models, approvals, backtests; and what follows the changes."""
