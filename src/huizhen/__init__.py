"""huizhen (会诊): trustworthy multi-centre, multi-modal medical AI."""

__version__ = "0.1.0"
