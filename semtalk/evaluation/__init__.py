"""Evaluation by the protocols of published tables."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.evaluation.metrics": "METRICS Metric TakeRow chosen_metrics",
        "semtalk.evaluation.measure": "evaluate_rows",
        "semtalk.evaluation.takes": "Take TakeMaker",
        "semtalk.evaluation.result": "Result",
        "semtalk.evaluation.comparison": "compare",
    },
)
