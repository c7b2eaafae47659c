"""Arithmetic only: arrays in, arrays out. No scikit-learn and no estimator below this line."""
