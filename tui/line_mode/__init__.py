"""The explorer as lines of text: for screen readers, logs and terminals that show no more."""
