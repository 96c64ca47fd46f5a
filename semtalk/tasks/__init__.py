"""The LightningModules of all stages, and their checkpoints."""
