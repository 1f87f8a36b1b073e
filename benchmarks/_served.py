"""The detector that the HTTP benchmark serves: nine features over three entities, LR and XGBoost, ten rules."""

from _workload import scoring_detector

detector = scoring_detector()
