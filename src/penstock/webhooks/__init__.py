"""Webhooks: signed events about decisions, labels, cases and changes, pushed to subscribed endpoints at least once.

events     the types of events, and their bodies (CloudEvents 1.0)     endpoints  subscriptions, selectors, secrets
outbox     events kept in order, the endpoints' cursors, attempts      delivery   the threads that deliver and retry
signing    signatures (Standard Webhooks)
"""
