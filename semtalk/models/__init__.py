"""The networks: plain modules that know no Lightning, no Hydra and no data."""
