"""Routes that change what decides (rules, lists, features, models, approvals, backtests), and followers that apply changes."""
