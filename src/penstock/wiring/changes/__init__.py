"""Rules, lists, features and models of a detector that people change: their stores, checks, trials and activation."""
