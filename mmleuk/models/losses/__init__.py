"""Losses."""

from mmleuk.models.losses.asymmetric_loss import AsymmetricLoss
from mmleuk.models.losses.known_focal_loss import KnownFocalLoss
from mmleuk.models.losses.mmd_loss import MMDLoss
from mmleuk.models.losses.peer_loss import PeerLoss
from mmleuk.models.losses.triplet_loss import TripletLoss

__all__ = ['AsymmetricLoss', 'KnownFocalLoss', 'MMDLoss', 'PeerLoss', 'TripletLoss']
