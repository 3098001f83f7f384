"""The job "campaign": items made of the completions of other runs, block after block."""

import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.feedback.masking import pattern
from genai_lab.services import feedback
from genai_lab.services.feedback import sources
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage import feedback as queries
from storage.feedback_tables import Campaign
from storage.tables import Job, Run

BLOCK = 200


class Collect:
    name = "campaign"
    title = "Campaign"
    page = "/feedback"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        plan = CampaignPlan(**settings["plan"])
        tasks, left_out = feedback.distinct(sources.tasks_of(lab, settings["runs"]), plan)
        if not tasks:
            raise LabError("No prompt has two different completions; raise the temperature, or take more models.")
        order = list(range(len(tasks)))
        random.Random(f"{plan.seed} order").shuffle(order)
        systems = sorted({option.system for task in tasks for option in task.options})
        finished = {item["start"] for item in report.earlier() if "start" in item}
        count = f"{len(tasks):,} item{'s' if len(tasks) != 1 else ''}"
        for start in range(0, len(tasks), BLOCK):
            if start not in finished:
                block = [asdict(task) for task in tasks[start : start + BLOCK]]
                report.record(
                    {
                        "key": f"items {start}",
                        "start": start,
                        "tasks": block,
                        "places": order[start : start + BLOCK],
                        "systems": systems,
                    }
                )
            report.progress(min(start + BLOCK, len(tasks)), len(tasks), count)
        return {"campaign": settings["campaign"], "items": len(tasks), "left_out": left_out}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        campaign = session.get(Campaign, job.settings["campaign"])
        if campaign is None:
            return  # discarded meanwhile
        plan = CampaignPlan(**campaign.plan)
        for item in items:
            if "tasks" in item and item["start"] == campaign.items:
                tasks = [_task(option) for option in item["tasks"]]
                feedback.fill(session, campaign, plan, tasks, pattern(item["systems"]), item["places"])

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        campaign = session.get(Campaign, job.settings["campaign"])
        if campaign is not None:
            campaign.status = "open" if job.settings.get("open") else "draft"
            campaign.opened_at = queries.now() if job.settings.get("open") else None
            session.get_one(Run, campaign.made_by_run_id).status = "finished"


def _task(values: dict[str, Any]) -> RankingTask:
    return RankingTask(values["prompt"], tuple(Option(**option) for option in values["options"]))


HANDLERS.register(Collect.name)(Collect())
