"""The use cases of visits, by what people come for."""
from __future__ import annotations

from .announced import Announced
from .diary import Diary
from .feedback import Feedbacks
from .feeds import Feeds
from .free_times import FreeTimes
from .looking import Looking
from .merging import RecordsMadeOne
from .participants import TakingPart
from .places import Places
from .plans import MovingTogether
from .queue import WalkIns
from .series import Recurring
from .steps import Steps
from .video import VideoRooms
from .waitlist import Waitlist

__all__ = ["AppointmentsService"]


class AppointmentsService(FreeTimes, Waitlist, MovingTogether, Recurring, TakingPart, WalkIns, Places, Feeds, Steps, Looking, Diary,
                          Announced, RecordsMadeOne, VideoRooms, Feedbacks):
    """All of the contract."""
