"""Reads columns of rows from files, object stores, web addresses and scikit-learn."""
