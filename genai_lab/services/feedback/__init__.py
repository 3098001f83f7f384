"""Human feedback: campaigns, what annotators answer, and what is learned from it."""

from genai_lab.services.feedback.campaigns import (
    KIND,
    MOST_ITEMS,
    MOVES,
    CampaignView,
    NewCampaign,
    Sources,
    change,
    close_complete,
    create,
    discard,
    distinct,
    fill,
    find,
    move,
    reserve_name,
    show,
)

__all__ = [
    "KIND",
    "MOST_ITEMS",
    "MOVES",
    "CampaignView",
    "NewCampaign",
    "Sources",
    "change",
    "close_complete",
    "create",
    "discard",
    "distinct",
    "fill",
    "find",
    "move",
    "reserve_name",
    "show",
]
