"""The field's metrics: pure functions, and torchmetrics classes over them."""
