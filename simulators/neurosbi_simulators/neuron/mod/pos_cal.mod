TITLE High-threshold (L-type) calcium current, Pospischil et al. 2008 (after Reuveni et al.)

NEURON {
    SUFFIX pos_cal
    NONSPECIFIC_CURRENT i
    RANGE gbar, e
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = 120 (mV)
}
ASSIGNED { v (mV) i (mA/cm2) aq (/ms) bq (/ms) ar (/ms) br (/ms) }
STATE { q r }
INITIAL {
    rates(v)
    q = aq / (aq + bq)
    r = ar / (ar + br)
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gbar * q * q * r * (v - e)
}
DERIVATIVE gates {
    rates(v)
    q' = aq * (1 - q) - bq * q
    r' = ar * (1 - r) - br * r
}
PROCEDURE rates(v (mV)) {
    UNITSOFF
    aq = 0.055 * 3.8 * ratio((-27 - v) / 3.8)
    bq = 0.94 * exp((-75 - v) / 17)
    ar = 0.000457 * exp((-13 - v) / 50)
    br = 0.0065 / (exp((-15 - v) / 28) + 1)
    UNITSON
}
FUNCTION ratio(y) {
    if (fabs(y) < 1e-5) { ratio = 1 - y / 2 } else { ratio = y / (exp(y) - 1) }
}
