"""Anomalies of transactions: the rules and the detectors that judge by them. The view of all is `view.AnomaliesView`."""
