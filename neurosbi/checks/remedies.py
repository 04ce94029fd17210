"""What a user can do about a finding, in sentences."""

__all__ = ["ANOTHER_MODEL", "MORE_SIMULATIONS", "TEST_IT"]

ANOTHER_MODEL = (
    "the model may be one of another kind of cell or circuit: compare with others "
    "(neurosbi simulators), or with another feature set (--features)"
)
MORE_SIMULATIONS = (
    "a network that has seen more answers better: more simulations (--simulations), or further "
    "ones near this recording (--rounds 3)"
)
TEST_IT = "test the network on fresh simulations (neurosbi check)"
