"""Rules: named SQL conditions over fields and features, each with an action and a reason for people."""

from penstock.rules.revision import NewerRules, RuleSetRevision
from penstock.rules.rule import Rule
from penstock.rules.ruleset import CompiledRule, Ran, RuleSet
from penstock.rules.share import KeyShare

__all__ = ["CompiledRule", "KeyShare", "NewerRules", "Ran", "Rule", "RuleSet", "RuleSetRevision"]
