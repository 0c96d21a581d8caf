"""The strategy that a study names."""

from __future__ import annotations

from typing import assert_never

from huizhen.core.study_federation import Federation, StrategyKind
from huizhen.federate.strategies.fedavg import FedAvg
from huizhen.federate.strategies.fedopt import FedOpt
from huizhen.federate.strategies.interface import Strategy
from huizhen.federate.strategies.scaffold import Scaffold


def strategy_of(federation: Federation) -> Strategy:
    """Return the strategy of a study's [federation]."""
    match federation.strategy:
        case StrategyKind.FEDAVG | StrategyKind.FEDPROX:
            return FedAvg(rate=federation.server_rate)
        case StrategyKind.SCAFFOLD:
            return Scaffold(rate=federation.server_rate)
        case StrategyKind.FEDADAM:
            return FedOpt(rate=federation.server_rate)
        case StrategyKind.FEDYOGI:
            return FedOpt(rate=federation.server_rate, yogi=True)
    assert_never(federation.strategy)
