"""The shipped programs at their full sizes: tables and pictures in ``results/applications-NAME``."""
