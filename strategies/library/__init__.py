"""One file a strategy: `<name>.py` with a `@strategy` function of the same name."""
