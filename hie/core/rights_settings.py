"""The part of the settings about the rights of persons; `hie.core.settings` has the others."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RightsSettings(BaseSettings):
    """Settings of requests of persons about their data, and of who is responsible for it."""

    model_config = SettingsConfigDict(env_prefix="HIE_", env_file=".env", extra="ignore", frozen=True)

    # 个人信息保护法 art. 45 and 46 say "in time" (及时) and no number.
    rights_days: Annotated[int, Field(ge=1, le=365)] = Field(
        15, description="Days within which a person's request for a copy, correction or erasure is answered"
    )
    controller_name: str = Field(
        "区域全民健康信息平台", description="Who is responsible for the data, as consent receipts name it"
    )
    controller_contact: str = Field(
        "个人信息保护负责人", description="Whom persons reach there about their data (个人信息保护法 art. 52)"
    )
    controller_address: str = Field("", description="The address of who is responsible for the data")
    controller_email: str = Field("", description="The mail address of who is responsible for the data")
    controller_phone: str = Field("", description="The telephone number of who is responsible for the data")
    privacy_notice: str = Field(
        "",
        description="URL of the privacy notice that consents are given under; empty: the page `/privacy`",
    )
