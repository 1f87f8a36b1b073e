"""Governance: versions of rules, lists, features and models, changed at run time, approved and audited.

versions            the state machine and the store that all four share
rules               stored rules; features: run-time features; model_trials: trials of models; lists, list_reader: lists
snoozes             rules that do not act on one key for a time
approvals           requests that wait for another person
stored_detector     a detector with its stored features and rules, and the check of a change
administration      rules and lists for the command line and for HTTP, and their source for deciding processes
feature_activation  features backfilled and swapped into an engine
challengers, guards, trials  candidates: what is tried, what ends it, and both in one process
"""
