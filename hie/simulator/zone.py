"""The zone of the synthetic city: China Standard Time, +08:00 without daylight saving since 1992."""

from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
