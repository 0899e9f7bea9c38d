"""Limits of block devices."""

from typing import Annotated

from pydantic import Field

from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Int, WholeBytes


class DeviceWeight(ComposeModel):
    """The relative weight of one device."""

    path: str = ""
    weight: Int = 0


class DeviceRate(ComposeModel):
    """A rate of one device: bytes or operations a second."""

    path: str = ""
    rate: WholeBytes = 0


class BlkioConfig(ComposeModel):
    """The `blkio_config` section of a service."""

    weight: Annotated[int, Field(strict=True, ge=0)] = 0
    weight_device: tuple[DeviceWeight, ...] = ()
    device_read_bps: tuple[DeviceRate, ...] = ()
    device_read_iops: tuple[DeviceRate, ...] = ()
    device_write_bps: tuple[DeviceRate, ...] = ()
    device_write_iops: tuple[DeviceRate, ...] = ()
