"""The main job played from end to end with real processes, for a newcomer and for the end-to-end tests."""
