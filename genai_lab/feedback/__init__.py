"""Human feedback: what a campaign asks, agreement, strengths, preference pairs."""

from genai_lab.feedback.campaign import (
    CRITERIA,
    FEWEST,
    KINDS,
    LONGEST_COMMENT,
    LONGEST_TEXT,
    MOST,
    SKIPS,
    Answer,
    CampaignPlan,
    Option,
    RankingTask,
    checked_groups,
    is_encodable,
    verdicts,
)

__all__ = [
    "CRITERIA",
    "FEWEST",
    "KINDS",
    "LONGEST_COMMENT",
    "LONGEST_TEXT",
    "MOST",
    "SKIPS",
    "Answer",
    "CampaignPlan",
    "Option",
    "RankingTask",
    "checked_groups",
    "is_encodable",
    "verdicts",
]
