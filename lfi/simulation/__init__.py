"""Simulation: named priors, simulators, the runner and its store."""

from lfi.simulation.priors.prior import Prior as Prior, as_prior as as_prior
from lfi.simulation.priors.sampled import sampled_prior as sampled_prior
from lfi.simulation.records.missing import with_missing as with_missing
from lfi.simulation.records.results import RowResults as RowResults
from lfi.simulation.records.simulations import Simulations as Simulations
from lfi.simulation.records.streamed import StreamedBatches as StreamedBatches
from lfi.simulation.running.replicate import replicate as replicate, simulate_at as simulate_at
from lfi.simulation.running.simulate import simulate as simulate
from lfi.simulation.simulators.labels import DataLabels as DataLabels
from lfi.simulation.simulators.observed import observed_entries as observed_entries
from lfi.simulation.simulators.pushforward import Pushforward as Pushforward
from lfi.simulation.simulators.simulator import Simulator as Simulator
from lfi.simulation.simulators.simulator_check import SimulatorCheck as SimulatorCheck
from lfi.simulation.simulators.wrap import as_simulator as as_simulator, simulator as simulator
