"""Training of networks: players, batches, settings, histories, checkpoints."""

from lfi.training.batches import (
    Batch as Batch,
    Batches as Batches,
    Fold as Fold,
    JoinedBatches as JoinedBatches,
    Shuffled as Shuffled,
    StackedBatches as StackedBatches,
    folds as folds,
    hold_out as hold_out,
)
from lfi.training.checkpoints import (
    NO_CHECKPOINTS as NO_CHECKPOINTS,
    Checkpoint as Checkpoint,
    Checkpoints as Checkpoints,
)
from lfi.training.history import History as History
from lfi.training.loop import Monitor as Monitor, fit as fit
from lfi.training.players import (
    Diverged as Diverged,
    Move as Move,
    Player as Player,
    Step as Step,
    Turn as Turn,
    adamw as adamw,
    alternating as alternating,
)
from lfi.training.schedules import (
    constant as constant,
    linear_decay as linear_decay,
    one_cycle as one_cycle,
)
from lfi.training.stacking import (
    minimise_in_bounds as minimise_in_bounds,
    stack as stack,
    stacking_weights as stacking_weights,
)
from lfi.training.step_limits import (
    UNLIMITED as UNLIMITED,
    StageSteps as StageSteps,
    StepLimit as StepLimit,
)
from lfi.training.trackers import (
    CsvTracker as CsvTracker,
    TensorBoardTracker as TensorBoardTracker,
    Tracker as Tracker,
    tracking as tracking,
)
from lfi.training.train_one import (
    CompleteSettings as CompleteSettings,
    TrainSettings as TrainSettings,
    train_one as train_one,
)
from lfi.training.turns import (
    consensus as consensus,
    extragradient as extragradient,
    simultaneous as simultaneous,
    unrolled as unrolled,
)
