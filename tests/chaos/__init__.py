"""Runs whose processes are killed at random: every one ends with the same scene."""
