"""Evaluation: measures of a trained model, and the doctor's verdict."""
