"""Uses: what a trained model can do, one verb per file; their settings are in `settings.py`.

Nothing is imported here, so that the settings can be imported without torch.
"""
