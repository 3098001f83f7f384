"""Imported dataset versions and campaigns."""

from urllib.parse import quote

from genai_lab.services.runs.registry import RunKind, RunSummary, register


def _import_address(run: RunSummary) -> str:
    return f"/datasets?dataset={quote(run.output)}" if run.output else "/datasets"


def _campaign_address(run: RunSummary) -> str:
    return f"/feedback?campaign={quote(run.output)}" if run.output else "/feedback"


register(RunKind("import", "Import", _import_address))
register(RunKind("campaign", "Campaign", _campaign_address))
