"""What a user can do about a finding, in sentences."""

__all__ = ["ANOTHER_MODEL", "MORE_SIMULATIONS", "REFINE", "TEST_IT"]

ANOTHER_MODEL = (
    "the model may be one of another kind of cell or circuit: compare with others "
    "(neurosbi simulators)"
)
MORE_SIMULATIONS = "train the network on more simulations (--simulations)"
REFINE = "simulate more near this recording (--rounds 3)"
TEST_IT = "test the network on fresh simulations (neurosbi check)"
