"""Commands that change what decides: rules, lists, features and trials, and backtests of a change."""
