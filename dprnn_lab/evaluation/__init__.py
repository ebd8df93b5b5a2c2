"""How good a system is, and how sure that is: scores per mixture, intervals, baselines, comparison, a report.

Notebook: 08_evaluation
"""

from .baselines import BASELINES
from .clusters import clusters_of
from .report import write_report
from .run import evaluate_to, open_mixtures
from .scores import METRICS, score
from .statistics import bootstrap_mean, cluster_bootstrap, compare, worst
from .table import evaluate, overview, separate_with, summarise, undefined

__all__ = [
    "BASELINES",
    "METRICS",
    "bootstrap_mean",
    "cluster_bootstrap",
    "clusters_of",
    "compare",
    "evaluate",
    "evaluate_to",
    "open_mixtures",
    "overview",
    "score",
    "separate_with",
    "summarise",
    "undefined",
    "worst",
    "write_report",
]
