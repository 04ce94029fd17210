"""Where things lie in a block of LANES networks that are integrated side by side.

Voltage, calcium and conductances are rows with one value per lane, ``cells[c, row * LANES + l]``,
so that one instruction serves many networks. The gates of one cell are SLOTS neighbouring values
instead, ``gates[(c * LANES + l) * SLOTS + s]``: each follows from one row of a table of V, and all
gates of a cell are advanced together.
"""

LANES = 16
TILE = 32  # steps; even, because noise comes in pairs
N_CELLS = 3
(PD, LP, PY) = range(N_CELLS)  # PD stands for the electrically coupled AB and PD neurons

# -- slots of a cell's gates: activations, inactivations, transmitter release; the rest is empty
(M_NA, M_CAT, M_CAS, M_A, M_KCA, M_KD, M_H) = range(7)
(H_NA, H_CAT, H_CAS, H_A) = range(7, 11)
(S_GLUT, S_CHOL) = range(11, 13)
SLOTS = 16

# -- state rows of a cell
(V, CA, E_CA, POWER, FRACTION, KCA_FACTOR) = range(6)
# -- parameter rows: conductances over capacitance in 1/ms
FIRST_PARAMETER = KCA_FACTOR + 1
(
    P_NA,
    P_CAT,
    P_CAS,
    P_A,
    P_KCA,
    P_KD,
    P_H,
    P_LEAK,
    P_GLUT_1,  # from the first presynaptic cell (see integrate.advance_membrane)
    P_GLUT_2,  # from the second
    P_CHOL,
    P_NERNST,  # RT/2F in mV
    P_CA_STEP,  # part of the way that calcium relaxes in one step
) = range(FIRST_PARAMETER, FIRST_PARAMETER + 13)
N_PARAMETER_ROWS = 13
N_ROWS = FIRST_PARAMETER + N_PARAMETER_ROWS

# -- the rate table: V from TABLE_LOW in steps of 1/TABLE_PER_MV; V stays between E_K and E_Ca
TABLE_LOW, TABLE_HIGH, TABLE_PER_MV = -120.0, 150.0, 20.0  # mV, mV, 1/mV

__all__ = [name for name in dir() if name.isupper()]
