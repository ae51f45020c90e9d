"""What imitation takes and gives beside `lfi.fit_imitation`: episodes, policies, cloning."""

from lfi.generation import (
    ImitationSettings as ImitationSettings,
    Policy as Policy,
    Trajectories as Trajectories,
    fit_cloning as fit_cloning,
    record as record,
)
